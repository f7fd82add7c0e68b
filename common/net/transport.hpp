// How packets of a path travel, and which side of a TCP candidate connects.
#pragma once

#include <cstdint>

namespace pinhole::net {

enum class Transport : std::uint8_t { udp, tcp };

/// RFC 6544 §4.5: who opens the connection to a TCP candidate. `none` is UDP.
enum class TcpType : std::uint8_t {
    none,
    active,            ///< this side only connects; such a candidate's port means nothing to the other side
    passive,           ///< this side only listens
    simultaneous_open  ///< both sides connect at the same time
};

/// "udp", "tcp".
[[nodiscard]] constexpr const char* name(Transport transport) {
    return transport == Transport::udp ? "udp" : "tcp";
}

}  // namespace pinhole::net
