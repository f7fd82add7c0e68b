// A topology as values: hosts and NATs in layers, each on a link. Read from TOML by topology_file.hpp; the format is
// README.md of tests/lab. Addresses that are not given are assigned by `resolve`.
//
//     internet (the core router) ── link ── NAT "home" ── link ── NAT "inner" ── link ── host "alice"
//              └── link ── host "server"
#pragma once

#include "common/base/error.hpp"
#include "tests/lab/model/link.hpp"
#include "tests/lab/model/nat_model.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pinhole::lab {

inline constexpr const char* kInternet = "internet";

/// The two directions of a link, seen from the thing that hangs on it: `up` is away from it.
struct LinkPair {
    LinkConfig up;
    LinkConfig down;
};

/// Addresses that are unspecified (0.0.0.0, ::) are assigned by `resolve`; so `{any(v4), any(v4)}` asks for two.
struct NatNode {
    NatConfig nat;
    /// The NAT whose LAN it is on, or kInternet.
    std::string behind = kInternet;
    LinkPair link;
    /// On the outer side, IPv4; empty is one.
    std::vector<net::Address> external;
    /// The LAN on its inner side, e.g. 10.1.0.0/24; the router itself has the first address.
    net::Address lan;
    std::uint8_t lan_prefix = 24;
    /// A /64 for the LAN if the NAT forwards IPv6; nullopt: it forwards none.
    std::optional<net::Address> lan_v6;
};

struct HostNode {
    std::string name;
    std::string behind = kInternet;
    LinkPair link;
    /// At least one IPv4 address (empty is one); a server for RFC 5780 has two. IPv6 ones follow.
    std::vector<net::Address> addresses;
};

struct Topology {
    std::uint64_t seed = 1;
    std::vector<NatNode> nats;
    std::vector<HostNode> hosts;
};

/// NATs and hosts of one topology.
inline constexpr std::size_t kMaxNodes = 64;
/// IPv4 addresses of one NAT or host, and IPv6 addresses of one host.
inline constexpr std::size_t kMaxAddresses = 16;
/// Mappings per second that a NAT's background traffic makes at most.
inline constexpr double kMaxBackground = 1e6;

/// Checks names, layers and values and fills in what was left empty: addresses on the internet are 198.18.N.2 and
/// following for the N-th thing on it (first the NATs, then the hosts), so that no two share a /24; LANs 10.N.0.0/24
/// for the N-th NAT. Errors are whole sentences in `detail`.
[[nodiscard]] Status resolve(Topology& topology);

/// What is wrong with a topology: the sentence, and the NAT or host it is about (its name may be what is wrong).
struct TopologyProblem {
    bool is_nat = false;
    std::size_t index = 0;
    std::string sentence;
};

/// As `resolve`.
[[nodiscard]] std::optional<TopologyProblem> resolve_nodes(Topology& topology);

}  // namespace pinhole::lab
