// Two connections, a link each way, a NAT in front of the first and a clock that jumps from event to event.
// Everything that happens follows from the seed.
#pragma once

#include "tests/lab/model/link.hpp"
#include "tests/sim/peer.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <set>

namespace pinhole::sim {

using lab::Link;
using lab::LinkConfig;

struct PairConfig {
    LinkConfig to_b;
    LinkConfig to_a;
    transport::Config a;
    transport::Config b;
    std::uint64_t seed = 1;
};

class Pair {
  public:
    explicit Pair(const PairConfig& config);
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    /// Runs until `done`, at most for so much virtual time. False when time ran out.
    bool run(const std::function<bool()>& done, Duration limit);
    void run_for(Duration time);

    /// From then on the peer sees the first end at this address; the old mapping is gone.
    void rebind(const net::Endpoint& external) { external_ = external; }

    /// A datagram of the attacker's to the second end (or the first), seen as coming from `source`.
    void inject(Bytes payload, const net::Endpoint& source, bool to_b = true);
    /// A packet with these frames as the first end (or the second) would seal it, under a number far ahead of its own.
    [[nodiscard]] static Bytes craft(std::uint64_t number, ByteView frames, bool from_a = true);
    /// Gives both applications and sockets a turn, after something was done to them from outside.
    void settle();

    [[nodiscard]] TimePoint now() const { return now_; }

    [[nodiscard]] Duration elapsed() const { return now_ - TimePoint{}; }

    /// Over everything that was put on the wire, with its times.
    [[nodiscard]] std::uint64_t trace_hash() const { return trace_; }

    /// A packet number was seen twice from one end.
    [[nodiscard]] bool number_reused() const { return number_reused_; }

    [[nodiscard]] const Bytes& last_to_b() const { return last_to_b_; }

    [[nodiscard]] std::size_t steps() const { return steps_; }

    static net::Endpoint address_a();
    static net::Endpoint address_b();

  private:
    SeededRng rng_;
    SeededRng network_rng_;

  public:
    Link to_b;
    Link to_a;
    Peer a;
    Peer b;
    /// Sees each datagram before the link; false drops it.
    std::function<bool(bool from_a, ByteView)> wiretap;
    std::function<void(bool from_a, const transport::TransmitBatch&)> on_batch;
    /// An address of the second end that nothing reaches or leaves.
    std::optional<net::Endpoint> dead;

  private:
    bool step(TimePoint limit);
    void turn(Peer& peer, bool is_a);
    void transmit(const transport::TransmitBatch& batch, bool is_a);
    void deliver(const net::PathAddresses& path, Bytes payload, net::Ecn ecn, bool to_second);
    void note(bool is_a, ByteView payload);

    TimePoint now_{};
    net::Endpoint external_ = address_a();
    Bytes batch_ = Bytes(64 * 1024);
    std::uint64_t trace_ = 0xcbf29ce484222325;
    std::set<std::pair<bool, std::uint32_t>> numbers_;
    bool number_reused_ = false;
    Bytes last_to_b_;
    std::size_t steps_ = 0;
};

}  // namespace pinhole::sim
