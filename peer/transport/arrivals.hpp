// Whether packets come so thick that it pays to let some gather before they are looked at: a wake-up for each costs
// more than all else that is done with it. Messages are not let wait: while they come, nothing gathers.
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
            dense_ = now - window_start_ <= kWindow * kSparse;
            window_start_ = now;
        }
    }

    void on_message(TimePoint now) { last_message_ = now; }

    /// How long packets may gather; 0 when they may not. Whoever measures the path sees the delay as jitter of it, so
    /// it has to be small beside the round trip.
    [[nodiscard]] Duration patience(TimePoint now, Duration round_trip) const {
        const bool talking = last_message_ && now < *last_message_ + kConversation;
        const auto most = round_trip / 32;
        return talking || most < kShortest ? Duration{} : most;
    }

    /// Several come within the time that is worth sleeping for.
    [[nodiscard]] bool dense(TimePoint now) const { return dense_ && now < window_start_ + kWindow * kSparse; }

  private:
    static constexpr std::int64_t kWindow = 16;
    /// 20 Mbit/s of full packets.
    static constexpr Duration kSparse = 600us;
    static constexpr Duration kShortest = 500us;
    /// After a message another one is likely.
    static constexpr Duration kConversation = 5s;

    std::int64_t count_ = 0;
    bool dense_ = false;
    TimePoint window_start_;
    std::optional<TimePoint> last_message_;
};

}  // namespace pinhole::transport
