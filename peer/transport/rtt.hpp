// The round-trip time of one path. RFC 9002 §5.
#pragma once

#include "common/base/time.hpp"

#include <optional>

namespace pinhole::transport {

/// RFC 9002 §6.1.2: the finest timer that is asked for.
inline constexpr Duration kGranularity = 1ms;
/// The longest that a receiver of this protocol delays an acknowledgement.
inline constexpr Duration kMaxAckDelay = 25ms;
/// Stands in before the first sample. Below the 333 ms of RFC 9002 §6.2.2: ICE has validated the path, and a probe sent
/// too early costs two small packets.
inline constexpr Duration kInitialRtt = 100ms;

class Rtt {
  public:
    void add_sample(Duration sample, Duration ack_delay);

    [[nodiscard]] bool sampled() const { return sampled_; }

    [[nodiscard]] Duration smoothed() const { return smoothed_; }

    [[nodiscard]] Duration latest() const { return latest_; }

    [[nodiscard]] Duration min() const { return min_; }

    /// RFC 9002 §6.2.1, without back-off.
    [[nodiscard]] Duration probe_timeout() const;

  private:
    bool sampled_ = false;
    Duration smoothed_ = kInitialRtt;
    Duration variation_ = kInitialRtt / 2;
    Duration latest_ = kInitialRtt;
    Duration min_ = kInitialRtt;
};

}  // namespace pinhole::transport
