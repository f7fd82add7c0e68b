#include "rendezvous/core/server.hpp"

#include "common/base/limits.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::rendezvous {

using signaling::End;
using signaling::EndReason;

namespace {

std::uint32_t microseconds(Duration duration) {
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

crypto::KeyPair copy(const crypto::KeyPair& keys) {
    return {.secret = keys.secret.clone(), .public_key = keys.public_key};
}

}  // namespace

Server::Server(crypto::KeyPair keys, const Config& config, Rng& rng)
    : keys_(std::move(keys)),
      config_(config),
      rng_(rng),
      admission_(config.admission),
      connects_(config.connects),
      calls_(config.calls, rng),
      punches_(config.punches) {}

ConnectionId Server::open(const net::Endpoint& from, TimePoint now, std::optional<std::uint16_t> second_stun_port) {
    const ConnectionId id{++last_id_};
    ++totals_.opened;
    const signaling::Welcome welcome{
        .observed = from, .version = signaling::kVersion, .second_stun_port = second_stun_port};
    connections_.emplace(id, Connection{.client = Client{config_.client, welcome, copy(keys_), rng_, now}});
    if (const auto refused = admission_.enter(from.address, now)) {
        ++totals_.turned_away;
        close(id, std::string{*refused});
    } else {
        touch(id);
    }
    return id;
}

void Server::handle_bytes(ConnectionId connection, ByteView bytes, TimePoint now) {
    const auto found = connections_.find(connection);
    if (found == connections_.end()) {
        return;
    }
    auto& client = found->second.client;
    const bool was_logged_in = client.id().has_value();
    auto messages = client.handle_bytes(bytes, now);
    if (!was_logged_in && client.id()) {
        log_in(connection, now);
    }
    if (!messages) {
        close(connection, messages.error().message());
        deliver_calls();
        return;
    }
    touch(connection);
    for (auto& message : *messages) {
        handle_message(connection, std::move(message), now);
        deliver_calls();
    }
    deliver_calls();
}

void Server::handle_message(ConnectionId from, signaling::ToServer message, TimePoint now) {
    // An earlier message of the same batch may have cost the connection.
    if (!connections_.contains(from)) {
        return;
    }
    if (const auto* connect = std::get_if<signaling::Connect>(&message)) {
        handle_connect(from, *connect, now);
    } else if (auto* answer = std::get_if<signaling::Answer>(&message)) {
        handle_answer(from, std::move(*answer), now);
    } else if (const auto* trickle = std::get_if<signaling::Trickle>(&message)) {
        calls_.handle_trickle(from, *trickle);
    } else if (const auto* end = std::get_if<signaling::End>(&message)) {
        punches_.handle_end({.connection = from, .call = end->call});
        calls_.handle_end(from, *end);
    } else if (auto* report = std::get_if<signaling::Report>(&message)) {
        handle_report(from, std::move(*report));
    } else {
        handle_punch(from, message, now);
    }
}

void Server::handle_punch(ConnectionId from, const signaling::ToServer& message, TimePoint now) {
    if (const auto* samples = std::get_if<signaling::PunchSamples>(&message)) {
        punches_.handle_samples(from, *samples, now);
        while (const auto delivery = punches_.poll_delivery()) {
            ++totals_.scans;
            send(delivery->to, delivery->message);
        }
    } else if (const auto* outcome = std::get_if<signaling::PunchOutcome>(&message)) {
        ++totals_.outcomes;
        punches_.handle_outcome(from, *outcome, now);
    }
}

void Server::handle_report(ConnectionId from, signaling::Report report) {
    ++totals_.reports;
    connections_.at(from).report = std::move(report.report);
    with_report_.insert(from);
}

void Server::handle_connect(ConnectionId from, const signaling::Connect& connect, TimePoint now) {
    ++totals_.connects;
    const auto& client = connections_.at(from).client;
    if (!connects_.allow(client.observed().address, now)) {
        ++totals_.limited;
        send(from, End{.call = connect.call, .reason = EndReason::limit, .detail_ms = 0});
        return;
    }
    const auto identity = *client.id();
    const auto callees = registry_.find(connect.to);
    if (callees.empty() && registry_.asleep(connect.to, now)) {
        send(from, End{.call = connect.call, .reason = EndReason::asleep, .detail_ms = 0});
        return;
    }
    if (const auto status = calls_.handle_connect(from, identity, connect, callees, now); !status) {
        close(from, status.error().message());
    }
}

void Server::handle_answer(ConnectionId from, signaling::Answer answer, TimePoint now) {
    const auto pair = calls_.handle_answer(from, std::move(answer), now);
    if (!pair) {
        return;
    }
    ++totals_.introduced;
    deliver_calls();  // Answered comes before Go
    const auto caller = connections_.find(pair->caller.connection);
    const auto callee = connections_.find(pair->callee.connection);
    if (caller == connections_.end() || callee == connections_.end()) {
        return;
    }
    const auto introduction = introduce(caller->second.client.standing(), callee->second.client.standing());
    auto plans =
        punches_.begin(party(pair->caller, pair->caller_endpoints), party(pair->callee, pair->callee_endpoints), now);
    const auto go = [&](const Side& side, Duration delay, net::PunchPlan plan) {
        send(side.connection,
             signaling::Go{.call = side.call, .delay_us = microseconds(delay), .plan = std::move(plan)});
    };
    go(pair->caller, introduction.caller_delay, std::move(plans[0]));
    go(pair->callee, introduction.callee_delay, std::move(plans[1]));
}

Punches::Party Server::party(const Side& side, const std::vector<net::Endpoint>& endpoints) const {
    const auto& connection = connections_.at(side.connection);
    const auto standing = connection.client.standing();
    const auto observed = standing.observed.unmapped();
    Punches::Party result{
        .side = side,
        .id = *connection.client.id(),
        .plan = {
            .report = connection.report ? &*connection.report : nullptr, .observed = observed, .rtt = standing.rtt}};
    const auto found = std::ranges::find(endpoints, observed, &net::Endpoint::address);
    if (found != endpoints.end()) {
        result.plan.reflexive = *found;
    }
    return result;
}

void Server::log_in(ConnectionId connection, TimePoint now) {
    ++totals_.logins;
    const auto& client = connections_.at(connection).client;
    admission_.logged_in(client.observed().address);
    if (const auto oldest = registry_.add(*client.id(), connection)) {
        close(*oldest, "this identity is online too many times");
    }
    tell_relays(connection, now);
    // With too many connections the new one may itself have been closed.
    if (const auto found = connections_.find(connection); found != connections_.end()) {
        calls_.handle_online(connection, *found->second.client.id());
    }
}

void Server::offer_relays(RelayList list, Duration renewal) {
    relays_ = std::move(list);
    relay_renewal_ = renewal;
}

void Server::tell_relays(ConnectionId connection, TimePoint now) {
    const auto found = connections_.find(connection);
    if (relays_ && found != connections_.end()) {
        relay_renewals_.set(connection, now + relay_renewal_);
        send(connection, relays_(*found->second.client.id()));
    }
}

void Server::handle_closed(ConnectionId connection, TimePoint /*now*/) {
    remove(connection);
    deliver_calls();
}

void Server::handle_timeout(TimePoint now) {
    while (const auto due = deadlines_.expire(now)) {
        const auto& client = connections_.at(*due).client;
        if (const auto status = connections_.at(*due).client.handle_timeout(now); !status) {
            if (client.id() && status.error().code == make_error_code(ClientErrc::silent)) {
                registry_.fell_silent(*client.id(), now);
            }
            close(*due, status.error().message());
        } else {
            touch(*due);
        }
    }
    while (const auto due = relay_renewals_.expire(now)) {
        tell_relays(*due, now);
    }
    calls_.handle_timeout(now);
    punches_.handle_timeout(now);
    deliver_calls();
}

void Server::send(ConnectionId to, const signaling::ToPeer& message) {
    const auto found = connections_.find(to);
    if (found == connections_.end()) {
        return;
    }
    if (const auto status = found->second.client.send(message); !status) {
        close(to, status.error().message());
        return;
    }
    touch(to);
}

void Server::deliver_calls() {
    // Closing a connection that does not read may add deliveries to others; each closes at most once, so this ends.
    while (const auto delivery = calls_.poll_delivery()) {
        if (sheds(*delivery)) {
            continue;
        }
        send(delivery->to, delivery->message);
    }
}

bool Server::sheds(const Calls::Delivery& delivery) {
    const auto to = connections_.find(delivery.to);
    if (to == connections_.end() || to->second.client.backlog() <= limits::kMaxSignalingBacklog / 2) {
        return false;
    }
    if (const auto* incoming = std::get_if<signaling::Incoming>(&delivery.message)) {
        calls_.handle_end(delivery.to, {.call = incoming->call, .reason = signaling::EndReason::limit});
        return true;
    }
    return std::holds_alternative<signaling::Trickle>(delivery.message);
}

void Server::remove(ConnectionId connection) {
    const auto found = connections_.find(connection);
    if (found == connections_.end()) {
        return;
    }
    const auto& client = found->second.client;
    if (client.id()) {
        registry_.remove(*client.id(), connection);
    }
    admission_.leave(client.observed().address, client.id().has_value());
    deadlines_.set(connection, std::nullopt);
    relay_renewals_.set(connection, std::nullopt);
    with_output_.erase(connection);
    with_report_.erase(connection);
    connections_.erase(found);
    calls_.handle_lost(connection);
    punches_.handle_lost(connection);
}

void Server::close(ConnectionId connection, std::string reason) {
    ++totals_.closed;
    remove(connection);
    closes_.push_back({.connection = connection, .reason = std::move(reason)});
}

void Server::touch(ConnectionId connection) {
    const auto& entry = connections_.at(connection);
    deadlines_.set(connection, entry.client.next_timeout());
    if (!entry.paused) {
        with_output_.insert(connection);
    }
}

void Server::pause_output(ConnectionId connection) {
    if (const auto found = connections_.find(connection); found != connections_.end()) {
        found->second.paused = true;
        with_output_.erase(connection);
    }
}

void Server::resume_output(ConnectionId connection) {
    if (const auto found = connections_.find(connection); found != connections_.end()) {
        found->second.paused = false;
        with_output_.insert(connection);
    }
}

std::optional<Server::Output> Server::poll_output() {
    while (!with_output_.empty()) {
        const auto connection = *with_output_.begin();
        with_output_.erase(with_output_.begin());
        auto bytes = connections_.at(connection).client.poll_output();
        if (!bytes.empty()) {
            return Output{.connection = connection, .bytes = std::move(bytes)};
        }
    }
    return std::nullopt;
}

std::optional<Server::Close> Server::poll_close() {
    if (closes_.empty()) {
        return std::nullopt;
    }
    auto result = std::move(closes_.front());
    closes_.pop_front();
    return result;
}

std::optional<TimePoint> Server::next_timeout() const {
    return earliest(earliest(deadlines_.next(), relay_renewals_.next()),
                    earliest(calls_.next_timeout(), punches_.next_timeout()));
}

std::optional<ConnectionId> Server::poll_report() {
    if (with_report_.empty()) {
        return std::nullopt;
    }
    return with_report_.extract(with_report_.begin()).value();
}

const net::NetReport* Server::report(ConnectionId connection) const {
    const auto found = connections_.find(connection);
    return found != connections_.end() && found->second.report ? &*found->second.report : nullptr;
}

std::optional<crypto::PeerId> Server::peer(ConnectionId connection) const {
    const auto found = connections_.find(connection);
    return found == connections_.end() ? std::nullopt : found->second.client.id();
}

Stats Server::stats() const {
    auto result = totals_;
    result.connections = connections_.size();
    result.identities = registry_.identities();
    result.calls = calls_.size();
    return result;
}

}  // namespace pinhole::rendezvous
