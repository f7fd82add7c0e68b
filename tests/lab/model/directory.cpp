#include "tests/lab/model/directory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace pinhole::lab {

namespace {

[[noreturn]] void no_such(std::string_view name) {
    (void)std::fprintf(stderr, "the topology has no \"%.*s\"\n", static_cast<int>(name.size()), name.data());
    std::abort();
}

}  // namespace

Directory::Directory(const Topology& topology) : hosts_(topology.hosts) {
    internet_.name = kInternet;
    for (const auto& nat : topology.nats) {
        by_name_.emplace(nat.nat.name, by_name_.size());
        lans_.push_back({.name = nat.nat.name,
                         .pool = AddressPool{nat.lan, nat.lan_prefix, nat.lan_v6},
                         .members = {},
                         .prefixes = {}});
    }
    for (const auto& host : topology.hosts) {
        by_name_.emplace(host.name, by_name_.size());
        wants_v6_.push_back(!host.addresses.back().is_v4());
    }
    for (const auto& nat : topology.nats) {
        realm_of_.push_back(realm_named(nat.behind));
    }
    for (const auto& host : topology.hosts) {
        realm_of_.push_back(realm_named(host.behind));
    }
    for (std::size_t i = 0; i < topology.nats.size(); ++i) {
        std::ranges::for_each(topology.nats[i].external, [&](const auto& address) { join(i, address); });
        if (const auto& prefix = topology.nats[i].lan_v6) {
            add_prefix(i, *prefix);
        }
    }
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        std::ranges::for_each(hosts_[i].addresses, [&](const auto& address) { join(nats() + i, address); });
    }
}

std::size_t Directory::line_named(std::string_view name) const {
    const auto where = by_name_.find(name);
    if (where == by_name_.end()) {
        no_such(name);
    }
    return where->second;
}

std::size_t Directory::nat_named(std::string_view name) const {
    const auto line = line_named(name);
    if (line >= nats()) {
        no_such(name);
    }
    return line;
}

std::size_t Directory::host_named(std::string_view name) const {
    const auto line = line_named(name);
    if (line < nats()) {
        no_such(name);
    }
    return line - nats();
}

std::size_t Directory::realm_named(std::string_view behind) const {
    return behind == kInternet ? kCore : nat_named(behind);
}

void Directory::add_prefix(std::size_t nat, const net::Address& prefix) {
    // Every realm further out knows which of its own NATs leads there.
    for (auto line = nat; line != kCore; line = realm_of_[line]) {
        at(realm_of_[line]).prefixes[key_of(prefix).high] = line;
    }
}

void Directory::join(std::size_t line, const net::Address& address) {
    auto& realm = at(realm_of_[line]);
    realm.members[key_of(address)] = line;
    (void)realm.pool.reserve(address);
}

std::optional<std::size_t> Directory::neighbour(std::size_t realm, const net::Address& address) const {
    const auto& members = at(realm).members;
    const auto where = members.find(key_of(address));
    return where == members.end() ? std::nullopt : std::optional{where->second};
}

std::optional<std::size_t> Directory::route(std::size_t realm, const net::Address& address) const {
    const auto exact = neighbour(realm, address);
    if (exact || address.is_v4()) {
        return exact;
    }
    const auto& prefixes = at(realm).prefixes;
    const auto where = prefixes.find(key_of(address).high);
    return where == prefixes.end() ? std::nullopt : std::optional{where->second};
}

net::Address Directory::move(std::size_t host, std::string_view behind) {
    auto& node = hosts_[host];
    const auto line = nats() + host;
    auto& old = at(realm_of_[line]);
    const auto addresses = std::exchange(node.addresses, {});
    for (const auto& address : addresses) {
        old.members.erase(key_of(address));
        old.pool.release(address);
    }
    realm_of_[line] = realm_named(behind);
    node.behind = behind;
    at(realm_of_[line]).pool.next_member();
    const auto v4 = std::ranges::count_if(addresses, &net::Address::is_v4);
    // One that was cut off by a full LAN gets an address again.
    for (std::ptrdiff_t i = 0; i < std::max<std::ptrdiff_t>(v4, 1); ++i) {
        take_address(host, net::Family::v4);
    }
    if (wants_v6_[host]) {
        take_address(host, net::Family::v6);
    }
    return node.addresses.empty() ? net::Address::any(net::Family::v4) : node.addresses.front();
}

void Directory::take_address(std::size_t host, net::Family family) {
    const auto line = nats() + host;
    if (const auto address = at(realm_of_[line]).pool.take(family)) {
        hosts_[host].addresses.push_back(*address);
        join(line, *address);
    }
}

}  // namespace pinhole::lab
