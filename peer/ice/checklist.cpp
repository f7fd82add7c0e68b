#include "peer/ice/checklist.hpp"

#include <algorithm>
#include <tuple>

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

// RFC 6544 §6.2: who connects needs somebody who listens. Pairs of a passive local candidate are left out, because
// nothing can be sent on them before the other side has connected (the same section).
bool may_connect(net::TcpType local, net::TcpType remote) {
    using enum net::TcpType;
    return (local == none && remote == none) || (local == active && remote == passive) ||
           (local == simultaneous_open && remote == simultaneous_open);
}

// RFC 8445 §6.1.2.2. Loopback is kept to loopback likewise, so that no peer can aim checks at services of this host.
bool compatible(const net::Candidate& local, const net::Candidate& remote) {
    const auto& base = local.base.address;
    const auto& other = remote.endpoint.address;
    return local.transport == remote.transport && may_connect(local.tcp_type, remote.tcp_type) &&
           base.family() == other.family() && base.is_link_local() == other.is_link_local() &&
           base.is_loopback() == other.is_loopback();
}

bool same_place(const net::Candidate& a, const net::Candidate& b) {
    return a.endpoint == b.endpoint && a.transport == b.transport && a.tcp_type == b.tcp_type;
}

bool leads_to(const net::PathAddresses& path, const net::Candidate& remote) {
    return path.transport == remote.transport && plain(path.remote) == remote.endpoint;
}

}  // namespace

std::uint64_t pair_priority(std::uint32_t controlling, std::uint32_t controlled) {
    const std::uint64_t low = std::min(controlling, controlled);
    const std::uint64_t high = std::max(controlling, controlled);
    return (low << 32) + 2 * high + (controlling > controlled ? 1 : 0);
}

std::uint32_t reflexive_priority(std::uint32_t local_priority, net::Transport transport) {
    return (net::candidate_priority(net::CandidateType::peer_reflexive, 0, transport) & 0xff000000U) |
           (local_priority & 0x00ffffffU);
}

bool Checklist::add_local(const net::Candidate& candidate) {
    const auto same = [&](const Local& local) {
        return local.pairing == Pairing::all && same_place(local.candidate, candidate) &&
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
    const auto learnt = [&](const net::Candidate& known) {
        return known.type == net::CandidateType::peer_reflexive && known.endpoint == added.endpoint &&
               known.transport == added.transport;
    };
    const auto known =
        std::ranges::find_if(remotes_, [&](const auto& other) { return same_place(other, added) || learnt(other); });
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

bool Checklist::learn_remote(const net::PathAddresses& path, std::uint32_t priority) {
    const auto address = plain(path.remote);
    if (best_remote(path) != nullptr) {
        return true;
    }
    if (!usable(address) || (remotes_.size() >= kMaxRemoteCandidates && !evict_remote())) {
        return false;
    }
    // Whoever has connected to us can do nothing but that as far as we know (RFC 6544 §7.2).
    const bool tcp = path.transport == net::Transport::tcp;
    remotes_.push_back({.type = net::CandidateType::peer_reflexive,
                        .endpoint = address,
                        .base = address,
                        .priority = priority,
                        .foundation = "peer" + std::to_string(++learnt_),
                        .transport = path.transport,
                        .tcp_type = tcp ? net::TcpType::active : net::TcpType::none});
    return true;
}

bool Checklist::add_base(const net::Endpoint& base) {
    const auto known = [&](const Local& local) {
        return local.pairing != Pairing::none && local.candidate.base == base &&
               local.candidate.transport == net::Transport::udp;
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

net::CandidateType Checklist::learn_local(const net::Endpoint& mapped, const net::PathAddresses& path,
                                          std::uint32_t priority) {
    for (const auto& local : locals_) {
        if (plain(local.candidate.endpoint) == plain(mapped) && local.candidate.base == path.local &&
            local.candidate.transport == path.transport) {
            return local.candidate.type;
        }
    }
    if (locals_.size() < kMaxLocalCandidates) {
        const bool tcp = path.transport == net::Transport::tcp;
        locals_.push_back({.candidate = {.type = net::CandidateType::peer_reflexive,
                                         .endpoint = mapped,
                                         .base = path.local,
                                         .priority = priority,
                                         .foundation = "self" + std::to_string(++learnt_),
                                         .transport = path.transport,
                                         .tcp_type = tcp ? net::TcpType::active : net::TcpType::none},
                           .pairing = Pairing::none});
    }
    return net::CandidateType::peer_reflexive;
}

std::optional<net::PathAddresses> Checklist::canonical(const net::PathAddresses& path) const {
    const auto local = plain(path.local);
    for (const auto& known : locals_) {
        const auto& base = known.candidate.base;
        if (plain(base) == local && known.candidate.transport == path.transport) {
            return net::PathAddresses{.local = base, .remote = scoped(path.remote, base), .transport = path.transport};
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
    const auto* local = best_local(path);
    const auto* candidate = best_remote(path);
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
    const auto* local = best_local(pair.path);
    const auto* candidate = best_remote(pair.path);
    if (local != nullptr && candidate != nullptr) {
        rate(pair, *local, *candidate);
    }
}

bool Checklist::has_ordinary() const {
    return std::ranges::any_of(pairs_, [&](const auto& entry) {
        const auto state = entry.second.state;
        return (state == PairState::waiting || state == PairState::frozen) && admitted(entry.second);
    });
}

bool Checklist::admitted(const Pair& pair) const {
    return tcp_admitted_ || pair.path.transport != net::Transport::tcp;
}

std::size_t Checklist::tcp_pairs() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(pairs_, [](const auto& entry) { return entry.first.transport == net::Transport::tcp; }));
}

// Deviation: where RFC 8445 would leave a slot unused because all frozen pairs have a relative under way, the best of
// them is checked all the same. Frozen pairs save packets; with 7 sends a check that nobody answers would hold its
// relatives for longer than anybody waits for a connection.
Pair* Checklist::next_ordinary() {
    thaw_idle_foundations();
    auto* waiting = best(PairState::waiting);
    return waiting != nullptr ? waiting : best(PairState::frozen);
}

// One bit for a relay at our end, one for a relay at theirs.
std::size_t Checklist::relay_kind(const Pair& pair) const {
    const auto* local = best_local(pair.path);
    const auto* candidate = best_remote(pair.path);
    const bool ours = local != nullptr && local->candidate.type == net::CandidateType::relayed;
    const bool theirs = candidate != nullptr && candidate->type == net::CandidateType::relayed;
    return (ours ? 1U : 0U) + (theirs ? 2U : 0U);
}

Pair* Checklist::next_relayed() {
    Pair* found = nullptr;
    for (auto& [path, pair] : pairs_) {
        const bool unchecked = pair.state == PairState::waiting || pair.state == PairState::frozen;
        if (!unchecked || (found != nullptr && pair.priority < found->priority)) {
            continue;
        }
        if (const auto kind = relay_kind(pair); kind != 0 && !relayed_checked_[kind]) {
            found = &pair;
        }
    }
    if (found != nullptr) {
        relayed_checked_[relay_kind(*found)] = true;
    }
    return found;
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

// With a relay on each side there are two such pairs, and each side rates that of the other's relay higher, for its own
// local candidate is a host: the controlling side's relay decides, so that both move to the same pair.
const Pair* Checklist::best_besides(const Pair& selected) const {
    const bool wants_relay = relay_kind(selected) == 0;
    const std::size_t controlling = role_ == Role::controlling ? 1 : 2;
    const auto value = [&](const Pair& pair) {
        const auto kind = wants_relay ? relay_kind(pair) : 0;
        return std::tuple{kind != 0, kind == controlling, pair.priority};
    };
    const Pair* found = nullptr;
    for (const auto& [path, pair] : pairs_) {
        if (pair.valid() && path != selected.path && (found == nullptr || value(pair) > value(*found))) {
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
    return !pairs_.empty() && std::ranges::all_of(pairs_, [&](const auto& entry) {
        return entry.second.state == PairState::failed || !(entry.second.settled() || admitted(entry.second));
    });
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
        const auto* local = best_local(path);
        const auto* candidate = best_remote(path);
        if (local != nullptr && candidate != nullptr) {
            rate(pair, *local, *candidate);
        }
    }
}

PairInfo Checklist::describe(const Pair& pair) const {
    const auto* candidate = best_remote(pair.path);
    return {.path = pair.path,
            .local_type = pair.local_type,
            .remote_type = candidate == nullptr ? net::CandidateType::peer_reflexive : candidate->type,
            .rtt = pair.rtt};
}

const Checklist::Local* Checklist::best_local(const net::PathAddresses& path) const {
    const Local* found = nullptr;
    for (const auto& local : locals_) {
        if (local.pairing != Pairing::none && local.candidate.base == path.local &&
            local.candidate.transport == path.transport &&
            (found == nullptr || local.candidate.priority > found->candidate.priority)) {
            found = &local;
        }
    }
    return found;
}

// Over TCP one endpoint may be two candidates, a passive one and one of simultaneous open.
const net::Candidate* Checklist::best_remote(const net::PathAddresses& path) const {
    const net::Candidate* found = nullptr;
    for (const auto& remote : remotes_) {
        if (leads_to(path, remote) && (found == nullptr || remote.priority > found->priority)) {
            found = &remote;
        }
    }
    return found;
}

// RFC 8445 §6.1.2.4: a reflexive candidate is sent from its base, so of all local candidates of a base only the best
// makes a pair with a given remote one.
bool Checklist::form(const Local& local, const net::Candidate& remote) {
    const auto& base = local.candidate.base;
    if (!compatible(local.candidate, remote)) {
        return false;
    }
    if (auto* known =
            find({.local = base, .remote = scoped(remote.endpoint, base), .transport = local.candidate.transport})) {
        if (local.candidate.priority > known->local_priority) {
            rate(*known, local, remote);
        }
        return false;
    }
    return insert(local, remote, false) != nullptr;
}

Pair* Checklist::insert(const Local& local, const net::Candidate& remote, bool proven) {
    Pair pair;
    pair.path = {.local = local.candidate.base,
                 .remote = scoped(remote.endpoint, local.candidate.base),
                 .transport = local.candidate.transport};
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
                   return leads_to(pair.path, candidate) &&
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
    std::erase_if(pairs_, [&](const auto& entry) { return leads_to(entry.first, *worst); });
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
        if (pair.state == PairState::frozen && admitted(pair)) {
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
        const bool eligible = pair.state == state && (admitted(pair) || pair.settled());
        if (eligible && (found == nullptr || pair.priority > found->priority)) {
            found = &pair;
        }
    }
    return found;
}

}  // namespace pinhole::ice
