// A topology as values: hosts and NATs in layers, each on a link. Read from TOML by topology_file.hpp; the format is
// README.md of tests/lab. Addresses that are not given are assigned by `resolve`.
//
//     internet (the core router) ── link ── NAT "home" ── link ── NAT "inner" ── link ── host "alice"
//              └── link ── host "server"
#pragma once

#include "common/base/error.hpp"
#include "tests/lab/model/link.hpp"
#include "tests/lab/model/nat_model.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pinhole::lab {

inline constexpr const char* kInternet = "internet";

/// The two directions of a link, seen from the thing that hangs on it: `up` is away from it.
struct LinkPair {
    LinkConfig up;
    LinkConfig down;
};

struct NatNode {
    NatConfig nat;
    /// The NAT whose LAN it is on, or kInternet.
    std::string behind = kInternet;
    LinkPair link;
    /// On the outer side; one or more.
    std::vector<net::Address> external;
    /// The LAN on its inner side, e.g. 10.1.0.0/24; the router itself has the first address.
    net::Address lan;
    std::uint8_t lan_prefix = 24;
    /// A /64 for the LAN if the NAT forwards IPv6.
    std::optional<net::Address> lan_v6;
};

struct HostNode {
    std::string name;
    std::string behind = kInternet;
    LinkPair link;
    /// At least one IPv4 address; a server for RFC 5780 has two. IPv6 ones follow.
    std::vector<net::Address> addresses;
};

struct Topology {
    std::uint64_t seed = 1;
    std::vector<NatNode> nats;
    std::vector<HostNode> hosts;
};

/// Checks names and layers and fills in what was left empty. Addresses on the internet: 198.18.N.2 and following for
/// the N-th thing on it, so that no two share a /24; LANs: 10.N.0.0/24. Errors are whole sentences in `detail`.
[[nodiscard]] Status resolve(Topology& topology);

}  // namespace pinhole::lab
