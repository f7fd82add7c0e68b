#include "rendezvous/core/calls.hpp"

#include "common/base/limits.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::rendezvous {

namespace {

using signaling::EndReason;

/// Ids that the server chooses have the top bit set, those of peers are anything else of 64 bits by chance.
constexpr std::uint64_t kLegBit = 1ULL << 63;

/// How much a refusal tells the caller: what it can act on comes first.
int weight(EndReason reason) {
    switch (reason) {
        case EndReason::stale:
            return 5;
        case EndReason::refused:
            return 4;
        case EndReason::bad:
            return 3;
        case EndReason::unwanted:
            return 2;
        default:
            return 1;
    }
}

/// Those over UDP, server-reflexive ones first: they are what a NAT shows to others.
void add_endpoints(const std::vector<net::Candidate>& candidates, std::vector<net::Endpoint>& to) {
    for (const auto type : {net::CandidateType::server_reflexive, net::CandidateType::host}) {
        for (const auto& candidate : candidates) {
            const bool udp = candidate.transport == net::Transport::udp;
            if (udp && candidate.type == type && to.size() < limits::kMaxCandidates) {
                to.push_back(candidate.endpoint);
            }
        }
    }
}

}  // namespace

Status Calls::handle_connect(ConnectionId from, const crypto::PeerId& identity, const signaling::Connect& connect,
                             const std::vector<ConnectionId>& callees, TimePoint now) {
    const Side caller{.connection = from, .call = connect.call};
    if (sides_.contains(caller)) {
        return fail(Errc::malformed, "a call id that is in use");
    }
    if (count_of(from, Role::caller) >= limits::kMaxCallsPerConnection) {
        deliver_end(caller, EndReason::limit);
        return {};
    }
    const CallKey key{++last_key_};
    const signaling::CallId leg{rng_.u64() | kLegBit};
    Call call{
        .caller = caller,
        .callee_identity = connect.to,
        .leg = leg,
        .incoming = {.call = leg, .from = identity, .handshake = connect.handshake, .candidates = connect.candidates},
        .ringing = {},
        .callee = std::nullopt,
        .verdict = {.call = {}, .reason = EndReason::lost}};
    add_endpoints(connect.candidates, call.endpoints);
    bool anyone = false;
    for (const auto connection : callees) {
        anyone = anyone || connection != from;
        ring(key, call, connection);
    }
    if (call.ringing.empty()) {
        deliver_end(caller, anyone ? EndReason::limit : EndReason::offline);
        return {};
    }
    sides_.emplace(caller, key);
    ringing_.emplace(connect.to, key);
    calls_.emplace(key, std::move(call));
    deadlines_.set(key, now + config_.ring);
    return {};
}

bool Calls::ring(CallKey key, Call& call, ConnectionId connection) {
    const Side leg{.connection = connection, .call = call.leg};
    if (connection == call.caller.connection || sides_.contains(leg) ||
        count_of(connection, Role::callee) >= limits::kMaxCallsPerConnection) {
        return false;
    }
    call.ringing.push_back(leg);
    sides_.emplace(leg, key);
    deliveries_.push_back({.to = connection, .message = call.incoming});
    for (const auto& trickle : call.trickled) {
        deliveries_.push_back({.to = connection, .message = trickle});
    }
    return true;
}

void Calls::handle_online(ConnectionId connection, const crypto::PeerId& identity) {
    for (auto next = ringing_.lower_bound({identity, CallKey{0}}); next != ringing_.end() && next->first == identity;
         ++next) {
        ring(next->second, calls_.at(next->second), connection);
    }
}

void Calls::stop_ringing(Iterator found) {
    ringing_.erase({found->second.callee_identity, found->first});
    found->second.incoming = {};
    found->second.trickled.clear();
}

std::optional<Calls::Pair> Calls::handle_answer(ConnectionId from, signaling::Answer answer, TimePoint now) {
    const Side side{.connection = from, .call = answer.call};
    const auto found = find(side);
    if (found == calls_.end() || found->second.callee || side == found->second.caller) {
        return std::nullopt;
    }
    auto& call = found->second;
    for (const auto& leg : std::exchange(call.ringing, {})) {
        if (leg != side) {
            deliver_end(leg, EndReason::elsewhere);
            sides_.erase(leg);
        }
    }
    call.callee = side;
    stop_ringing(found);
    Pair pair{.caller = call.caller,
              .callee = side,
              .caller_endpoints = std::exchange(call.endpoints, {}),
              .callee_endpoints = {}};
    add_endpoints(answer.candidates, pair.callee_endpoints);
    deliveries_.push_back({.to = call.caller.connection,
                           .message = signaling::Answered{.call = call.caller.call,
                                                          .handshake = std::move(answer.handshake),
                                                          .candidates = std::move(answer.candidates)}});
    deadlines_.set(found->first, now + config_.linger);
    return pair;
}

void Calls::handle_trickle(ConnectionId from, const signaling::Trickle& trickle) {
    const Side side{.connection = from, .call = trickle.call};
    const auto found = find(side);
    if (found == calls_.end()) {
        return;
    }
    auto& call = found->second;
    const bool caller = side == call.caller;
    if (!caller && side != call.callee) {
        return;  // an instance that has not answered has nobody to offer candidates to
    }
    auto& used = caller ? call.caller_trickled : call.callee_trickled;
    const auto cost = std::max<std::size_t>(1, trickle.candidates.size());
    if (used + cost > config_.max_trickled) {
        return;
    }
    used += cost;
    if (caller && !call.callee) {
        add_endpoints(trickle.candidates, call.endpoints);
        call.trickled.push_back(trickle);
        call.trickled.back().call = call.leg;
    }
    const auto relay = [&](const Side& to) {
        auto copy = trickle;
        copy.call = to.call;
        deliveries_.push_back({.to = to.connection, .message = std::move(copy)});
    };
    if (!caller) {
        relay(call.caller);
    } else if (call.callee) {
        relay(*call.callee);
    } else {
        std::ranges::for_each(call.ringing, relay);
    }
}

void Calls::handle_end(ConnectionId from, const signaling::End& end) {
    const Side side{.connection = from, .call = end.call};
    const auto found = find(side);
    if (found == calls_.end()) {
        return;
    }
    if (side != found->second.caller && !found->second.callee) {
        decline(found, side, end);
        return;
    }
    end_others(found->second, side, end.reason, end.detail_ms);
    forget(found);
}

void Calls::decline(Iterator found, const Side& leg, const signaling::End& end) {
    auto& call = found->second;
    std::erase(call.ringing, leg);
    sides_.erase(leg);
    if (weight(end.reason) > weight(call.verdict.reason) || call.verdict.reason == EndReason::lost) {
        call.verdict = end;
    }
    if (call.ringing.empty()) {
        deliver_end(call.caller, call.verdict.reason, call.verdict.detail_ms);
        forget(found);
    }
}

void Calls::handle_lost(ConnectionId connection) {
    for (auto next = sides_.lower_bound({.connection = connection, .call = {}});
         next != sides_.end() && next->first.connection == connection;
         next = sides_.lower_bound({.connection = connection, .call = {}})) {
        const auto side = next->first;
        lose(find(side), side);
    }
}

void Calls::lose(Iterator found, const Side& side) {
    auto& call = found->second;
    if (!call.callee) {
        if (side != call.caller) {
            decline(found, side, {.call = {}, .reason = EndReason::lost});
            return;
        }
        end_others(call, side, EndReason::lost, 0);
        forget(found);
        return;
    }
    // Both have all they need to find each other; the server is not missed by either.
    sides_.erase(side);
    if (!sides_.contains(call.caller) && !sides_.contains(*call.callee)) {
        forget(found);
    }
}

void Calls::handle_timeout(TimePoint now) {
    while (const auto key = deadlines_.expire(now)) {
        const auto found = calls_.find(*key);
        const auto& call = found->second;
        if (!call.callee) {
            const auto& verdict = call.verdict;
            const bool told = weight(verdict.reason) > 1;
            deliver_end(call.caller, told ? verdict.reason : EndReason::timeout, told ? verdict.detail_ms : 0);
            end_others(call, call.caller, EndReason::timeout, 0);
        }
        forget(found);
    }
}

std::optional<Calls::Delivery> Calls::poll_delivery() {
    if (deliveries_.empty()) {
        return std::nullopt;
    }
    auto delivery = std::move(deliveries_.front());
    deliveries_.pop_front();
    return delivery;
}

Calls::Iterator Calls::find(const Side& side) {
    const auto found = sides_.find(side);
    return found == sides_.end() ? calls_.end() : calls_.find(found->second);
}

std::size_t Calls::count_of(ConnectionId connection, Role role) const {
    std::size_t count = 0;
    for (auto next = sides_.lower_bound({.connection = connection, .call = {}});
         next != sides_.end() && next->first.connection == connection; ++next) {
        const bool calls = calls_.at(next->second).caller == next->first;
        count += calls == (role == Role::caller) ? 1 : 0;
    }
    return count;
}

void Calls::end_others(const Call& call, const Side& from, EndReason reason, std::int64_t detail_ms) {
    if (from != call.caller) {
        deliver_end(call.caller, reason, detail_ms);
    }
    for (const auto& leg : call.ringing) {
        deliver_end(leg, reason, detail_ms);
    }
    if (call.callee && *call.callee != from) {
        deliver_end(*call.callee, reason, detail_ms);
    }
}

void Calls::forget(Iterator found) {
    const auto& call = found->second;
    sides_.erase(call.caller);
    for (const auto& leg : call.ringing) {
        sides_.erase(leg);
    }
    if (call.callee) {
        sides_.erase(*call.callee);
    }
    stop_ringing(found);
    deadlines_.set(found->first, std::nullopt);
    calls_.erase(found);
}

void Calls::deliver_end(const Side& to, EndReason reason, std::int64_t detail_ms) {
    deliveries_.push_back(
        {.to = to.connection, .message = signaling::End{.call = to.call, .reason = reason, .detail_ms = detail_ms}});
}

}  // namespace pinhole::rendezvous
