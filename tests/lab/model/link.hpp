// One direction of a network link in virtual time: delay, jitter, loss alone and in bursts, rate with a bounded queue,
// reordering, duplication, corruption, MTU with or without ICMP. Deterministic from the generator it is given.
#pragma once

#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "tests/lab/model/packet.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace pinhole::lab {

struct LinkConfig {
    /// One way.
    Duration delay{};
    /// Up to so much more, evenly distributed; order is kept.
    Duration jitter{};
    /// Chance of a packet to vanish alone, and to be the first of a burst of up to `burst_length` that vanish.
    double loss = 0;
    double burst_loss = 0;
    std::uint64_t burst_length = 8;
    /// Of whole IP packets; 0 is unlimited.
    double bytes_per_second = 0;
    std::size_t queue_bytes = 256'000;
    /// Chance to be delayed by up to `reorder_delay` and so to be overtaken.
    double reorder = 0;
    Duration reorder_delay = 20ms;
    double duplicate = 0;
    /// Chance that one byte of the payload is flipped.
    double corrupt = 0;
    /// Largest IP packet that passes. Larger ones vanish, with a word by ICMP if `mtu_icmp`.
    std::size_t mtu = 1500;
    bool mtu_icmp = true;
    bool strip_ecn = false;
    /// A router in trouble: every ECN-capable packet is marked as having met congestion.
    bool mark = false;
    /// Nothing passes while it is down.
    bool up = true;
};

enum class SendOutcome : std::uint8_t { sent, lost, too_big };

class Link {
  public:
    Link(const LinkConfig& config, Rng& rng) : config_(config), rng_(&rng) {}

    SendOutcome send(Packet packet, TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_arrival() const;
    [[nodiscard]] std::optional<Packet> receive(TimePoint now);

    /// Not larger than the MTU.
    [[nodiscard]] bool fits(const Packet& packet) const {
        return std::max(packet.size, packet.payload.size()) <= config_.mtu;
    }

    /// The cable is pulled: what is in flight or queued is lost.
    void clear();

    /// May be changed at any time; what is in flight stays as it is.
    [[nodiscard]] LinkConfig& config() { return config_; }

    [[nodiscard]] const LinkConfig& config() const { return config_; }

    [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

  private:
    struct Flight {
        TimePoint arrival;
        std::uint64_t order = 0;
        /// In `packets_`.
        std::size_t slot = 0;
    };

    [[nodiscard]] static bool later(const Flight& a, const Flight& b) {
        return std::tie(b.arrival, b.order) < std::tie(a.arrival, a.order);
    }

    [[nodiscard]] bool chance(double probability);
    [[nodiscard]] Duration up_to(Duration bound);
    [[nodiscard]] bool loses();
    /// When the last byte is on the line; nullopt: the queue is full.
    [[nodiscard]] std::optional<TimePoint> transmit(std::size_t size, TimePoint now);
    void fly(Packet packet, TimePoint departure);
    void land(Packet packet, TimePoint arrival);

    LinkConfig config_;
    Rng* rng_;
    std::uint64_t burst_left_ = 0;
    std::uint64_t order_ = 0;
    std::uint64_t dropped_ = 0;
    /// When the transmitter will have sent what is queued.
    TimePoint free_at_{};
    TimePoint last_arrival_{};
    /// By (arrival, order); the packets stay where they are while the heap moves.
    std::vector<Flight> heap_;
    std::vector<Packet> packets_;
    std::vector<std::size_t> free_slots_;
};

}  // namespace pinhole::lab
