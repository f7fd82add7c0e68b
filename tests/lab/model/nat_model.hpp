// A network address translator by the words of RFC 4787 (UDP), RFC 5382 (TCP) and RFC 5508 (ICMP): every behaviour is a
// setting, also those that the RFCs forbid. Translates flows, not bytes; knows no clock and no socket. The simulator
// and natbox run this same class. What a router is besides (TTL, links, routing) is Network's.
#pragma once

#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "tests/lab/model/packet.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pinhole::lab {

/// Which part of the remote side matters, for mapping (RFC 4787 §4.1) and for filtering (§5).
enum class Dependence : std::uint8_t { endpoint_independent, address_dependent, address_and_port_dependent };

enum class Allocation : std::uint8_t {
    preserving,  ///< the internal port; where another internal host holds it already, like `random`
    sequential,  ///< the port after the last one, `delta` further
    block,       ///< random within a block of `block_size` ports that each internal address gets
    random,
};

/// What happens to an inbound packet that no mapping or filter lets in.
enum class Unsolicited : std::uint8_t {
    drop,
    /// ICMP port unreachable, or RST for TCP.
    reject,
    /// As reject, and the packet takes the external port for its own remote endpoint, so that a later outbound packet
    /// of that port to that endpoint is mapped to another port (Linux conntrack without an input rule). The clash ends
    /// `clash_time` after the last unsolicited packet.
    clash,
};

enum class Pooling : std::uint8_t {
    paired,     ///< RFC 4787 §4.1: one external address for each internal one
    arbitrary,  ///< any external address for each mapping
};

struct NatConfig {
    std::string name{};
    Dependence mapping = Dependence::endpoint_independent;
    Dependence filtering = Dependence::address_and_port_dependent;
    Allocation allocation = Allocation::preserving;
    std::int32_t delta = 1;
    std::uint16_t first_port = 1024;
    std::uint16_t last_port = 65535;
    std::uint16_t block_size = 256;
    /// TCP where it differs from UDP.
    std::optional<Dependence> tcp_mapping{};
    std::optional<Dependence> tcp_filtering{};
    std::optional<Allocation> tcp_allocation{};
    /// Internal hosts reach each other by external endpoints; the source is translated too (RFC 4787 REQ-9).
    bool hairpin = false;
    Unsolicited unsolicited = Unsolicited::drop;
    Pooling pooling = Pooling::paired;
    /// RFC 4787 REQ-5: 2 minutes at least.
    Duration udp_timeout = 120s;
    /// RFC 4787 REQ-6: outbound refreshes always; inbound only if this is set.
    bool inbound_refresh = true;
    /// RFC 5382 REQ-5.
    Duration tcp_established_timeout = 7440s;
    Duration tcp_transitory_timeout = 240s;
    /// Of UDP; and of TCP, where the RST that answers ends the entry sooner.
    Duration clash_time = 30s;
    Duration tcp_clash_time = 10s;
    /// Mappings that one internal address may hold (RFC 6888 REQ-4); 0 is no limit. Beyond it new flows are dropped.
    std::size_t quota = 0;
    /// New mappings per second that other hosts behind this NAT make (λ), a Poisson process.
    double background = 0;
    bool udp_blocked = false;
    bool tcp_blocked = false;
    /// If not empty: outbound packets to other ports are dropped ("only 443").
    std::set<std::uint16_t> open_ports{};
    /// IPv6 is forwarded untranslated; this filter stands before it (RFC 6092). Without it everything gets in.
    std::optional<Dependence> ipv6_filtering = Dependence::address_and_port_dependent;
};

struct NatVerdict {
    enum class Action : std::uint8_t {
        forward,  ///< to the other side, as `flow`
        hairpin,  ///< back to the inside, as `flow`
        drop,
        reject,  ///< answer the sender with ICMP port unreachable or RST
    };
    Action action = Action::drop;
    Flow flow;
    /// Of drop and reject, for counters and logs: "quota", "filtered", "blocked", …
    const char* reason = "";
};

struct NatCounters {
    std::uint64_t mappings_made = 0;
    /// By background traffic.
    std::uint64_t background_mappings = 0;
    std::uint64_t dropped = 0;
};

class NatModel {
  public:
    /// `external`: the addresses that it translates to, at least one of IPv4. `rng` outlives it.
    NatModel(NatConfig config, std::vector<net::Address> external, Rng& rng);
    NatModel(NatModel&&) noexcept;
    NatModel& operator=(NatModel&&) noexcept;
    ~NatModel();

    /// A packet from the inside, whatever its destination.
    [[nodiscard]] NatVerdict outbound(const Packet& packet, TimePoint now);
    /// A packet from the outside to an external address (or, of IPv6, to the inside).
    [[nodiscard]] NatVerdict inbound(const Packet& packet, TimePoint now);
    /// An ICMP error from the outside about a flow that we sent: the flow as the inside sent it, and so where the error
    /// goes. nullopt: nothing of ours.
    [[nodiscard]] std::optional<Flow> translate_error(const Flow& about, TimePoint now) const;
    /// An ICMP error from the inside about a flow that we let in: the flow as the outside sent it (RFC 5508 §4.2).
    [[nodiscard]] std::optional<Flow> translate_error_outward(const Flow& about, TimePoint now) const;

    /// A reboot: all mappings and filters are gone, and new ones get other ports than before, so that a preserving or
    /// random NAT does not by chance give the same.
    void rebind(TimePoint now);
    /// All idle timers run out at once; ports may come back.
    void expire_all();

    /// Settings may change while it runs (block UDP, another λ); mappings stay.
    [[nodiscard]] NatConfig& config();
    [[nodiscard]] const std::vector<net::Address>& external() const;
    [[nodiscard]] NatCounters counters() const;
    /// Live mappings, without those of background traffic.
    [[nodiscard]] std::size_t mappings(TimePoint now) const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pinhole::lab
