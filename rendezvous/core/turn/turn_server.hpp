// The TURN server (RFC 8656, RFC 6062): allocations, permissions, channels, relayed TCP connections, and their ends.
// Knows no sockets and no clock. Driven by a shell that carries out what poll_output says, says what came of it, and
// moves what flows through channels by forward_client and forward_peer, which allocate nothing.
//
// Timers, in words: an allocation ends when nobody refreshes it; a permission and a channel likewise, and a channel's
// number stays taken for a while after; a reserved port is given back; a connection to a peer is given up when it does
// not come about, or when the client does not take it.
#pragma once

#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "common/stun/message.hpp"
#include "rendezvous/core/prefix_limiter.hpp"
#include "rendezvous/core/turn/address_policy.hpp"
#include "rendezvous/core/turn/authenticator.hpp"
#include "rendezvous/core/turn/types.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace pinhole::turn {

struct TurnConfig {
    struct Lifetimes {
        Duration allocation = 600s;       ///< RFC 8656 §3.2: unless more is asked for
        Duration max_allocation = 3600s;  ///< RFC 8656 §7.2: recommended
        Duration permission = 300s;       ///< RFC 8656 §9
        Duration channel = 600s;          ///< RFC 8656 §12
        Duration channel_rest = 300s;     ///< RFC 8656 §12: before its number may mean another peer
        Duration reservation = 30s;       ///< RFC 8656 §7.2: at least
        Duration connect = 30s;           ///< RFC 6062 §5.2: at least
        Duration bind = 30s;              ///< RFC 6062 §5.2, §5.3
    };

    struct Limits {
        std::size_t allocations = 8192;
        /// One peer keeps one per server and transport; its calls share it.
        std::size_t allocations_per_account = 32;
        /// Of one IPv4 address or IPv6 /56: a whole office behind one NAT.
        std::size_t allocations_per_source = 256;
        /// Peers' addresses of one allocation; ICE tries up to 100 pairs.
        std::size_t permissions = 128;
        std::size_t channels = 64;
        std::size_t streams = 32;
        /// Payload bytes per second, both ways together, with bursts of two seconds.
        double account_bytes_per_second = 125e6;
        double bytes_per_second = 1250e6;
    };

    Lifetimes lifetimes{};
    Limits limits{};
    /// Families of relayed addresses that the shell can open.
    bool v4 = true;
    bool v6 = false;
    /// RFC 6062
    bool tcp_relays = true;
    /// Datagrams can be sent with the DF bit.
    bool dont_fragment = true;
    /// Bytes with IP and UDP headers of answers to whoever has not proved who it is: as StunService.
    rendezvous::PrefixLimiter::Config strangers{.per_second = 16'000, .burst = 32'000};
};

/// What exists at the moment: all zero when the last allocation has gone.
struct TurnCounts {
    std::size_t allocations = 0;
    std::size_t relays = 0;
    std::size_t reservations = 0;
    std::size_t permissions = 0;
    std::size_t channels = 0;
    std::size_t streams = 0;
    std::size_t accounts = 0;
    std::size_t sources = 0;

    friend bool operator==(const TurnCounts&, const TurnCounts&) = default;
};

/// Since the start.
struct TurnStats {
    std::uint64_t allocated = 0;
    std::uint64_t refused = 0;        ///< requests of known users answered with an error
    std::uint64_t challenged = 0;     ///< 400, 401 and 438 to strangers
    std::uint64_t limited = 0;        ///< strangers that were not answered
    std::uint64_t malformed = 0;      ///< what is no message of TURN
    std::uint64_t to_peer = 0;        ///< datagrams
    std::uint64_t to_peer_bytes = 0;  ///< payload
    std::uint64_t to_client = 0;
    std::uint64_t to_client_bytes = 0;
    std::uint64_t stream_bytes = 0;
    std::uint64_t not_permitted = 0;   ///< datagrams without permission, channel or allocation, either way
    std::uint64_t over_bandwidth = 0;  ///< datagrams
};

/// What becomes of a datagram on the fast path. `slow`: it is for handle_client or handle_peer; `drop`: it is counted
/// and gone.
enum class Forward : std::uint8_t { send, drop, slow };

/// Borrowed from the server and the datagram; valid until the next call of any handle_ function.
struct ForwardToPeer {
    Forward verdict = Forward::slow;
    RelayId relay;
    const net::Endpoint* peer = nullptr;
    ByteView payload;
};

/// The shell writes stun::channel_header(channel, size) in front, and pads on a stream.
struct ForwardToClient {
    Forward verdict = Forward::slow;
    const TurnClient* client = nullptr;
    std::uint16_t channel = 0;
};

/// True for ChannelData and for STUN messages of TURN's methods; Binding is for StunService.
[[nodiscard]] bool is_turn(ByteView message);

class TurnServer {
  public:
    /// `rng` makes tokens and connection IDs, and outlives this.
    TurnServer(const TurnConfig& config, Authenticator authenticator, AddressPolicy policy, Rng& rng);
    ~TurnServer();

    /// One datagram, or one frame of a stream (stun::StreamFramer).
    void handle_client(const TurnClient& client, ByteView message, TimePoint now);
    /// A stream of a client is gone; its allocation goes with it.
    void handle_client_closed(const TurnClient& client, TimePoint now);

    /// `relayed` is what peers see: the socket's address, or the one outside of the operator's NAT. With `next` it is
    /// the even one of two.
    void handle_relay_opened(RelayId relay, const net::Endpoint& relayed, TimePoint now);
    void handle_relay_failed(RelayId relay, TimePoint now);
    void handle_peer(RelayId relay, const net::Endpoint& peer, ByteView payload, TimePoint now);
    /// An ICMP error for a datagram that was sent to `peer` (RFC 8656 §11.5).
    void handle_icmp(RelayId relay, const net::Endpoint& peer, const stun::IcmpError& error, TimePoint now);

    // --- RFC 6062. Until it is paired, nothing is read from a peer's connection: the kernel's buffer keeps, and
    // bounds, what comes before the ConnectionBind.

    /// nullopt: not permitted, or too many; to be closed at once.
    [[nodiscard]] std::optional<StreamId> handle_peer_accepted(RelayId relay, const net::Endpoint& peer, TimePoint now);
    void handle_peer_connected(StreamId stream, TimePoint now);
    void handle_peer_failed(StreamId stream, TimePoint now);
    /// Either end of a connection to a peer is gone, before it was paired or after; the shell has closed both.
    void handle_stream_closed(StreamId stream, TimePoint now);
    /// How many of `wanted` bytes of a paired stream may pass now, in either direction; 0: try again a little later.
    [[nodiscard]] std::size_t allow_stream_bytes(StreamId stream, std::size_t wanted, TimePoint now);

    // --- what flows through channels

    [[nodiscard]] ForwardToPeer forward_client(const TurnClient& client, ByteView message, TimePoint now);
    [[nodiscard]] ForwardToClient forward_peer(RelayId relay, const net::Endpoint& peer, std::size_t payload,
                                               TimePoint now);

    void handle_timeout(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;
    [[nodiscard]] std::optional<TurnOutput> poll_output();

    /// True while a stream of a client is worth keeping open.
    [[nodiscard]] bool has_allocation(const TurnClient& client) const;
    [[nodiscard]] Authenticator& authenticator();
    /// Where the server listens is known later than how it is set up.
    void set_policy(AddressPolicy policy);
    [[nodiscard]] TurnCounts counts() const;
    [[nodiscard]] const TurnStats& stats() const;

  private:
    class Core;
    std::unique_ptr<Core> core_;
};

}  // namespace pinhole::turn
