#include "common/base/log.hpp"

#include <gtest/gtest.h>

namespace pinhole::log {
namespace {

TEST(LogRateLimit, LetsOneLinePassPerIntervalAndCountsTheRest) {
    RateLimit limit{1s};
    const TimePoint start{100s};
    EXPECT_EQ(limit.pass(start), 0U);
    EXPECT_FALSE(limit.pass(start));
    EXPECT_FALSE(limit.pass(start + 999ms));
    EXPECT_EQ(limit.pass(start + 1s), 2U);
    EXPECT_FALSE(limit.pass(start + 1999ms));
    EXPECT_EQ(limit.pass(start + 10s), 1U);
    EXPECT_EQ(limit.pass(start + 20s), 0U);
}

TEST(LogLevel, IsReadByName) {
    EXPECT_EQ(parse_level("error"), Level::error);
    EXPECT_EQ(parse_level("trace"), Level::trace);
    EXPECT_FALSE(parse_level("loud"));
    EXPECT_FALSE(parse_level(""));
}

TEST(LogLevel, SilencesWhatIsBelowTheThreshold) {
    set_level(Level::info);
    EXPECT_TRUE(enabled(Level::error));
    EXPECT_TRUE(enabled(Level::info));
    EXPECT_FALSE(enabled(Level::debug));
    set_level(Level::warn);
    EXPECT_FALSE(enabled(Level::info));
}

TEST(Log, WritesOneLine) {
    testing::internal::CaptureStderr();
    write(Level::warn, "the server is slow");
    const auto text = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(text.ends_with(" warn  the server is slow\n")) << text;
}

}  // namespace
}  // namespace pinhole::log
