// HyStart++ (RFC 9406): leaves slow start when the round-trip time grows, before the queue overflows.
#pragma once

#include "common/base/time.hpp"

#include <cstdint>

namespace pinhole::transport {

class HyStart {
  public:
    void on_ack(std::uint64_t largest_acked, std::uint64_t next_packet, Duration rtt);
    /// Bytes by which the window grows for `acked` bytes acknowledged.
    [[nodiscard]] std::uint64_t growth(std::uint64_t acked) const;

    /// Slow start is over; the window at this moment is the threshold.
    [[nodiscard]] bool finished() const { return phase_ == Phase::finished; }

  private:
    enum class Phase : std::uint8_t { slow_start, conservative, finished };

    void judge();

    Phase phase_ = Phase::slow_start;
    std::uint64_t round_end_ = 0;
    Duration last_round_min_ = Duration::max();
    Duration round_min_ = Duration::max();
    Duration baseline_ = Duration::max();
    int samples_ = 0;
    int conservative_rounds_ = 0;
};

}  // namespace pinhole::transport
