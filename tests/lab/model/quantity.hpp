// Times, rates and sizes as a person writes them: "20ms", "1.5s", "2min", "20mbit", "64kB".
#pragma once

#include "common/base/time.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

namespace pinhole::lab {

/// Units ns, us, ms, s, min, h; up to a year.
[[nodiscard]] std::optional<Duration> parse_time(std::string_view text);
/// Bytes per second, from bit, kbit, mbit, gbit (a thousand each) per second; more than 0.
[[nodiscard]] std::optional<double> parse_rate(std::string_view text);
/// Bytes, from B, kB, MB, GB (a thousand each); up to 1 TB.
[[nodiscard]] std::optional<std::size_t> parse_size(std::string_view text);

}  // namespace pinhole::lab
