// One `open` of a plan: fresh sockets, a probe from each to one endpoint, and what external ports the server's STUN saw
// before and after this burst. The order on the wire is the order in which a NAT hands out ports, so everything goes
// through one queue. Driven by Puncher.
#pragma once

#include "peer/punch/outbox.hpp"

#include <deque>
#include <vector>

namespace pinhole::punch {

class OpenStep {
  public:
    /// `plan` is within the bounds and `index` its place in the whole plan.
    OpenStep(net::PunchStep plan, std::size_t index, std::optional<net::Endpoint> stun, TimePoint go);

    /// The one port that all sockets send to, for a plan that had none.
    void aim(std::uint16_t port, Outbox& out, TimePoint now);
    /// The other side's endpoint has another port than was planned for.
    void retarget(const net::Endpoint& remote);
    /// False if the token is not ours. Nothing for `local`: there is no socket.
    bool settle(SocketToken token, std::optional<net::Endpoint> local, Outbox& out, TimePoint now);
    /// True if it was the answer to a sample. Promotes the path if it comes from the other side.
    bool handle_datagram(const net::PathAddresses& path, ByteView payload, Outbox& out, TimePoint now);
    void work(Outbox& out, TimePoint now);

    /// Sends nothing more, but keeps its sockets.
    void stop();
    void close_all_but(const std::optional<net::Endpoint>& kept, Outbox& out);

    [[nodiscard]] std::optional<TimePoint> next_timeout() const;
    /// As long as it is open.
    [[nodiscard]] std::optional<net::Endpoint> first_socket() const;
    [[nodiscard]] bool owns(const net::Endpoint& local) const;

    [[nodiscard]] net::Strategy strategy() const { return plan_.strategy; }

    [[nodiscard]] net::Family family() const { return plan_.target.address.family(); }

  private:
    enum class Role : std::uint8_t { before, punch, after };
    enum class State : std::uint8_t { asked, open, gone };

    struct Socket {
        Role role = Role::punch;
        State state = State::asked;
        SocketToken token;
        net::Endpoint local{};
        bool heard = false;      ///< from the other side
        bool unwanted = false;   ///< to be closed as soon as it is there
        stun::TransactionId id;  ///< of a sample
        int asks = 0;
        std::optional<TimePoint> retry_at{};
        std::optional<net::Endpoint> external{};
    };

    void begin(Outbox& out, TimePoint now);
    void add(Role role, Outbox& out);
    void add_burst(Outbox& out, TimePoint now);
    void send_queued(Outbox& out, TimePoint now);
    void ask(Socket& socket, Outbox& out, TimePoint now);
    void tend_samples(Outbox& out, TimePoint now);
    [[nodiscard]] std::uint8_t ttl_of(std::size_t socket) const;
    void repeat(TimePoint now);
    void finish(Outbox& out);
    void drop(Socket& socket, Outbox& out);

    net::PunchStep plan_;
    std::size_t index_;
    std::optional<net::Endpoint> stun_;
    bool aimed_late_;
    Duration repeat_interval_;
    /// However often another port is told: what the server has counted.
    std::uint32_t bursts_left_;
    TimePoint start_;
    TimePoint end_;
    bool begun_ = false;
    bool over_ = false;
    bool reported_ = false;
    std::uint8_t ttl_ = 0;
    std::deque<Socket> sockets_;
    std::deque<std::size_t> queue_;  ///< of sockets that are to send, in order
    TimePoint next_at_{};
    std::optional<TimePoint> repeat_at_;
};

}  // namespace pinhole::punch
