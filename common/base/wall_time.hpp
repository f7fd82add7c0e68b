// Calendar time, for storage, display and the age of a handshake only; never for timers.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pinhole {

/// Milliseconds since 1970-01-01 UTC.
struct WallTime {
    std::int64_t unix_ms = 0;

    friend constexpr auto operator<=>(const WallTime&, const WallTime&) = default;
};

/// RFC 3339 in UTC with milliseconds: 2026-11-21T04:05:06.789Z
[[nodiscard]] std::string rfc3339(WallTime time);

/// The system's clock. For shells and command lines; cores take a WallTime.
[[nodiscard]] WallTime wall_now();

}  // namespace pinhole
