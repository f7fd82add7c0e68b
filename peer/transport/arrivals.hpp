// Whether packets come so thick that it pays to let some gather before they are looked at: a wake-up for each costs
// more than all else that is done with it. Messages are not let wait: while they come or go, nothing gathers.
#pragma once

#include "common/base/time.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace pinhole::transport {

class Arrivals {
  public:
    void on_packet(TimePoint now) {
        if (++count_ % kWindow == 0) {
            span_ = now - window_start_;
            window_start_ = now;
        }
    }

    /// One came, or one went out.
    void on_message(TimePoint now) { last_message_ = now; }

    [[nodiscard]] bool talking(TimePoint now) const { return last_message_ && now < *last_message_ + kConversation; }

    /// How long packets may gather; 0 when they may not. To the sender it is jitter of the path, which makes it think
    /// the path faster than it is, by the share of it in the round trip.
    [[nodiscard]] Duration patience(TimePoint now, Duration round_trip) const {
        const auto most = std::min(round_trip / 64, kLongest);
        return talking(now) || most < kShortest ? Duration{} : most;
    }

    /// Several come within this time.
    [[nodiscard]] bool dense(TimePoint now, Duration time) const {
        const auto window = kWindow / 2 * time;
        return count_ >= 2 * kWindow && span_ <= window && now < window_start_ + window;
    }

  private:
    static constexpr std::int64_t kWindow = 16;
    static constexpr Duration kShortest = 250us;
    /// 250 KB in the socket at 1 Gbit/s.
    static constexpr Duration kLongest = 2ms;
    /// After a message another one is likely.
    static constexpr Duration kConversation = 5s;

    std::int64_t count_ = 0;
    Duration span_{};
    TimePoint window_start_;
    std::optional<TimePoint> last_message_;
};

}  // namespace pinhole::transport
