// Socket options of our UDP sockets: what is required fails, what only helps is tried.
#pragma once

#include "common/base/error.hpp"
#include "common/net/endpoint.hpp"

namespace pinhole::io {

/// Receive and send buffer to ask for: 4 MB hold 30 ms at 1 Gbit/s.
inline constexpr int kSocketBuffer = 4 * 1024 * 1024;

struct UdpFeatures {
    /// The kernel merges datagrams on receive (UDP_GRO).
    bool gro = false;
};

/// Before bind: addresses and ECN of each datagram, DF without ICMP's word (RFC 8899 §4.5), large buffers, GRO.
[[nodiscard]] Result<UdpFeatures> configure_udp(int descriptor, net::Family family);

}  // namespace pinhole::io
