// UDP sockets as plain descriptors, for a relay that has thousands of them: no Asio object, no buffers. Datagrams may
// be fragmented on their way (RFC 8656 §15), and ICMP errors about them can be read. Linux.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"
#include "common/net/endpoint.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::io {

/// The descriptor, to be closed by the caller.
[[nodiscard]] Result<int> open_relay_socket(const net::Endpoint& bind);

/// With the DF bit, or no fragment header. What cannot be sent is lost.
void send_unfragmented(int descriptor, const net::Endpoint& to, ByteView payload);

/// An ICMP message about a datagram that the socket has sent.
struct IcmpReport {
    std::optional<net::Endpoint> to;  ///< where the datagram went; nullopt: not from ICMP
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint32_t mtu = 0;  ///< for "too big", else 0
};

/// nullopt when there are no more.
[[nodiscard]] std::optional<IcmpReport> read_icmp_error(int descriptor);

}  // namespace pinhole::io
