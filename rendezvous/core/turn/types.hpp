// What the TURN server and its shell say to each other: who a client is, names of relayed sockets and streams, and what
// is to be done with them. Plain values.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/ids.hpp"
#include "common/net/datagram.hpp"
#include "common/net/endpoint.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <variant>

namespace pinhole::turn {

enum class TurnTransport : std::uint8_t { udp, tcp, tls };

/// The 5-tuple of RFC 8656 §3.2: `path.local` is the server's concrete address, never the wildcard of a socket.
struct TurnClient {
    net::PathAddresses path;
    TurnTransport transport = TurnTransport::udp;

    [[nodiscard]] bool is_stream() const { return transport != TurnTransport::udp; }

    friend auto operator<=>(const TurnClient&, const TurnClient&) = default;
};

/// A relayed transport address: a UDP socket, or a TCP listener from whose port connections are also made. Never used
/// again.
using RelayId = StrongId<struct RelayIdTag>;
/// A TCP connection between a relayed transport address and a peer (RFC 6062 §3: a peer data connection). Never used
/// again.
using StreamId = StrongId<struct StreamIdTag>;

enum class RelayKind : std::uint8_t { udp, tcp };
/// RFC 8656 §18.6: even_and_next wants an even port N with N + 1 free, and both of them open.
enum class PortWish : std::uint8_t { any, even, even_and_next };

/// To be answered with handle_relay_opened or handle_relay_failed, at once or later.
struct OpenRelay {
    RelayId relay;
    RelayKind kind = RelayKind::udp;
    net::Family family = net::Family::v4;
    PortWish port = PortWish::any;
    /// With even_and_next: the name of the second socket. It is opened together with the first, or neither is.
    std::optional<RelayId> next;
    /// For whom: the relayed address is best the one that the client reached.
    TurnClient client;
};

/// Also of one that has not answered yet; then its second socket goes too.
struct CloseRelay {
    RelayId relay;
};

/// A STUN message or ChannelData, padded as its transport needs it.
struct ToClient {
    TurnClient client;
    Bytes message;
};

struct ToPeer {
    RelayId relay;
    net::Endpoint peer;
    Bytes payload;
    /// RFC 8656 §15: with the DF bit, for this datagram alone.
    bool dont_fragment = false;
};

/// To be answered with handle_peer_connected or handle_peer_failed.
struct ConnectPeer {
    StreamId stream;
    RelayId relay;
    net::Endpoint peer;
};

/// From here on the client's connection is the peer's: the bytes that came behind the last message of the client, then
/// everything, both ways, with a bound on what waits. The answer to the client stands in front of this.
struct PairStreams {
    StreamId stream;
    TurnClient client;
};

/// The connection to the peer, and the client's if it is paired with one.
struct CloseStream {
    StreamId stream;
};

using TurnOutput = std::variant<ToClient, ToPeer, OpenRelay, CloseRelay, ConnectPeer, PairStreams, CloseStream>;

}  // namespace pinhole::turn
