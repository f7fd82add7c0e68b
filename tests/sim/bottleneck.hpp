// Several transfers through one link each way, and a probe that measures how long the queue is: what congestion control
// does to others. Addresses tell the flows apart. Everything that happens follows from the seed.
#pragma once

#include "tests/lab/model/link.hpp"
#include "tests/sim/peer.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace pinhole::sim {

struct BottleneckConfig {
    lab::LinkConfig forward;
    lab::LinkConfig back;
    std::uint64_t seed = 1;
    /// Hosts are busy: what comes and what is due waits for up to so long, evenly distributed.
    Duration lateness{};
};

class Bottleneck {
    SeededRng rng_;
    SeededRng network_rng_;

  public:
    explicit Bottleneck(const BottleneckConfig& config);
    Bottleneck(const Bottleneck&) = delete;
    Bottleneck& operator=(const Bottleneck&) = delete;

    /// What a busy host has not looked at yet, and when it will.
    struct Desk {
        std::vector<lab::Packet> inbox;
        std::optional<TimePoint> wake;
        /// What `wake` was set for.
        std::optional<TimePoint> due;
    };

    struct Flow {
        std::unique_ptr<Peer> sender;
        std::unique_ptr<Peer> receiver;
        Desk at_sender;
        Desk at_receiver;

        /// Bytes that the receiving application has read.
        [[nodiscard]] std::uint64_t received() const;
    };

    /// A transfer that begins now.
    Flow& start(transport::CongestionAlgorithm algorithm, std::uint64_t bytes);

    /// The sending application has something new to send.
    void wake(Flow& flow) { turn(*flow.sender, true); }

    void run_for(Duration time);
    /// Until this flow has sent everything. False when time ran out.
    bool run(const Flow& flow, Duration limit);

    [[nodiscard]] TimePoint now() const { return now_; }

    /// Round trips of the probe since the last call, sorted.
    [[nodiscard]] std::vector<Duration> take_round_trips();

    lab::Link forward;
    lab::Link back;

  private:
    template <class Done>
    bool run_until(TimePoint end, Done done);
    void turn(Peer& peer, bool sender);
    void deliver(lab::Packet& packet, bool to_receiver);
    void rouse(const Peer& peer, Desk& desk);
    void wake(Flow& flow, bool sender);
    void probe();
    void work();

    Duration lateness_;
    TimePoint now_{};
    TimePoint next_probe_{};
    std::vector<std::unique_ptr<Flow>> flows_;
    std::vector<Duration> round_trips_;
    Bytes batch_ = Bytes(64 * 1024);
};

}  // namespace pinhole::sim
