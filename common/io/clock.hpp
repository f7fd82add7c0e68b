// The one bridge between the system's steady clock and the time that cores are given.
#pragma once

#include "common/base/time.hpp"

#include <chrono>
#include <ctime>

namespace pinhole::io {

[[nodiscard]] inline TimePoint now() {
    return TimePoint{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

/// How long this machine has been suspended since it started: the steady clock and its timers stand still meanwhile.
[[nodiscard]] inline Duration time_suspended() {
    timespec with{};
    timespec without{};
    ::clock_gettime(CLOCK_MONOTONIC, &without);
    ::clock_gettime(CLOCK_BOOTTIME, &with);
    return std::chrono::seconds{with.tv_sec - without.tv_sec} +
           std::chrono::nanoseconds{with.tv_nsec - without.tv_nsec};
}

/// For timers of Asio.
[[nodiscard]] inline std::chrono::steady_clock::time_point to_steady(TimePoint when) {
    return std::chrono::steady_clock::time_point{
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(when.time_since_epoch())};
}

}  // namespace pinhole::io
