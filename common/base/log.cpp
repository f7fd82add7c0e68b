#include "common/base/log.hpp"

#include "common/base/wall_time.hpp"

#include <array>
#include <atomic>
#include <string>

#include <unistd.h>

namespace pinhole::log {

namespace {

constexpr std::array<std::string_view, 5> kNames{"error", "warn", "info", "debug", "trace"};
std::atomic<Level> threshold{Level::warn};

}  // namespace

std::optional<Level> parse_level(std::string_view name) {
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (kNames[i] == name) {
            return static_cast<Level>(i);
        }
    }
    return std::nullopt;
}

void set_level(Level level) {
    threshold = level;
}

bool enabled(Level level) {
    return level <= threshold.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view line) {
    const auto text = fmt::format("{} {:5} {}\n", rfc3339(wall_now()), kNames[static_cast<std::size_t>(level)], line);
    // A log that cannot be written has nowhere to say so.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

std::optional<std::size_t> RateLimit::pass(TimePoint now) {
    if (last_ && now - *last_ < interval_) {
        ++dropped_;
        return std::nullopt;
    }
    last_ = now;
    return std::exchange(dropped_, 0);
}

}  // namespace pinhole::log
