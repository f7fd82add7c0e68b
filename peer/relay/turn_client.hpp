// A client of one TURN server over one transport (RFC 8656), as a state machine without sockets: an allocation, the
// permissions and channels of the peers that are sent to, and everything renewed in time. Knows neither ICE nor which
// relay is a good one; the shell brings messages and time, and drains poll_transmit and poll_event after each input.
//
// Timers: retransmission of each request (250 ms or two round trips, doubled, 5 sends, 4 of a Refresh; none over a
// stream); Refresh every 15 s, and at once when what is sent gets no answer for a second: it keeps the NAT's mapping,
// which may be forgotten after 30 s (RFC 4787 REQ-5 allows no less than 2 min, but some do it), renews the allocation,
// and is how a dead relay is noticed. A permission or a channel in use is renewed after 4/5 of a permission's lifetime,
// because a channel's renewal renews the permission too (§12).
#pragma once

#include "common/base/error.hpp"
#include "common/base/rng.hpp"
#include "common/net/datagram.hpp"
#include "peer/relay/credentials.hpp"
#include "peer/relay/errors.hpp"
#include "peer/relay/peers.hpp"
#include "peer/relay/requests.hpp"

#include <deque>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace pinhole::relay {

/// Of relayed addresses: IPv4 needs no attribute, both are one allocation (RFC 8656 §7.1).
enum class Families : std::uint8_t { v4, v6, both };

struct Config {
    /// Over TCP or TLS: nothing is repeated, and ChannelData is padded.
    bool stream = false;
    Credentials credentials{};
    /// From an earlier allocation at this server.
    std::optional<Challenge> challenge{};
    Families families = Families::v4;
    /// RFC 8656 §9, §12; other values are for tests.
    Duration permission_lifetime = 5min;
    Duration channel_lifetime = 10min;
};

/// The server answers and wants to know who we are: `allocate` goes on.
struct Challenged {
    Duration rtt{};
};

struct Allocated {
    std::vector<net::Endpoint> relayed;  ///< one, or one of each family
    net::Endpoint reflexive;             ///< where the server sees us
    Duration rtt{};
};

/// There is no allocation (any more); nothing follows.
struct Failed {
    Error error;
    std::optional<net::Endpoint> alternate{};  ///< with Errc::elsewhere
};

using Event = std::variant<Challenged, Allocated, Failed>;

/// What a peer sent to a relayed address; `payload` lies in the message that it came in.
struct Relayed {
    net::PathAddresses path;  ///< relayed address, peer
    ByteSpan payload;
};

class TurnClient {
  public:
    TurnClient(Config config, Rng& rng);

    /// Asks without saying who we are: measures the way and fetches a nonce; nothing is allocated for it.
    void measure(TimePoint now);
    void allocate(TimePoint now);
    /// Gives the allocation back; what that takes is in poll_transmit, and nothing else follows.
    void release(TimePoint now);
    /// Asks whether the allocation is still there; Failed follows if it is not.
    void verify(TimePoint now);
    /// From signaling, before those in use expire.
    void replace(Credentials credentials);

    /// This peer may be about to send to us.
    void permit(const net::Endpoint& peer, TimePoint now);

    /// One STUN message or ChannelData, without padding. A return value is data of a peer.
    [[nodiscard]] std::optional<Relayed> handle_message(ByteSpan message, TimePoint now);
    void handle_timeout(TimePoint now);

    /// Writes the message that carries `payload` to `path.remote` into `out`; what was written, or nothing if it cannot
    /// be carried: no allocation of that address, a peer that the server refuses, a buffer that is too small.
    /// kMaxOverhead more bytes than the payload are always enough.
    [[nodiscard]] ByteView wrap(const net::PathAddresses& path, ByteView payload, ByteSpan out, TimePoint now);

    static constexpr std::size_t kMaxOverhead = 64;

    [[nodiscard]] std::optional<Bytes> poll_transmit();
    [[nodiscard]] std::optional<Event> poll_event();
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    [[nodiscard]] bool allocated() const { return state_ == State::allocated; }

    [[nodiscard]] const std::vector<net::Endpoint>& relayed() const { return relayed_; }

    [[nodiscard]] const std::optional<Challenge>& challenge() const { return authenticator_.challenge(); }

    [[nodiscard]] std::size_t permissions() const { return peers_.permissions(); }

    [[nodiscard]] std::size_t channels() const { return peers_.channels(); }

  private:
    enum class State : std::uint8_t { idle, measuring, challenged, allocating, allocated, over };

    void send_allocate(int challenges, TimePoint now);
    void send_refresh(int challenges, TimePoint now);
    void ask_for_peers(TimePoint now);
    void send_peer_request(const Peers::Wish& wish, int challenges, TimePoint now);
    void send(stun::MessageBuilder builder, const stun::TransactionId& id, Request request, TimePoint now);

    [[nodiscard]] std::optional<Relayed> handle_channel_data(ByteSpan message, TimePoint now);
    [[nodiscard]] std::optional<Relayed> handle_indication(const stun::MessageView& view, ByteSpan message,
                                                           TimePoint now);
    void handle_response(const stun::MessageView& message, TimePoint now);
    void handle_success(const Request& request, const stun::MessageView& message, TimePoint now);
    void handle_allocated(const Request& request, const stun::MessageView& message, TimePoint now);
    void handle_refusal(const Request& request, const stun::MessageView& message, TimePoint now);
    /// A challenge that bids us down.
    [[nodiscard]] bool is_forged(const stun::MessageView& message) const;
    [[nodiscard]] bool answer_challenge(const Request& request, const stun::MessageView& message, TimePoint now);
    void handle_allocate_error(std::uint16_t code, const stun::MessageView& message, TimePoint now);
    void handle_peer_error(const Request& request, std::uint16_t code, TimePoint now);
    void note_lifetime(const stun::MessageView& message, TimePoint now);
    void fail(Errc code, std::string_view detail = {}, std::optional<net::Endpoint> alternate = {});
    [[nodiscard]] const net::Endpoint* relayed_of(net::Family family) const;
    [[nodiscard]] ByteView wrap_in_channel(std::uint16_t channel, ByteView payload, ByteSpan out) const;
    [[nodiscard]] ByteView wrap_in_indication(const net::Endpoint& peer, ByteView payload, ByteSpan out);

    Config config_;
    Rng& rng_;
    State state_ = State::idle;
    Authenticator authenticator_;
    std::optional<Credentials> next_credentials_;
    Requests requests_;
    Peers peers_;
    std::vector<net::Endpoint> relayed_;
    Duration rtt_{};
    std::optional<TimePoint> refresh_at_;
    TimePoint heard_at_{};
    TimePoint refreshed_at_{};
    std::deque<Bytes> transmits_;
    std::deque<Event> events_;
};

}  // namespace pinhole::relay
