// The timers of a state machine: one slot per value of an enum, one earliest deadline.
#pragma once

#include "common/base/time.hpp"

#include <array>
#include <cstddef>
#include <optional>

namespace pinhole::net {

/// `Timer` is an enum class whose last value is `count`.
template <class Timer>
class TimerTable {
  public:
    void set(Timer timer, TimePoint when) { slot(timer) = when; }

    void stop(Timer timer) { slot(timer).reset(); }

    void stop_all() { slots_.fill(std::nullopt); }

    [[nodiscard]] bool armed(Timer timer) const { return at(timer).has_value(); }

    [[nodiscard]] std::optional<TimePoint> at(Timer timer) const { return slots_[static_cast<std::size_t>(timer)]; }

    [[nodiscard]] std::optional<TimePoint> next() const {
        std::optional<TimePoint> first;
        for (const auto& when : slots_) {
            first = earliest(first, when);
        }
        return first;
    }

    /// Takes one timer that is due, in enum order; call until nullopt.
    [[nodiscard]] std::optional<Timer> expire(TimePoint now) {
        for (std::size_t i = 0; i < slots_.size(); ++i) {
            if (slots_[i] && *slots_[i] <= now) {
                slots_[i].reset();
                return static_cast<Timer>(i);
            }
        }
        return std::nullopt;
    }

  private:
    std::optional<TimePoint>& slot(Timer timer) { return slots_[static_cast<std::size_t>(timer)]; }

    std::array<std::optional<TimePoint>, static_cast<std::size_t>(Timer::count)> slots_{};
};

}  // namespace pinhole::net
