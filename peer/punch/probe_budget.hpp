// How many probes leave this machine in a minute, over all calls: what a plan asks for is bounded by its Puncher, but a
// server that lies could begin one call after the other. Knows neither calls nor targets; the Punchers of one node
// share one.
#pragma once

#include "common/base/time.hpp"
#include "common/net/punch_plan.hpp"

#include <cstdint>
#include <deque>

namespace pinhole::punch {

class ProbeBudget {
  public:
    /// Two whole plans: a call and the one that follows it when that fails.
    static constexpr std::uint32_t kPerMinute = 2U * net::kMaxScanProbes;

    explicit ProbeBudget(std::uint32_t per_minute = kPerMinute) : per_minute_(per_minute) {}

    /// One probe, if fewer than `per_minute` left in the minute before `now`.
    [[nodiscard]] bool take(TimePoint now);

  private:
    /// Probes that began to leave at `since`, within a second.
    struct Second {
        TimePoint since;
        std::uint32_t probes = 0;
    };

    std::uint32_t per_minute_;
    std::uint32_t counted_ = 0;
    std::deque<Second> seconds_;
};

}  // namespace pinhole::punch
