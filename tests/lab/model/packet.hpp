// What crosses the emulated network: addresses, protocol and the few header fields that a NAT, a router or a link looks
// at. The payload is opaque: the simulator carries UDP payloads in it, natbox whole IP packets.
#pragma once

#include "common/base/bytes.hpp"
#include "common/net/datagram.hpp"
#include "common/net/endpoint.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace pinhole::lab {

enum class Protocol : std::uint8_t { udp, tcp, icmp };

/// Of ICMP echo the "port" of the side that asks is the identifier (RFC 5508 §3), that of the other side 0: a packet
/// with source port 0 is the answer. Routers answer echo requests with the request's payload.
struct Flow {
    Protocol protocol = Protocol::udp;
    net::Endpoint source;
    net::Endpoint destination;

    friend auto operator<=>(const Flow&, const Flow&) = default;
};

struct TcpFlags {
    bool syn = false;
    bool ack = false;
    bool fin = false;
    bool rst = false;
};

enum class IcmpError : std::uint8_t { port_unreachable, unreachable, time_exceeded, too_big };

/// An ICMP error about a packet that the receiver of this one sent; `about` is that packet's flow as the receiver sent
/// it (each NAT on the way translates it, RFC 5508 §4). If Network complains, the payload of the packet that carries it
/// is that of the packet it is about; of a host's complaint it is the host's.
struct IcmpReport {
    IcmpError error = IcmpError::port_unreachable;
    Flow about;
    /// Of too_big: the IP packet that fits, in bytes.
    std::size_t mtu = 0;
};

struct Packet {
    Flow flow;
    TcpFlags tcp;
    std::uint8_t ttl = 64;
    net::Ecn ecn = net::Ecn::not_ect;
    /// This is an ICMP error; `flow.protocol` is icmp, its source the router or host that complains.
    std::optional<IcmpReport> report;
    /// A NAT answers an unsolicited TCP packet with RST: this is that answer. Its payload is that of the packet it
    /// answers (natbox takes the sequence numbers from it), its size that of an RST.
    bool reset = false;
    /// Bytes of the whole IP packet.
    std::size_t size = 0;
    Bytes payload;
};

/// Of a UDP datagram: IP and UDP headers and payload.
[[nodiscard]] constexpr std::size_t udp_packet_size(net::Family family, std::size_t payload) {
    return payload + 8 + (family == net::Family::v4 ? 20 : 40);
}

}  // namespace pinhole::lab
