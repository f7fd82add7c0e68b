#include "tests/lab/model/nat_table.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace pinhole::lab {

namespace {

constexpr std::uint16_t kLastPort = std::numeric_limits<std::uint16_t>::max();

/// The live session by which the filter of a mapping lets `remote` in.
Session* opened_by(Mapping& mapping, EndpointKey remote, Dependence filtering, TimePoint now) {
    const auto opens = [now](const Session& session) { return session.sent && session.expires > now; };
    if (const auto exact = mapping.sessions.find(remote); exact != mapping.sessions.end() && opens(exact->second)) {
        return &exact->second;
    }
    if (filtering != Dependence::address_dependent) {
        return nullptr;
    }
    auto near = mapping.sessions.lower_bound({.address = remote.address, .port = 0});
    for (; near != mapping.sessions.end() && near->first.address == remote.address; ++near) {
        if (opens(near->second)) {
            return &near->second;
        }
    }
    return nullptr;
}

NatTable::Admission try_mapping(Mapping* mapping, EndpointKey remote, Dependence filtering, TimePoint now) {
    if (mapping == nullptr) {
        return {};
    }
    auto* session = opened_by(*mapping, remote, filtering, now);
    return session != nullptr || filtering == Dependence::endpoint_independent
               ? NatTable::Admission{.mapping = mapping, .session = session}
               : NatTable::Admission{};
}

}  // namespace

RemoteScope RemoteScope::of(Dependence dependence, EndpointKey remote) {
    switch (dependence) {
        case Dependence::endpoint_independent:
            return {.remote = {}, .dependence = dependence};
        case Dependence::address_dependent:
            return {.remote = {.address = remote.address, .port = 0}, .dependence = dependence};
        case Dependence::address_and_port_dependent:
            break;
    }
    return {.remote = remote, .dependence = Dependence::address_and_port_dependent};
}

void NatTable::expire(TimePoint now) {
    while (!due_.empty() && due_.front().at <= now) {
        std::ranges::pop_heap(due_, std::greater{});
        const auto due = due_.back();
        due_.pop_back();
        const auto where = mappings_.find(due.key);
        if (where == mappings_.end() || where->second.due != due.at) {
            continue;
        }
        auto& mapping = where->second;
        if (mapping.expires <= now) {
            remove(where);
        } else {
            std::erase_if(mapping.sessions, [now](const auto& entry) { return entry.second.expires <= now; });
            watch(mapping);
        }
    }
}

void NatTable::clear() {
    *this = {};
}

Mapping* NatTable::find(const MappingKey& key) {
    const auto where = mappings_.find(key);
    return where == mappings_.end() ? nullptr : &where->second;
}

Mapping& NatTable::add(const MappingKey& key, EndpointKey external, bool exception) {
    auto& mapping = mappings_[key];
    mapping.key = key;
    mapping.external = external;
    mapping.exception = exception;
    mapping.due = TimePoint::max();
    by_external_[{.protocol = key.protocol, .external = external, .scope = key.scope, .internal = key.internal}] =
        &mapping;
    count(mapping, true);
    return mapping;
}

Session* NatTable::session(Mapping& mapping, EndpointKey remote, TimePoint now) {
    auto where = mapping.sessions.find(remote);
    if (where == mapping.sessions.end()) {
        if (mapping.sessions.size() >= kMaxSessions) {
            return nullptr;
        }
        where = mapping.sessions.emplace(remote, Session{}).first;
    } else if (where->second.expires <= now) {
        where->second = {};
    }
    return &where->second;
}

void NatTable::set_expiry(Mapping& mapping, Session& session, TimePoint expires) {
    const bool was_last = session.expires >= mapping.expires;
    session.expires = expires;
    if (expires >= mapping.expires) {
        mapping.expires = expires;
    } else if (was_last) {
        const auto last =
            std::ranges::max_element(mapping.sessions, {}, [](const auto& entry) { return entry.second.expires; });
        mapping.expires = last->second.expires;
    }
    if (mapping.expires < mapping.due) {
        watch(mapping);
    }
}

void NatTable::prolong(Mapping& mapping, TimePoint expires) {
    mapping.expires = std::max(mapping.expires, expires);
}

NatTable::Admission NatTable::admit(Protocol protocol, EndpointKey external, EndpointKey remote, Dependence filtering,
                                    TimePoint now) {
    for (const auto dependence :
         {Dependence::address_and_port_dependent, Dependence::address_dependent, Dependence::endpoint_independent}) {
        auto* mapping = at(protocol, external, RemoteScope::of(dependence, remote));
        if (const auto admission = try_mapping(mapping, remote, filtering, now); admission.mapping != nullptr) {
            return admission;
        }
    }
    return admit_any(protocol, external, remote, filtering, now);
}

NatTable::Admission NatTable::admit_any(Protocol protocol, EndpointKey external, EndpointKey remote,
                                        Dependence filtering, TimePoint now) const {
    if (filtering == Dependence::address_and_port_dependent) {
        return {};
    }
    // A mapping for another endpoint, of the same address unless that does not matter either.
    const bool any_address = filtering == Dependence::endpoint_independent;
    const EndpointKey first = any_address ? EndpointKey{} : EndpointKey{.address = remote.address, .port = 0};
    auto where = by_external_.lower_bound(
        {.protocol = protocol, .external = external, .scope = {.remote = first, .dependence = {}}, .internal = {}});
    for (; where != by_external_.end(); ++where) {
        const auto& key = where->first;
        if (key.protocol != protocol || key.external != external ||
            (!any_address && key.scope.remote.address != remote.address)) {
            break;
        }
        if (const auto admission = try_mapping(where->second, remote, filtering, now); admission.mapping != nullptr) {
            return admission;
        }
    }
    return {};
}

Mapping* NatTable::sender(Protocol protocol, EndpointKey external, EndpointKey remote, TimePoint now) {
    for (const auto dependence :
         {Dependence::address_and_port_dependent, Dependence::address_dependent, Dependence::endpoint_independent}) {
        auto* mapping = at(protocol, external, RemoteScope::of(dependence, remote));
        if (mapping != nullptr && opened_by(*mapping, remote, Dependence::address_and_port_dependent, now) != nullptr) {
            return mapping;
        }
    }
    return nullptr;
}

bool NatTable::in_use(Protocol protocol, EndpointKey external) const {
    const auto use = port_use_.find({protocol, external.address});
    return use != port_use_.end() && use->second.mappings[external.port] > 0;
}

bool NatTable::can_share(const MappingKey& key, EndpointKey external) const {
    if (!in_use(key.protocol, external)) {
        return true;
    }
    // Others that overlap: of no remote at all, of this scope, and of wider and narrower ones.
    const auto none_between = [&](EndpointKey first, EndpointKey last) {
        auto where = by_external_.lower_bound({.protocol = key.protocol,
                                               .external = external,
                                               .scope = {.remote = first, .dependence = {}},
                                               .internal = {}});
        for (; where != by_external_.end() && where->first.protocol == key.protocol &&
               where->first.external == external && where->first.scope.remote <= last;
             ++where) {
            if (where->first.internal != key.internal) {
                return false;
            }
        }
        return true;
    };
    const auto remote = key.scope.remote;
    const EndpointKey whole_address{.address = remote.address, .port = 0};
    constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
    switch (key.scope.dependence) {
        case Dependence::endpoint_independent:
            return none_between({}, {.address = {.high = kMax, .low = kMax}, .port = kLastPort});
        case Dependence::address_dependent:
            return none_between({}, {}) && none_between(whole_address, {.address = remote.address, .port = kLastPort});
        case Dependence::address_and_port_dependent:
            break;
    }
    return none_between({}, {}) && none_between(whole_address, whole_address) && none_between(remote, remote);
}

std::size_t NatTable::ports_in_use(Protocol protocol, AddressKey external) const {
    const auto use = port_use_.find({protocol, external});
    return use == port_use_.end() ? 0 : use->second.ports;
}

std::size_t NatTable::count_of(AddressKey internal) const {
    const auto host = per_host_.find(internal);
    return host == per_host_.end() ? 0 : host->second;
}

Mapping* NatTable::at(Protocol protocol, EndpointKey external, const RemoteScope& scope) const {
    const auto where =
        by_external_.lower_bound({.protocol = protocol, .external = external, .scope = scope, .internal = {}});
    const bool found = where != by_external_.end() && where->first.protocol == protocol &&
                       where->first.external == external && where->first.scope == scope;
    return found ? where->second : nullptr;
}

void NatTable::watch(Mapping& mapping) {
    mapping.due = mapping.expires;
    due_.push_back({.at = mapping.due, .key = mapping.key});
    std::ranges::push_heap(due_, std::greater{});
}

void NatTable::remove(std::map<MappingKey, Mapping>::iterator where) {
    const auto& mapping = where->second;
    count(mapping, false);
    by_external_.erase({.protocol = mapping.key.protocol,
                        .external = mapping.external,
                        .scope = mapping.key.scope,
                        .internal = mapping.key.internal});
    mappings_.erase(where);
}

void NatTable::count(const Mapping& mapping, bool added) {
    exceptions_ += mapping.exception ? (added ? 1U : ~std::size_t{0}) : 0U;
    if (!mapping.external.address.is_v4()) {
        return;
    }
    auto& use = port_use_[{mapping.key.protocol, mapping.external.address}];
    auto& sharing = use.mappings[mapping.external.port];
    auto& host = per_host_[mapping.key.internal.address];
    if (added) {
        ++count_v4_;
        ++host;
        use.ports += sharing++ == 0 ? 1 : 0;
        return;
    }
    --count_v4_;
    use.ports -= --sharing == 0 ? 1 : 0;
    if (--host == 0) {
        per_host_.erase(mapping.key.internal.address);
    }
}

}  // namespace pinhole::lab
