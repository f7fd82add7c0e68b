// Node's part that makes calls and takes them.
#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "peer/shell/node_impl.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::shell {

namespace {

/// Sessions at once, incoming ones included.
constexpr std::size_t kMaxSessions = 64;
/// More than the clocks of both sides' starts may differ by, and than a packet takes on most paths.
constexpr Duration kHeadStart = 100ms;

}  // namespace

// What the server planned for a call that it was asked for before it knew that our NAT is a difficult one is of no use.
void Node::Impl::handle_reported(const net::NetReport& report) {
    using enum net::NatClass;
    answer_held(/*all=*/true);
    const auto nat = net::classify(report);
    if (nat == unknown) {
        return;
    }
    for (const auto& [id, session] : sessions_) {
        session->handle_own_class(nat);
    }
    const bool difficult = nat == hard_sequential || nat == hard_block || nat == hard_random;
    for (const auto id : std::exchange(blind_, {})) {
        const auto* session = find(id);
        if (difficult && session != nullptr && !session->has_path() && !session->closing()) {
            redial(id);
        }
    }
}

void Node::Impl::redial(SessionId id) {
    log::debug("calling again: now the server can plan for our NAT");
    auto& abandoned = *sessions_.at(id);
    auto again = std::make_unique<session::Session>(session_config(abandoned.remote(), abandoned.services()),
                                                    signaling::CallId{rng_.u64()}, candidates(), rng_);
    abandoned.close(session::Goodbye::done, io::now());
    while (const auto message = abandoned.poll_signaling()) {
        server_->send(*message);
    }
    remove(id);
    auto& calling = *again;
    add(id, std::move(again));
    calling.call(wall_now(), io::now());
    kick(id);
}

SessionId Node::Impl::call(const crypto::PeerId& peer, std::uint8_t services, CallOptions options) {
    if (options.fresh_port) {
        renew_sockets();
    }
    auto config = session_config(peer, services);
    config.head_start = options.other_side_first ? kHeadStart : Duration{};
    const SessionId id{++last_session_};
    add(id, std::make_unique<session::Session>(config, signaling::CallId{rng_.u64()}, candidates(), rng_));
    if (options.fresh_port && gathering_.under_way()) {
        unplaced_.insert(id);
    } else {
        place(id);
    }
    return id;
}

void Node::Impl::place(SessionId id) {
    sessions_.at(id)->call(wall_now(), io::now());
    if (!reporter_->told()) {
        blind_.insert(id);
    }
    kick(id);
}

void Node::Impl::renew_sockets() {
    if (const auto status = sockets_->renew(); !status) {
        log::info("no other UDP port: {}", status.error().message());
        return;
    }
    if (const auto status = tcp_->renew(); !status) {
        log::info("no other TCP port: {}", status.error().message());
    }
    if (sessions_.empty()) {
        sockets_->close_retired();
    }
    gathering_.handle_network_changed(io::now());
    drain_gathering();
}

void Node::Impl::handle_message(const signaling::ToPeer& message) {
    permit_at_relay(message);
    if (const auto* incoming = std::get_if<signaling::Incoming>(&message)) {
        const auto known = std::ranges::find_if(
            sessions_, [&](const auto& entry) { return entry.second->handle_repeated(incoming->call); });
        if (known != sessions_.end()) {
            dirty_.insert(known->first);
            return;
        }
        if (!reporter_->about_to_tell() || !held_.hold(*incoming, io::now())) {
            take(*incoming);
        }
        return;
    }
    const auto call = signaling::call_of(message);
    if (!call || held_.handle_message(message)) {
        return;
    }
    const auto* end = std::get_if<signaling::End>(&message);
    const bool hangup = end != nullptr && end->reason == signaling::EndReason::hangup;
    const auto found = std::ranges::find(sessions_, *call, [](const auto& entry) { return entry.second->call_id(); });
    if (found == sessions_.end()) {
        return;
    }
    if (hangup && answering_.contains(found->first) && !found->second->has_path()) {
        await_again(found->first);
        return;
    }
    found->second->handle_signaling(message, wall_now(), io::now());
    dirty_.insert(found->first);
}

void Node::Impl::answer_held(bool all) {
    while (auto held = held_.release(io::now(), all)) {
        take(held->incoming);
        for (const auto& message : held->later) {
            handle_message(message);
        }
    }
    pump();
}

void Node::Impl::await_again(SessionId id) {
    const auto& abandoned = *sessions_.at(id);
    awaited_.add(id, {.id = abandoned.remote(), .services = abandoned.services()}, io::now());
    remove(id);
    rearm();
}

void Node::Impl::end_awaited(SessionId id, Error error) {
    handler_.on_session(id, session::Ended{.error = std::move(error)});
}

void Node::Impl::take(const signaling::Incoming& incoming) {
    using enum signaling::EndReason;
    auto read = session::read_call(incoming, *config_.identity, rng_);
    if (!read) {
        log::info("dropped an incoming call: {}", read.error().error.message());
        server_->send(read.error().end);
        return;
    }
    if (read->offer.resume != 0) {
        resume(incoming, *std::move(read));
        return;
    }
    if (sessions_.size() + awaited_.size() >= kMaxSessions) {
        server_->send(signaling::End{.call = incoming.call, .reason = limit});
        return;
    }
    const auto from = read->offer.from;
    const auto services = static_cast<std::uint8_t>(read->offer.services & config_.services);
    switch (handler_.on_call(from, services)) {
        case CallDecision::take:
            break;
        case CallDecision::refuse:
            server_->send(signaling::End{.call = incoming.call, .reason = refused});
            return;
        case CallDecision::not_here:
            server_->send(signaling::End{.call = incoming.call, .reason = unwanted});
            return;
        case CallDecision::ignore:
            return;
    }
    if (const auto fresh = session::check_age(incoming, *read, replay_guard_, wall_now()); !fresh) {
        server_->send(fresh.error().end);
        return;
    }
    const auto known = awaited_.take({.id = from, .services = services});
    const auto id = known.value_or(SessionId{last_session_ + 1});
    auto session =
        std::make_unique<session::Session>(session_config(from, config_.services), incoming.call, candidates(), rng_);
    auto& answering = *session;
    add(id, std::move(session));
    answering_.insert(id);
    if (!known) {
        ++last_session_;
        handler_.on_answering(id, from);
    }
    answering.answer(*std::move(read), io::now());
    pump();
}

void Node::Impl::resume(const signaling::Incoming& incoming, session::IncomingCall read) {
    const auto now = io::now();
    const auto found =
        std::ranges::find_if(sessions_, [&](const auto& entry) { return entry.second->resumed_by(read); });
    if (found == sessions_.end()) {
        server_->send(signaling::End{.call = incoming.call, .reason = signaling::EndReason::unwanted});
        return;
    }
    if (const auto fresh = session::check_age(incoming, read, replay_guard_, wall_now()); !fresh) {
        server_->send(fresh.error().end);
        return;
    }
    const auto id = found->first;
    gathering_.distrust(now);
    drain_gathering();
    auto& session = *sessions_.at(id);
    session.resume(std::move(read), candidates(), now);
    if (candidates_complete()) {
        session.end_of_local_candidates();
    }
    kick(id);
}

void Node::Impl::restart(session::Session& session) {
    const auto now = io::now();
    log::debug("calling again to restart ICE");
    server_->doubt(now);
    gathering_.distrust(now);
    session.restart(candidates(), wall_now(), now);
    if (candidates_complete()) {
        session.end_of_local_candidates();
    }
    drain_gathering();
}

session::SessionConfig Node::Impl::session_config(const crypto::PeerId& remote, std::uint8_t services) {
    session::SessionConfig config;
    config.identity = config_.identity;
    config.remote = remote;
    config.services = services;
    config.path_patience = config_.path_patience;
    config.without = config_.without;
    config.transport.congestion = config_.congestion;
    config.probe_budget = &probe_budget_;
    config.stun = stun_;
    if (reporter_) {
        config.opening_ttl = reporter_->opening_ttl();
    }
    return config;
}

void Node::Impl::add(SessionId id, std::unique_ptr<session::Session> session) {
    by_connection_.emplace(session->connection_id(), id);
    auto& added = *sessions_.emplace(id, std::move(session)).first->second;
    added.handle_server(online(), io::now());
    gathering_.refresh(io::now());
    drain_gathering();
    want_relay();
    if (candidates_complete()) {
        added.end_of_local_candidates();
    }
    dirty_.insert(id);
}

void Node::Impl::remove(SessionId id) {
    const auto found = sessions_.find(id);
    close_sockets(id);
    blind_.erase(id);
    unplaced_.erase(id);
    answering_.erase(id);
    by_connection_.erase(found->second->connection_id());
    sessions_.erase(found);
    want_relay();
    if (sessions_.empty()) {
        sockets_->close_retired();
    }
    tcp_->close_unused([this](const net::PathAddresses& path) {
        return std::ranges::any_of(sessions_, [&](const auto& entry) { return entry.second->uses(path); });
    });
}

void Node::Impl::close(SessionId id, session::Goodbye goodbye) {
    if (awaited_.drop(id)) {
        end_awaited(id, {});
    } else if (auto* session = find(id)) {
        session->close(goodbye, io::now());
        kick(id);
    }
}

}  // namespace pinhole::shell
