// Time as the cores see it: a steady point that somebody passes in. The clock type has no now() on purpose,
// so a core cannot read one; shells convert from std::chrono::steady_clock, the simulator counts by itself.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace pinhole {

using Duration = std::chrono::nanoseconds;

struct SteadyTime {
    using rep = Duration::rep;
    using period = Duration::period;
    using duration = Duration;
    using time_point = std::chrono::time_point<SteadyTime, Duration>;
    static constexpr bool is_steady = true;
};

using TimePoint = SteadyTime::time_point;
using namespace std::chrono_literals;  // NOLINT(google-global-names-in-headers): durations read as in the RFCs

/// The earlier of two optional deadlines; nullopt stands for "never".
[[nodiscard]] constexpr std::optional<TimePoint> earliest(std::optional<TimePoint> a, std::optional<TimePoint> b) {
    if (!a || !b) {
        return a ? a : b;
    }
    return std::min(*a, *b);
}

[[nodiscard]] constexpr double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace pinhole
