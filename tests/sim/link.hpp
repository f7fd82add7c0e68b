// One direction of a simulated network path in virtual time: delay, jitter, loss, rate with a bounded queue,
// reordering, duplication, corruption, size limit. Deterministic from the generator it is given.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "common/net/datagram.hpp"

#include <cstdint>
#include <optional>
#include <queue>
#include <tuple>
#include <vector>

namespace pinhole::sim {

struct LinkConfig {
    /// One way.
    Duration delay = 10ms;
    /// Up to so much more, evenly distributed; order is kept.
    Duration jitter{};
    /// Chance of a packet to vanish, alone and as the start of a burst of `burst_length` packets.
    double loss = 0;
    double burst_loss = 0;
    std::uint64_t burst_length = 8;
    /// 0 is unlimited.
    double bytes_per_second = 0;
    std::size_t queue_bytes = 256 * 1024;
    /// Chance to be delayed by up to `reorder_delay` and so to be overtaken.
    double reorder = 0;
    Duration reorder_delay = 20ms;
    double duplicate = 0;
    double corrupt = 0;
    /// UDP payload that fits; larger ones vanish without a word.
    std::size_t mtu = 1472;
    bool strip_ecn = false;
    /// A router in trouble: every ECN-capable packet is marked as having met congestion.
    bool mark = false;
};

struct Datagram {
    /// As the receiver sees them.
    net::PathAddresses path;
    Bytes payload;
    net::Ecn ecn = net::Ecn::not_ect;
};

class Link {
  public:
    Link(const LinkConfig& config, Rng& rng) : config_(config), rng_(&rng) {}

    void send(Datagram datagram, TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_arrival() const;
    [[nodiscard]] std::optional<Datagram> receive(TimePoint now);

    /// May be changed at any time; nothing passes while it is down.
    [[nodiscard]] LinkConfig& config() { return config_; }

    void set_up(bool up) { up_ = up; }

    [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

  private:
    struct Flight {
        TimePoint arrival;
        std::uint64_t order = 0;
        Datagram datagram;

        friend bool operator<(const Flight& a, const Flight& b) {
            return std::tie(b.arrival, b.order) < std::tie(a.arrival, a.order);
        }
    };

    [[nodiscard]] bool loses();

    [[nodiscard]] bool chance(double probability) { return probability > 0 && rng_->unit() < probability; }

    void deliver(Datagram datagram, TimePoint departure);
    [[nodiscard]] Duration up_to(Duration bound);

    LinkConfig config_;
    Rng* rng_;
    bool up_ = true;
    std::uint64_t burst_left_ = 0;
    std::uint64_t order_ = 0;
    std::uint64_t dropped_ = 0;
    /// When the transmitter will have sent what is queued.
    TimePoint free_at_{};
    TimePoint last_arrival_{};
    std::priority_queue<Flight> flights_;
};

}  // namespace pinhole::sim
