// The sockets of a measurement and the questions (STUN Binding requests) that go out over them: pacing, retries, and
// the match of answers to questions. Knows nothing of what the answers mean; the probes ask and look.
//
// Timers, in words: one packet each kPacing; each question again after its interval, until it is answered, its tries
// are used up and the last one had time to be answered, or its patience ends.
#pragma once

#include "common/base/rng.hpp"
#include "common/stun/message.hpp"
#include "peer/netcheck/netcheck.hpp"

#include <deque>
#include <optional>
#include <vector>

namespace pinhole::netcheck {

/// At most 50 packets in 100 ms: a burst that no home router and no shaper minds.
inline constexpr Duration kPacing = 2ms;
/// Where the round trip is not known. Each try is a transaction of its own, so a late answer is no harm.
inline constexpr Duration kUnknownRto = 200ms;
inline constexpr Duration kMinRto = 100ms;
inline constexpr Duration kMaxRto = 500ms;
/// How long the last try waits: 3 round trips, within these bounds.
inline constexpr Duration kMinLinger = 300ms;
inline constexpr Duration kMaxLinger = 1500ms;
/// At 10 % loss in each direction of a two-link path two thirds of the tries succeed: 10 fail in 3 of 100,000 cases.
inline constexpr int kTries = 10;

enum class Transport : std::uint8_t { udp, tcp };

using ExchangeId = StrongId<struct NetcheckExchangeTag, std::size_t>;

/// A datagram that goes out just before each try, with a TTL of its own and nothing to answer.
struct Opening {
    net::Endpoint to;
    std::uint8_t ttl = 0;
};

struct Question {
    SocketId socket;
    net::Endpoint to;
    stun::ChangeRequest change{};
    std::optional<std::uint16_t> response_port{};
    /// Where the answer arrives, if not at `socket`.
    std::optional<SocketId> listener{};
    /// The request itself is what is to arrive at `listener`.
    bool looped = false;
    std::optional<Opening> opening{};
    int tries = kTries;
    /// Between tries; empty: as the round trip demands.
    std::optional<Duration> interval{};
    /// From the first try to the end, whatever else the tries would allow.
    std::optional<Duration> patience{};
};

struct Answer {
    net::Endpoint reflexive;
    net::Endpoint source;
    std::optional<net::Endpoint> other;
    Duration rtt{};
};

struct Exchange {
    enum class State : std::uint8_t {
        waiting,
        answered,
        refused,  ///< an error came
        silent,   ///< nothing came
        failed,   ///< the socket did not open or broke
    };

    struct Try {
        stun::TransactionId id;
        TimePoint at;
    };

    Question question;
    State state = State::waiting;
    std::vector<Try> tries{};
    TimePoint due{};
    /// The opening of the next try is out.
    bool opened = false;
    std::optional<Answer> answer{};
    /// The first try was answered: what it did to a NAT, it did when it was sent.
    bool first_answered = false;

    [[nodiscard]] bool done() const { return state != State::waiting; }

    [[nodiscard]] bool answered() const { return state == State::answered; }
};

class Wire {
  public:
    Wire(Rng& rng, TimePoint now) : rng_(&rng), next_slot_(now) {}

    [[nodiscard]] SocketId open_udp(net::Family family);
    [[nodiscard]] SocketId open_tcp(const net::Endpoint& remote, std::optional<SocketId> same_port_as, TimePoint now);
    void close(SocketId socket);
    void close_all();

    [[nodiscard]] ExchangeId ask(const Question& question, TimePoint now);

    [[nodiscard]] const Exchange& at(ExchangeId id) const { return exchanges_[id.value]; }

    [[nodiscard]] const std::vector<Exchange>& exchanges() const { return exchanges_; }

    [[nodiscard]] bool open(SocketId socket) const;
    [[nodiscard]] bool failed(SocketId socket) const;

    [[nodiscard]] Transport transport(SocketId socket) const { return sockets_[socket.value].transport; }

    /// As the driver said when it opened.
    [[nodiscard]] const net::Endpoint& local(SocketId socket) const { return sockets_[socket.value].local; }

    /// When it was asked for; of TCP the SYN.
    [[nodiscard]] TimePoint wanted(SocketId socket) const { return sockets_[socket.value].wanted; }

    /// From the wish to the open socket; of TCP the handshake.
    [[nodiscard]] Duration opening_time(SocketId socket) const;

    /// The shortest round trip seen over UDP, or over TCP where UDP gave none.
    [[nodiscard]] std::optional<Duration> rtt() const { return udp_rtt_ ? udp_rtt_ : tcp_rtt_; }

    /// Patience for an answer that could still come.
    [[nodiscard]] Duration linger() const;

    void handle_opened(SocketId socket, const net::Endpoint& local, TimePoint now);
    void handle_failed(SocketId socket);
    void handle_received(SocketId socket, const net::Endpoint& from, ByteView payload, TimePoint now);
    /// Sends what is due and gives up what is overdue.
    void pump(TimePoint now);

    [[nodiscard]] std::optional<Action> poll_action();
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    /// Changes with everything that a probe could look at.
    [[nodiscard]] std::uint64_t version() const { return version_; }

  private:
    enum class SocketState : std::uint8_t { opening, open, failed, closed };

    struct Socket {
        Transport transport = Transport::udp;
        SocketState state = SocketState::opening;
        net::Endpoint local{};
        net::Endpoint remote{};
        TimePoint wanted{};
        TimePoint opened{};
        Bytes stream{};
    };

    struct Arrival {
        SocketId socket;
        net::Endpoint from;
        TimePoint now;
    };

    SocketId add(Socket socket);
    [[nodiscard]] Socket* live(SocketId socket);
    void fail_exchanges(SocketId socket);
    void read_stream(SocketId socket, ByteView bytes, TimePoint now);
    void take(SocketId socket, const net::Endpoint& from, ByteView message, TimePoint now);
    void settle(Exchange& exchange, std::size_t attempt, const stun::MessageView& message, const Arrival& arrival);
    [[nodiscard]] bool sendable(const Exchange& exchange) const;
    [[nodiscard]] Exchange* next_due(TimePoint now);
    void send(Exchange& exchange, TimePoint now);
    [[nodiscard]] std::optional<TimePoint> expiry(const Exchange& exchange) const;
    [[nodiscard]] Duration rto() const;

    Rng* rng_;
    std::vector<Socket> sockets_;
    std::vector<Exchange> exchanges_;
    std::deque<Action> actions_;
    std::size_t live_ = 0;
    TimePoint next_slot_;
    std::optional<Duration> udp_rtt_;
    std::optional<Duration> tcp_rtt_;
    std::uint64_t version_ = 0;
};

}  // namespace pinhole::netcheck
