#include "common/net/timer_table.hpp"

#include <cstdint>

#include <gtest/gtest.h>

namespace pinhole::net {
namespace {

enum class Timer : std::uint8_t { probe, idle, ping, count };

TEST(TimerTable, WithoutTimersWakesNobody) {
    TimerTable<Timer> timers;
    EXPECT_EQ(timers.next(), std::nullopt);
    EXPECT_EQ(timers.expire(TimePoint{1h}), std::nullopt);
}

TEST(TimerTable, NextIsTheEarliest) {
    TimerTable<Timer> timers;
    timers.set(Timer::idle, TimePoint{3s});
    timers.set(Timer::probe, TimePoint{5s});
    EXPECT_EQ(timers.next(), TimePoint{3s});
    timers.stop(Timer::idle);
    EXPECT_EQ(timers.next(), TimePoint{5s});
    EXPECT_FALSE(timers.armed(Timer::idle));
    EXPECT_TRUE(timers.armed(Timer::probe));
}

TEST(TimerTable, SettingAgainReplaces) {
    TimerTable<Timer> timers;
    timers.set(Timer::ping, TimePoint{3s});
    timers.set(Timer::ping, TimePoint{9s});
    EXPECT_EQ(timers.at(Timer::ping), TimePoint{9s});
    EXPECT_EQ(timers.expire(TimePoint{8s}), std::nullopt);
}

TEST(TimerTable, ExpiresEachDueTimerOnceInEnumOrder) {
    TimerTable<Timer> timers;
    timers.set(Timer::ping, TimePoint{1s});
    timers.set(Timer::probe, TimePoint{2s});
    timers.set(Timer::idle, TimePoint{3s});
    EXPECT_EQ(timers.expire(TimePoint{2s}), Timer::probe);
    EXPECT_EQ(timers.expire(TimePoint{2s}), Timer::ping);
    EXPECT_EQ(timers.expire(TimePoint{2s}), std::nullopt);
    EXPECT_EQ(timers.next(), TimePoint{3s});
}

TEST(TimerTable, StopAllStopsAll) {
    TimerTable<Timer> timers;
    timers.set(Timer::ping, TimePoint{1s});
    timers.set(Timer::idle, TimePoint{1s});
    timers.stop_all();
    EXPECT_EQ(timers.next(), std::nullopt);
}

}  // namespace
}  // namespace pinhole::net
