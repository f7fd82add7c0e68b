// The peer's side of the long connection to the rendezvous server as a state machine: key pinning, login, keepalive,
// and when to connect again. Knows neither sockets nor calls; whoever owns the TCP connection drives it.
//
// Timers: login must be done within limits::kHandshakeTimeout of connecting; a ping after kSignalingPing of silence,
// gone after kSignalingDead; the next attempt after a back-off of 0.5 s doubled up to 30 s, ±50 % jitter.
#pragma once

#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "common/net/timer_table.hpp"
#include "common/signaling/messages.hpp"
#include "common/signaling/secure_link.hpp"

#include <deque>
#include <optional>
#include <variant>

namespace pinhole::session {

class SignalingClient {
  public:
    struct Config {
        const crypto::Identity* identity = nullptr;  ///< outlives the client
        std::optional<crypto::Key32> pinned;         ///< the server's Noise static key, if known
        std::string agent;
    };

    /// Logged in. `server_key` is what to pin on first use.
    struct Online {
        net::Endpoint observed;
        crypto::Key32 server_key{};
        std::optional<std::uint16_t> second_stun_port = std::nullopt;  ///< see signaling::Welcome
    };

    /// The connection is over: close the socket. Another attempt follows at `next_timeout` unless the key was wrong.
    struct Lost {
        Error error;
        bool was_online = false;
    };

    /// Open a TCP connection now, then call handle_connected or handle_closed.
    struct ConnectNow {};

    using Event = std::variant<ConnectNow, Online, Lost, signaling::ToPeer>;

    SignalingClient(Config config, Rng& rng);

    void start(TimePoint now);
    void handle_connected(TimePoint now);
    void handle_bytes(ByteView bytes, TimePoint now);
    void handle_closed(Error error, TimePoint now);
    void handle_timeout(TimePoint now);
    /// Gives up the connection or the wait for one and connects at once: the network is another, so neither the
    /// connection nor the reason for waiting holds any more.
    void reconnect(TimePoint now);
    /// A peer is not heard any more, and the reason may be on our side: unless the server is heard within kDoubt the
    /// connection to it is lost as well, instead of after kSignalingDead.
    void doubt(TimePoint now);

    /// Three seconds for a segment to be repeated twice.
    static constexpr Duration kDoubt = 4s;

    /// Dropped while offline: calls that need it fail by their own timers.
    void send(const signaling::ToServer& message, TimePoint now);

    [[nodiscard]] bool online() const { return state_ == State::online; }

    [[nodiscard]] Bytes poll_output();
    [[nodiscard]] std::optional<Event> poll_event();

    [[nodiscard]] std::optional<TimePoint> next_timeout() const { return timers_.next(); }

  private:
    enum class State : std::uint8_t { idle, connecting, login, online, ended };
    enum class Timer : std::uint8_t { login, ping, dead, retry, count };

    void handle_frame(ByteView frame, TimePoint now);
    void check_server_key(TimePoint now);
    void heard(TimePoint now);
    void lose(Error error, TimePoint now);

    Config config_;
    Rng& rng_;
    State state_ = State::idle;
    bool key_checked_ = false;
    bool doubted_ = false;
    std::optional<signaling::SecureLink> link_;
    net::TimerTable<Timer> timers_;
    unsigned failures_ = 0;
    std::deque<Event> events_;
};

}  // namespace pinhole::session
