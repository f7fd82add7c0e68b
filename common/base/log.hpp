// Lines on stderr for whoever runs the program. For shells and command lines; cores report by events.
// Never log keys, codes, message text or file names; addresses only at debug and below.
// Levels: error = it cannot go on; warn = an operator should look; info = life cycle; debug = one line a
// connection event; trace = one line a packet.
#pragma once

#include "common/base/time.hpp"

#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace pinhole::log {

enum class Level { error, warn, info, debug, trace };

[[nodiscard]] std::optional<Level> parse_level(std::string_view name);
void set_level(Level level);
[[nodiscard]] bool enabled(Level level);
/// One whole line, written with one call so that lines of threads do not mix.
void write(Level level, std::string_view line);

template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::warn)) {
        write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
    }
}

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::info)) {
        write(Level::info, fmt::format(format, std::forward<Args>(args)...));
    }
}

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::debug)) {
        write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
    }
}

template <class... Args>
void trace(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(Level::trace)) {
        write(Level::trace, fmt::format(format, std::forward<Args>(args)...));
    }
}

/// Lets one line pass per interval, so that a stranger cannot fill the log. Owned by whoever logs.
class RateLimit {
  public:
    explicit RateLimit(Duration interval) : interval_(interval) {}

    /// The number of lines dropped since the last that passed, or nullopt if this one is to be dropped.
    [[nodiscard]] std::optional<std::size_t> pass(TimePoint now);

  private:
    Duration interval_;
    std::optional<TimePoint> last_;
    std::size_t dropped_ = 0;
};

}  // namespace pinhole::log
