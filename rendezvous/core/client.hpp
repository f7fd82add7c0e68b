// One peer's connection on the server's side: login, keepalive, round trip, and the rate it may send at. Knows nothing
// of other connections. Driven by Server; any error is final and the owner closes the connection.
//
// Timers: login must be done within kHandshakeTimeout of opening; after kSignalingPing of silence a ping; after
// kSignalingDead the peer counts as gone.
#pragma once

#include "common/base/rng.hpp"
#include "common/net/timer_table.hpp"
#include "common/signaling/messages.hpp"
#include "common/signaling/secure_link.hpp"
#include "rendezvous/core/introduction.hpp"
#include "rendezvous/core/token_bucket.hpp"

#include <vector>

namespace pinhole::rendezvous {

enum class ClientErrc {
    wrong_identity = 1,  ///< the ID in the hello is not the key of the handshake
    slow_login,
    silent,
    flood
};
std::error_code make_error_code(ClientErrc code);

class Client {
  public:
    struct Config {
        /// A call is about ten messages; a burst of 400 is 16 calls with all their candidates at once.
        TokenBucket::Rate messages{.per_second = 100, .burst = 400};
        TokenBucket::Rate bytes{.per_second = 1e6, .burst = 2e6};
        /// A network that changes more often than every 6 s is not worth a report.
        TokenBucket::Rate reports{.per_second = 10.0 / 60, .burst = 10};
    };

    /// `welcome` is what a peer is told once it is logged in, above all where it was seen.
    Client(const Config& config, const signaling::Welcome& welcome, crypto::KeyPair keys, Rng& rng, TimePoint now);

    /// Messages that are not the connection's own business.
    [[nodiscard]] Result<std::vector<signaling::ToServer>> handle_bytes(ByteView bytes, TimePoint now);
    [[nodiscard]] Status handle_timeout(TimePoint now);
    [[nodiscard]] Status send(const signaling::ToPeer& message);

    /// Bytes that wait to be written to it.
    [[nodiscard]] std::size_t backlog() const { return link_.backlog(); }

    [[nodiscard]] Bytes poll_output() { return link_.poll_output(); }

    [[nodiscard]] std::optional<TimePoint> next_timeout() const { return timers_.next(); }

    /// Set once logged in.
    [[nodiscard]] const std::optional<crypto::PeerId>& id() const { return id_; }

    [[nodiscard]] const net::Endpoint& observed() const { return welcome_.observed; }

    [[nodiscard]] Standing standing() const { return {.observed = welcome_.observed.address, .rtt = rtt_}; }

  private:
    enum class Timer : std::uint8_t { login, ping, dead, count };

    struct SentPing {
        std::uint64_t token = 0;
        TimePoint at;
    };

    [[nodiscard]] Status log_in(TimePoint now);
    [[nodiscard]] Status handle_frame(ByteView frame, TimePoint now, std::vector<signaling::ToServer>& messages);
    [[nodiscard]] Status ping(TimePoint now);
    void handle_pong(const signaling::Pong& pong, TimePoint now);
    void heard(TimePoint now);

    signaling::Welcome welcome_;
    Rng& rng_;
    signaling::SecureLink link_;
    std::optional<crypto::PeerId> id_;
    net::TimerTable<Timer> timers_;
    TokenBucket messages_;
    TokenBucket bytes_;
    TokenBucket reports_;
    std::optional<SentPing> ping_;
    std::optional<Duration> rtt_;
};

}  // namespace pinhole::rendezvous

template <>
struct std::is_error_code_enum<pinhole::rendezvous::ClientErrc> : std::true_type {};
