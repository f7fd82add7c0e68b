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
#include "rendezvous/core/turn/address_policy.hpp"
#include "rendezvous/core/turn/allocations.hpp"
#include "rendezvous/core/turn/authenticator.hpp"
#include "rendezvous/core/turn/config.hpp"
#include "rendezvous/core/turn/types.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <optional>

namespace pinhole::turn {

/// What becomes of a datagram on the fast path. `slow`: it is for handle_client or handle_peer; `drop`: it is counted
/// and gone.
enum class Forward : std::uint8_t { send, drop, slow };

/// Borrowed from the server and the datagram; valid until the next call of any handle_ function.
struct ForwardToPeer {
    Forward verdict = Forward::slow;
    RelayId relay{};
    const net::Endpoint* peer = nullptr;
    ByteView payload{};
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
    TurnServer(const TurnServer&) = delete;
    TurnServer& operator=(const TurnServer&) = delete;

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

    [[nodiscard]] Authenticator& authenticator() { return authenticator_; }

    /// Where the server listens is known later than how it is set up.
    void set_policy(AddressPolicy policy) { policy_ = std::move(policy); }

    [[nodiscard]] TurnCounts counts() const { return allocations_.counts(); }

    [[nodiscard]] const TurnStats& stats() const { return stats_; }

  private:
    /// A request of somebody who has proved who it is.
    struct Request {
        const TurnClient& client;
        const stun::MessageView& message;
        const Authenticated& sender;
        TimePoint now;
        /// Of this client; null if there is none, or for the methods that make one.
        Allocation* allocation = nullptr;
    };

    /// What an Allocate asks for (RFC 8656 §7.2).
    struct Wishes;

    /// The error to answer with; nullopt: it has been answered, or will be.
    using Refusal = std::optional<std::uint16_t>;

    // turn_server.cpp
    void handle_request(const TurnClient& client, const stun::MessageView& message, TimePoint now);
    void turn_away(const TurnClient& client, const stun::MessageView& request, std::uint16_t code, TimePoint now);
    [[nodiscard]] Refusal dispatch(const Request& request);
    [[nodiscard]] Refusal use_allocation(const Request& request);
    void refuse(const Request& request, std::uint16_t code);
    void succeed(const Request& request);
    void answer(const TurnClient& client, stun::MessageBuilder& builder, const Protection& protection);
    [[nodiscard]] bool charge(const Allocation& allocation, std::size_t bytes, TimePoint now);

    // allocate.cpp
    [[nodiscard]] std::expected<Wishes, std::uint16_t> read_wishes(const Request& request) const;
    [[nodiscard]] Refusal choose_families(const stun::MessageView& message, Wishes& wishes) const;
    [[nodiscard]] Refusal handle_allocate(const Request& request);
    [[nodiscard]] Refusal handle_refresh(const Request& request);
    [[nodiscard]] Refusal open_relays(const Request& request, const Wishes& wishes);
    [[nodiscard]] Refusal take_reservation(const Request& request, const Wishes& wishes);
    void relay_answered(Allocation& allocation, TimePoint now);
    void answer_allocate(const Allocation& allocation, TimePoint now);
    [[nodiscard]] Duration granted(std::optional<std::chrono::seconds> wanted) const;

    // peers.cpp
    [[nodiscard]] Refusal handle_create_permission(const Request& request);
    [[nodiscard]] Refusal handle_channel_bind(const Request& request);
    void handle_send(const TurnClient& client, const stun::MessageView& indication, TimePoint now);
    [[nodiscard]] Refusal judge(const Allocation& allocation, const net::Endpoint& peer) const;

    // streams.cpp
    [[nodiscard]] Refusal handle_connect(const Request& request);
    [[nodiscard]] Refusal handle_connection_bind(const Request& request);
    void refuse_connect(const Stream& stream, std::uint16_t code);

    TurnConfig config_;
    Authenticator authenticator_;
    AddressPolicy policy_;
    Rng& rng_;
    rendezvous::PrefixLimiter strangers_;
    std::deque<TurnOutput> outputs_;
    Allocations allocations_;
    TurnStats stats_;
};

}  // namespace pinhole::turn
