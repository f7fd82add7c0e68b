#include "peer/ice/checklist.hpp"

#include <algorithm>

namespace pinhole::ice {

namespace {

net::Endpoint plain(const net::Endpoint& endpoint) {
    if (endpoint.address.scope() == 0) {
        return endpoint;
    }
    return {.address = *net::Address::from_bytes(endpoint.address.bytes()), .port = endpoint.port};
}

/// A link-local IPv6 destination is reached through the interface of the base that sends.
net::Endpoint scoped(const net::Endpoint& remote, const net::Endpoint& base) {
    if (remote.address.is_v4() || !remote.address.is_link_local()) {
        return plain(remote);
    }
    std::array<std::uint8_t, 16> bytes{};
    std::ranges::copy(remote.address.bytes(), bytes.begin());
    return {.address = net::Address::v6(bytes, base.address.scope()), .port = remote.port};
}

bool usable(const net::Endpoint& endpoint) {
    const auto& address = endpoint.address;
    const bool broadcast =
        address.is_v4() && std::ranges::all_of(address.bytes(), [](auto byte) { return byte == 0xff; });
    return endpoint.port != 0 && !address.is_unspecified() && !address.is_multicast() && !broadcast;
}

// RFC 8445 §6.1.2.2. Loopback is kept to loopback likewise, so that no peer can aim checks at services of this host.
bool compatible(const net::Endpoint& base, const net::Endpoint& remote) {
    return base.address.family() == remote.address.family() &&
           base.address.is_link_local() == remote.address.is_link_local() &&
           base.address.is_loopback() == remote.address.is_loopback();
}

}  // namespace

std::uint64_t pair_priority(std::uint32_t controlling, std::uint32_t controlled) {
    const std::uint64_t low = std::min(controlling, controlled);
    const std::uint64_t high = std::max(controlling, controlled);
    return (low << 32) + 2 * high + (controlling > controlled ? 1 : 0);
}

std::uint32_t reflexive_priority(std::uint32_t local_priority) {
    return (net::candidate_priority(net::CandidateType::peer_reflexive, 0) & 0xff000000U) |
           (local_priority & 0x00ffffffU);
}

bool Checklist::add_local(const net::Candidate& candidate) {
    const auto same = [&](const Local& local) {
        return local.pairing == Pairing::all && local.candidate.endpoint == candidate.endpoint &&
               local.candidate.base == candidate.base;
    };
    if (locals_.size() >= kMaxLocalCandidates || !usable(candidate.endpoint) || !usable(candidate.base) ||
        std::ranges::any_of(locals_, same)) {
        return false;
    }
    locals_.push_back({.candidate = candidate});
    bool added = false;
    for (const auto& remote : remotes_) {
        added = form(locals_.back(), remote) || added;
    }
    return added;
}

bool Checklist::add_remote(const net::Candidate& candidate) {
    auto added = candidate;
    added.endpoint = plain(candidate.endpoint);
    added.foundation.resize(std::min<std::size_t>(added.foundation.size(), 32));
    if (!usable(added.endpoint)) {
        return false;
    }
    const auto known = std::ranges::find(remotes_, added.endpoint, &net::Candidate::endpoint);
    if (known != remotes_.end()) {
        // RFC 8838 §11.4: what was learnt from a check takes the properties that are signalled later.
        if (known->type == net::CandidateType::peer_reflexive && added.type != net::CandidateType::peer_reflexive) {
            *known = added;
            set_role(role_);
        }
        return false;
    }
    if (remotes_.size() >= kMaxRemoteCandidates) {
        return false;
    }
    remotes_.push_back(added);
    bool formed = false;
    for (const auto& local : locals_) {
        formed = (local.pairing == Pairing::all && form(local, remotes_.back())) || formed;
    }
    return formed;
}

bool Checklist::learn_remote(const net::Endpoint& endpoint, std::uint32_t priority) {
    const auto address = plain(endpoint);
    if (remote(address) != nullptr) {
        return true;
    }
    if (!usable(address) || (remotes_.size() >= kMaxRemoteCandidates && !evict_remote())) {
        return false;
    }
    remotes_.push_back({.type = net::CandidateType::peer_reflexive,
                        .endpoint = address,
                        .base = address,
                        .priority = priority,
                        .foundation = "peer" + std::to_string(++learnt_)});
    return true;
}

bool Checklist::add_base(const net::Endpoint& base) {
    const auto known = [&](const Local& local) {
        return local.pairing != Pairing::none && local.candidate.base == base;
    };
    if (std::ranges::any_of(locals_, known)) {
        return true;
    }
    if (locals_.size() >= kMaxLocalCandidates || !usable(base)) {
        return false;
    }
    locals_.push_back({.candidate = {.type = net::CandidateType::host,
                                     .endpoint = base,
                                     .base = base,
                                     .priority = net::candidate_priority(net::CandidateType::host, 0),
                                     .foundation = "base" + std::to_string(++learnt_)},
                       .pairing = Pairing::named});
    return true;
}

net::CandidateType Checklist::learn_local(const net::Endpoint& mapped, const net::Endpoint& base,
                                          std::uint32_t priority) {
    for (const auto& local : locals_) {
        if (plain(local.candidate.endpoint) == plain(mapped) && local.candidate.base == base) {
            return local.candidate.type;
        }
    }
    if (locals_.size() < kMaxLocalCandidates) {
        locals_.push_back({.candidate = {.type = net::CandidateType::peer_reflexive,
                                         .endpoint = mapped,
                                         .base = base,
                                         .priority = priority,
                                         .foundation = "self" + std::to_string(++learnt_)},
                           .pairing = Pairing::none});
    }
    return net::CandidateType::peer_reflexive;
}

std::optional<net::PathAddresses> Checklist::canonical(const net::PathAddresses& path) const {
    const auto local = plain(path.local);
    for (const auto& known : locals_) {
        const auto& base = known.candidate.base;
        if (plain(base) == local) {
            return net::PathAddresses{.local = base, .remote = scoped(path.remote, base)};
        }
    }
    return std::nullopt;
}

Pair* Checklist::find(const net::PathAddresses& path) {
    const auto found = pairs_.find(path);
    return found == pairs_.end() ? nullptr : &found->second;
}

const Pair* Checklist::find(const net::PathAddresses& path) const {
    const auto found = pairs_.find(path);
    return found == pairs_.end() ? nullptr : &found->second;
}

Pair* Checklist::find_or_add(const net::PathAddresses& path) {
    if (auto* known = find(path)) {
        return known;
    }
    const auto* local = best_local(path.local);
    const auto* candidate = remote(plain(path.remote));
    return local != nullptr && candidate != nullptr ? insert(*local, *candidate, true) : nullptr;
}

void Checklist::trigger(Pair& pair) {
    if (!pair.valid()) {
        pair.state = PairState::waiting;
    }
    if (!pair.queued) {
        pair.queued = true;
        triggered_.push_back(pair.path);
    }
}

Pair* Checklist::pop_triggered() {
    while (!triggered_.empty()) {
        auto* pair = find(triggered_.front());
        triggered_.pop_front();
        if (pair == nullptr) {
            continue;
        }
        pair->queued = false;
        // A pair that has become valid meanwhile needs no check but a nomination.
        if (!pair->valid() || pair->nominate) {
            return pair;
        }
    }
    return nullptr;
}

void Checklist::mark_split(Pair& pair) {
    pair.split = true;
    const auto* local = best_local(pair.path.local);
    const auto* candidate = remote(plain(pair.path.remote));
    if (local != nullptr && candidate != nullptr) {
        rate(pair, *local, *candidate);
    }
}

bool Checklist::has_ordinary() const {
    return std::ranges::any_of(pairs_, [](const auto& entry) {
        return entry.second.state == PairState::waiting || entry.second.state == PairState::frozen;
    });
}

// Deviation: where RFC 8445 would leave a slot unused because all frozen pairs have a relative under way, the best of
// them is checked all the same. Frozen pairs save packets; with 7 sends a check that nobody answers would hold its
// relatives for longer than anybody waits for a connection.
Pair* Checklist::next_ordinary() {
    thaw_idle_foundations();
    auto* waiting = best(PairState::waiting);
    return waiting != nullptr ? waiting : best(PairState::frozen);
}

void Checklist::thaw(const std::string& foundation) {
    for (auto& [path, pair] : pairs_) {
        if (pair.state == PairState::frozen && pair.foundation == foundation) {
            pair.state = PairState::waiting;
        }
    }
}

Pair* Checklist::best_valid() {
    return best(PairState::succeeded);
}

const Pair* Checklist::best_valid() const {
    const Pair* found = nullptr;
    for (const auto& [path, pair] : pairs_) {
        if (pair.valid() && (found == nullptr || pair.priority > found->priority)) {
            found = &pair;
        }
    }
    return found;
}

bool Checklist::has_unsettled_above(std::uint64_t priority) const {
    return std::ranges::any_of(
        pairs_, [&](const auto& entry) { return !entry.second.settled() && entry.second.priority > priority; });
}

bool Checklist::all_failed() const {
    return !pairs_.empty() &&
           std::ranges::all_of(pairs_, [](const auto& entry) { return entry.second.state == PairState::failed; });
}

void Checklist::abandon_unsettled() {
    for (auto& [path, pair] : pairs_) {
        if (!pair.valid()) {
            pair.state = PairState::failed;
            pair.queued = false;
        }
    }
    std::erase_if(triggered_, [&](const auto& path) {
        const auto* pair = find(path);
        return pair == nullptr || !pair->queued;
    });
}

void Checklist::set_role(Role role) {
    const bool switched = role != role_;
    role_ = role;
    for (auto& [path, pair] : pairs_) {
        if (switched) {
            pair.nominate = false;
            pair.peer_nominated = false;
        }
        const auto* local = best_local(path.local);
        const auto* candidate = remote(plain(path.remote));
        if (local != nullptr && candidate != nullptr) {
            rate(pair, *local, *candidate);
        }
    }
}

PairInfo Checklist::describe(const Pair& pair) const {
    const auto* candidate = remote(plain(pair.path.remote));
    return {.path = pair.path,
            .local_type = pair.local_type,
            .remote_type = candidate == nullptr ? net::CandidateType::peer_reflexive : candidate->type,
            .rtt = pair.rtt};
}

const Checklist::Local* Checklist::best_local(const net::Endpoint& base) const {
    const Local* found = nullptr;
    for (const auto& local : locals_) {
        if (local.pairing != Pairing::none && local.candidate.base == base &&
            (found == nullptr || local.candidate.priority > found->candidate.priority)) {
            found = &local;
        }
    }
    return found;
}

const net::Candidate* Checklist::remote(const net::Endpoint& endpoint) const {
    const auto found = std::ranges::find(remotes_, endpoint, &net::Candidate::endpoint);
    return found == remotes_.end() ? nullptr : &*found;
}

// RFC 8445 §6.1.2.4: a reflexive candidate is sent from its base, so of all local candidates of a base only the best
// makes a pair with a given remote one.
bool Checklist::form(const Local& local, const net::Candidate& remote) {
    const auto& base = local.candidate.base;
    if (!compatible(base, remote.endpoint)) {
        return false;
    }
    if (auto* known = find({.local = base, .remote = scoped(remote.endpoint, base)})) {
        if (local.candidate.priority > known->local_priority) {
            rate(*known, local, remote);
        }
        return false;
    }
    return insert(local, remote, false) != nullptr;
}

Pair* Checklist::insert(const Local& local, const net::Candidate& remote, bool proven) {
    Pair pair;
    pair.path = {.local = local.candidate.base, .remote = scoped(remote.endpoint, local.candidate.base)};
    rate(pair, local, remote);
    if (pairs_.size() >= kMaxPairs && !make_room(proven ? std::nullopt : std::optional{pair.priority})) {
        return nullptr;
    }
    return &pairs_.emplace(pair.path, pair).first->second;
}

void Checklist::rate(Pair& pair, const Local& local, const net::Candidate& remote) const {
    pair.local_priority = local.candidate.priority;
    pair.remote_priority = pair.split ? 1 : remote.priority;
    pair.foundation = local.candidate.foundation + ':' + remote.foundation;
    pair.priority = role_ == Role::controlling ? pair_priority(pair.local_priority, pair.remote_priority)
                                               : pair_priority(pair.remote_priority, pair.local_priority);
}

/// Drops the worst pair that nothing depends on, if it is worse than `above` or there is no such demand.
bool Checklist::make_room(std::optional<std::uint64_t> above) {
    const Pair* worst = nullptr;
    for (const auto& [path, pair] : pairs_) {
        const bool idle = !pair.queued && !pair.valid() && pair.state != PairState::in_progress;
        if (idle && (worst == nullptr || pair.priority < worst->priority)) {
            worst = &pair;
        }
    }
    if (worst == nullptr || (above && worst->priority >= *above)) {
        return false;
    }
    pairs_.erase(net::PathAddresses{worst->path});
    return true;
}

/// An address that a check has arrived from is worth more than one that was only named: drops the worst of these.
bool Checklist::evict_remote() {
    const auto busy = [&](const net::Candidate& candidate) {
        return candidate.type == net::CandidateType::peer_reflexive ||
               std::ranges::any_of(pairs_, [&](const auto& entry) {
                   const auto& pair = entry.second;
                   return plain(pair.path.remote) == candidate.endpoint &&
                          (pair.queued || pair.valid() || pair.state == PairState::in_progress);
               });
    };
    auto worst = remotes_.end();
    for (auto at = remotes_.begin(); at != remotes_.end(); ++at) {
        if ((worst == remotes_.end() || at->priority < worst->priority) && !busy(*at)) {
            worst = at;
        }
    }
    if (worst == remotes_.end()) {
        return false;
    }
    std::erase_if(pairs_, [&](const auto& entry) { return plain(entry.first.remote) == worst->endpoint; });
    remotes_.erase(worst);
    return true;
}

bool Checklist::is_active(const std::string& foundation) const {
    return std::ranges::any_of(pairs_, [&](const auto& entry) {
        const auto& pair = entry.second;
        return (pair.state == PairState::waiting || pair.state == PairState::in_progress) &&
               pair.foundation == foundation;
    });
}

// RFC 8445 §6.1.2.6 and §6.1.4.2: the best pair of every foundation that has none waiting or under way.
void Checklist::thaw_idle_foundations() {
    std::vector<Pair*> frozen;
    for (auto& [path, pair] : pairs_) {
        if (pair.state == PairState::frozen) {
            frozen.push_back(&pair);
        }
    }
    std::ranges::sort(frozen, [](const Pair* a, const Pair* b) {
        return a->priority != b->priority ? a->priority > b->priority : a->path < b->path;
    });
    for (auto* pair : frozen) {
        if (!is_active(pair->foundation)) {
            pair->state = PairState::waiting;
        }
    }
}

Pair* Checklist::best(PairState state) {
    Pair* found = nullptr;
    for (auto& [path, pair] : pairs_) {
        if (pair.state == state && (found == nullptr || pair.priority > found->priority)) {
            found = &pair;
        }
    }
    return found;
}

}  // namespace pinhole::ice
