// What shells hand to cores and take from them.
#pragma once

#include "common/base/bytes.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/transport.hpp"

#include <cstdint>

namespace pinhole::net {

/// RFC 3168 codepoints of the IP header's two ECN bits.
enum class Ecn : std::uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };

/// The local address a datagram uses (the socket's, or the one it was received on) and the remote one. Over TCP the two
/// name one connection, whoever has opened it.
struct PathAddresses {
    Endpoint local;
    Endpoint remote;
    Transport transport = Transport::udp;

    friend auto operator<=>(const PathAddresses&, const PathAddresses&) = default;
};

/// One datagram from the network; `payload` is borrowed for the call and may be decrypted in place.
struct Received {
    PathAddresses path;
    ByteSpan payload;
    Ecn ecn = Ecn::not_ect;
};

/// One owned datagram to send; for the few small packets of STUN and signaling. The transport fills caller buffers.
struct Transmit {
    PathAddresses path;
    Bytes payload;
    std::uint8_t ttl = 0;  ///< hop limit of this datagram alone; 0: the system's
};

}  // namespace pinhole::net
