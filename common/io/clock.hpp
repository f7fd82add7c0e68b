// The one bridge between the system's steady clock and the time that cores are given.
#pragma once

#include "common/base/time.hpp"

#include <chrono>

namespace pinhole::io {

[[nodiscard]] inline TimePoint now() {
    return TimePoint{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

/// For timers of Asio.
[[nodiscard]] inline std::chrono::steady_clock::time_point to_steady(TimePoint when) {
    return std::chrono::steady_clock::time_point{
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(when.time_since_epoch())};
}

}  // namespace pinhole::io
