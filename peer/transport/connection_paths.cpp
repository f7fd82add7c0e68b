// Addresses: those that ICE judged, and those that turn up because a NAT changed its mind.
#include "peer/transport/connection_impl.hpp"

#include <algorithm>

namespace pinhole::transport {

namespace {

constexpr int kMaxChallenges = 3;
// A path without an answer to so many probe timeouts in a row is left if there is another.
constexpr std::uint32_t kSilentAfter = 3;

bool only_ports_differ(const net::PathAddresses& a, const net::PathAddresses& b) {
    return a.local == b.local && a.remote.address == b.remote.address && a.transport == b.transport;
}

}  // namespace

Path* Connection::Impl::find_path(std::uint32_t id) {
    const auto it = std::ranges::find_if(paths_, [id](const auto& path) { return path->id.value == id; });
    return it == paths_.end() ? nullptr : it->get();
}

const Path* Connection::Impl::find_path(std::uint32_t id) const {
    const auto it = std::ranges::find_if(paths_, [id](const auto& path) { return path->id.value == id; });
    return it == paths_.end() ? nullptr : it->get();
}

Path* Connection::Impl::find_path(const net::PathAddresses& addresses) {
    const auto it = std::ranges::find_if(paths_, [&](const auto& path) { return path->addresses == addresses; });
    return it == paths_.end() ? nullptr : it->get();
}

Path& Connection::Impl::create_path(const net::PathAddresses& addresses, TimePoint now) {
    make_room_for_path(now);
    paths_.push_back(std::make_unique<Path>(PathId{next_path_++}, addresses, config_));
    return *paths_.back();
}

void Connection::Impl::make_room_for_path(TimePoint now) {
    if (paths_.size() < kMaxPaths) {
        return;
    }
    const auto oldest = std::ranges::find_if(paths_, [this](const auto& path) { return path.get() != active(); });
    abandon_packets((*oldest)->id, 0, now);
    paths_.erase(oldest);
}

PathId Connection::Impl::add_path(const net::PathAddresses& addresses, TimePoint now) {
    if (const auto* known = find_path(addresses)) {
        return known->id;
    }
    std::erase_if(candidates_, [&](const auto& candidate) { return candidate.addresses == addresses; });
    auto& path = create_path(addresses, now);
    if (!active_) {
        active_ = path.id;
        path.used_since = now;
        last_heard_ = last_heard_.value_or(now);
        // The peer's answer confirms the connection and gives the first round-trip time.
        ping_pending_ = true;
    }
    rearm(now);
    return path.id;
}

void Connection::Impl::use_path(PathId id, std::string reason, TimePoint now) {
    auto* path = find_path(id.value);
    if (path != nullptr && path != active()) {
        switch_to(*path, std::move(reason), now);
        rearm(now);
    }
}

void Connection::Impl::remove_path(PathId id, TimePoint now) {
    const auto it = std::ranges::find_if(paths_, [id](const auto& path) { return path->id == id; });
    if (it == paths_.end()) {
        return;
    }
    abandon_packets(id, 0, now);
    paths_.erase(it);
    if (active_ == id) {
        active_.reset();
        if (!paths_.empty()) {
            switch_to(*paths_.back(), kPathRemoved, now);
        }
    }
    rearm(now);
}

void Connection::Impl::handle_path_failed(const net::PathAddresses& addresses, TimePoint now) {
    const auto* path = find_path(addresses);
    if (path != nullptr && paths_.size() > 1) {
        remove_path(path->id, now);
    }
}

PathStats Connection::Impl::path_stats() const {
    const auto* path = active();
    if (path == nullptr) {
        return {};
    }
    return {.smoothed_rtt = path->rtt.smoothed(),
            .min_rtt = path->rtt.min(),
            .probe_timeout = path->rtt.probe_timeout(),
            .congestion_window = path->congestion->window(),
            .bytes_in_flight = path->in_flight,
            .mtu = path->mtu.current()};
}

void Connection::Impl::ping(TimePoint now) {
    pinged_at_ = now;
    ping_pending_ = state_ == State::open;
    rearm(now);
}

void Connection::Impl::switch_to(Path& path, std::string reason, TimePoint now) {
    active_ = path.id;
    path.probe_timeouts = 0;
    path.used_since = now;
    ecn_.restart();
    // Tells the peer, and measures.
    ping_pending_ = state_ == State::open;
    events_.push_back(PathChanged{.path = path.id, .addresses = path.addresses, .reason = std::move(reason)});
    detect_losses(now);
}

void Connection::Impl::leave_silent_path(TimePoint now) {
    const auto* silent = active();
    if (silent == nullptr || silent->probe_timeouts < kSilentAfter) {
        return;
    }
    // Whichever was heard last is the likeliest to be alive: ICE keeps its spare path warm. When all were tried, they
    // take turns.
    Path* next = nullptr;
    for (const auto& path : paths_) {
        const bool better = next == nullptr || path->left_at < next->left_at ||
                            (path->left_at == next->left_at && path->last_heard > next->last_heard);
        if (path.get() != silent && better) {
            next = path.get();
        }
    }
    if (++silent_paths_ >= paths_.size() && !silence_told_) {
        silence_told_ = true;
        events_.push_back(Silent{});
    }
    if (next != nullptr) {
        active()->left_at = now;
        switch_to(*next, kPathSilent, now);
    }
}

void Connection::Impl::probe(TimePoint now) {
    if (auto* path = active(); path != nullptr && state_ == State::open) {
        path->probe_timeouts = 0;
        probes_pending_ = std::max(probes_pending_, 1);
        rearm(now);
    }
}

// The peer may have found a path silent that we only receive on: acknowledgements tell nobody that they are lost. So
// newest packets on another path than ours are a reason to go there as soon as ours is quiet. The two sides wait for
// different times, or both might leave for the other's path at once.
void Connection::Impl::follow_peer(Path& path, const Arrival& arrival) {
    const auto* used = active();
    const bool newest = !arrival.probing && arrival.number >= acks_.next_expected();
    if (used == nullptr || used == &path || !newest) {
        return;
    }
    // Not probe timeouts: what both measured of the round trip is much the same, how it varies is not.
    const auto patience =
        (config_.role == Role::responder ? 1 : kSilentAfter) * (2 * used->rtt.smoothed() + kMaxAckDelay);
    if (std::max(used->last_heard, used->used_since) + patience <= arrival.now) {
        switch_to(path, "peer uses another path", arrival.now);
    }
}

void Connection::Impl::note_source(const Arrival& arrival, std::size_t size) {
    if (auto* path = find_path(arrival.addresses)) {
        follow_peer(*path, arrival);
        path->highest_received = std::max(path->highest_received, arrival.number);
        path->last_heard = arrival.now;
        path->left_at = {};
        return;
    }
    const auto known = std::ranges::find_if(
        candidates_, [&](const auto& candidate) { return candidate.addresses == arrival.addresses; });
    if (known != candidates_.end()) {
        known->received += size;
        known->highest_received = std::max(known->highest_received, arrival.number);
        return;
    }
    // RFC 9000 §9.3: only the newest packet tells where the peer is; others may be copies sent from elsewhere.
    if (arrival.probing || arrival.number < acks_.next_expected()) {
        return;
    }
    if (candidates_.size() >= kMaxCandidates) {
        candidates_.erase(candidates_.begin());
    }
    PathCandidate candidate{.addresses = arrival.addresses,
                            .received = size,
                            .highest_received = arrival.number,
                            .next_action = arrival.now};
    rng_->fill(candidate.token);
    candidates_.push_back(candidate);
}

void Connection::Impl::handle_path_response(const PathToken& token, TimePoint now) {
    const auto it = std::ranges::find_if(candidates_, [&](const auto& candidate) { return candidate.token == token; });
    if (it == candidates_.end() || it->challenges == 0) {
        return;
    }
    const auto candidate = *it;
    candidates_.erase(it);
    const auto* path = active();
    if (path == nullptr || candidate.highest_received > path->highest_received) {
        adopt(candidate, now);
    }
}

void Connection::Impl::adopt(const PathCandidate& candidate, TimePoint now) {
    auto* path = active();
    // RFC 9000 §9.4: another port is a NAT's doing and the same path; another address may be anything.
    const bool same = path != nullptr && only_ports_differ(path->addresses, candidate.addresses);
    if (same) {
        path->addresses = candidate.addresses;
    } else {
        path = &create_path(candidate.addresses, now);
    }
    path->highest_received = candidate.highest_received;
    path->last_heard = now;
    switch_to(*path, "peer address changed", now);
}

void Connection::Impl::age_candidates(TimePoint now) {
    std::erase_if(candidates_, [now](const auto& candidate) {
        return candidate.next_action <= now && candidate.challenges >= kMaxChallenges;
    });
}

void Connection::Impl::handle_mtu_exceeded(std::size_t size, TimePoint now) {
    auto* path = active();
    if (path == nullptr) {
        return;
    }
    const auto before = path->mtu.current();
    if (path->mtu.on_too_big(size, now) && path->mtu.current() < before) {
        path->congestion->set_mtu(path->mtu.current());
    }
    // They never left this machine.
    if (size > config_.base_mtu) {
        abandon_packets(path->id, size, now);
    }
    rearm(now);
}

}  // namespace pinhole::transport
