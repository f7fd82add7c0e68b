// Where a peer stands in the network, as it measured it: a value that crosses the signaling, is shown to the user and
// planned with. Says what was seen, never what was guessed: an empty optional or `unknown` is "not measured".
#pragma once

#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pinhole::net {

/// How a mapping or a filter depends on the remote side (RFC 4787 §4.1 and §5; RFC 5382 §4 for TCP).
enum class NatBehavior : std::uint8_t {
    unknown = 0,
    none,                        ///< mapping: the outside sees our own address; filtering: everything gets in
    endpoint_independent,        ///< the same for all destinations
    address_dependent,           ///< by remote address
    address_and_port_dependent,  ///< by remote address and port
};

/// How external ports are chosen.
enum class PortAllocation : std::uint8_t {
    unknown = 0,
    preserving,  ///< the internal port, where it is free
    sequential,  ///< the last one plus `delta`
    block,       ///< anywhere within a block of at most kMaxBlock ports
    random,
};

inline constexpr std::uint16_t kMaxBlock = 2048;

struct PortRange {
    std::uint16_t first = 0;
    std::uint16_t last = 0;

    friend auto operator<=>(const PortRange&, const PortRange&) = default;
};

/// One transport protocol through our NATs. Several NATs in series show as the strictest of each property.
struct ProtocolReport {
    /// A server answered. False: it did not answer over this protocol, though it is there.
    std::optional<bool> open;
    NatBehavior mapping = NatBehavior::unknown;
    NatBehavior filtering = NatBehavior::unknown;
    PortAllocation allocation = PortAllocation::unknown;
    /// Of sequential allocation: ports per new mapping; negative counts down.
    std::optional<std::int32_t> delta;
    std::optional<PortRange> block;
    /// New mappings per second that other traffic makes on the NAT; only sequential allocation shows it.
    std::optional<double> rate;
    /// A packet to our own reflexive address comes back in.
    std::optional<bool> hairpin;
    /// How long an idle mapping lived at least, measured on request.
    std::optional<Duration> lifetime;
    /// Our address as the server saw it.
    std::optional<Endpoint> reflexive;
    /// External ports of the samples, in the order in which they were made.
    std::vector<std::uint16_t> samples;
    /// The smallest TTL of a packet that opens all of our NATs.
    std::optional<std::uint8_t> opening_ttl;

    friend bool operator==(const ProtocolReport&, const ProtocolReport&) = default;
};

/// What a planner needs to know of a side, in one word.
enum class NatClass : std::uint8_t {
    unknown = 0,
    open,             ///< O: reachable by anybody: public, or endpoint-independent in both
    easy_address,     ///< E+: the external port is known and the filter looks at the remote address only
    easy,             ///< E: the external port is known, the filter looks at address and port
    hard_sequential,  ///< S: a new port for each destination, predictable
    hard_block,       ///< C: a new port for each destination, within a block
    hard_random,      ///< R: a new port for each destination, anywhere
    blocked,          ///< B: no UDP
};

struct NetReport {
    ProtocolReport udp;
    ProtocolReport tcp;
    /// Addresses of this machine's interfaces.
    std::vector<Address> local;
    /// IPv6 reaches the server; empty when the server has no IPv6 address.
    std::optional<bool> ipv6;
    std::optional<Endpoint> reflexive_v6;
    /// To the server, over UDP if it is open.
    std::optional<Duration> rtt;
    /// What could not be measured and why, whole sentences for people; not sent to the server.
    std::vector<std::string> notes;

    friend bool operator==(const NetReport&, const NetReport&) = default;
};

[[nodiscard]] NatClass classify(const NetReport& report);

/// The words of the command line's contract ("endpoint-independent", "preserving", "E+").
[[nodiscard]] const char* name(NatBehavior behavior);
[[nodiscard]] const char* name(PortAllocation allocation);
[[nodiscard]] const char* name(NatClass nat_class);

}  // namespace pinhole::net
