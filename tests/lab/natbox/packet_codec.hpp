// Between raw IP packets and what the network model knows of them. `parse` reads a packet that a host sent, `apply`
// writes into it what NATs and routers changed on the way. Checksums are updated, never summed anew. No state.
#pragma once

#include "common/base/bytes.hpp"
#include "tests/lab/model/packet.hpp"

#include <optional>

namespace pinhole::natbox {

/// UDP, TCP, ICMP echo and ICMP errors, over IPv4 and IPv6, with the raw packet as payload. nullopt: broken, or nothing
/// that a NAT could translate: another protocol, a fragment beyond the first, IGMP, router solicitation.
[[nodiscard]] std::optional<lab::Packet> parse(ByteView raw);

/// Brings addresses, ports, TTL and ECN of the raw packet (payload) to those of the packet around it, in an ICMP error
/// also the flow that it is about. False: the raw packet is not of this kind any more, because a link corrupted it.
[[nodiscard]] bool apply(lab::Packet& packet);

/// The raw packet as it reaches a host. A packet that a router or NAT made itself (ICMP error, RST, answer to an echo)
/// has the packet that it answers as payload; the raw one is made from that. nullopt: corrupted beyond being a packet.
[[nodiscard]] std::optional<Bytes> to_raw(lab::Packet packet);

}  // namespace pinhole::natbox
