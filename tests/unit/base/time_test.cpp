#include "common/base/time.hpp"

#include "common/base/ids.hpp"
#include "common/base/wall_time.hpp"

#include <gtest/gtest.h>

namespace pinhole {
namespace {

TEST(Rfc3339, WritesUtcWithMilliseconds) {
    EXPECT_EQ(rfc3339({0}), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(rfc3339({951782399999}), "2000-02-28T23:59:59.999Z");
    EXPECT_EQ(rfc3339({951782400000}), "2000-02-29T00:00:00.000Z");
    EXPECT_EQ(rfc3339({1795233906789}), "2026-11-21T04:05:06.789Z");
    EXPECT_EQ(rfc3339({-1}), "1969-12-31T23:59:59.999Z");
}

TEST(WallTime, OfTheSystemIsAfterThisWasWritten) {
    EXPECT_GT(wall_now().unix_ms, 1'700'000'000'000);
}

TEST(Earliest, TreatsAbsenceAsNever) {
    const TimePoint early{1s};
    const TimePoint late{2s};
    EXPECT_EQ(earliest(early, late), early);
    EXPECT_EQ(earliest(late, early), early);
    EXPECT_EQ(earliest(std::nullopt, late), late);
    EXPECT_EQ(earliest(late, std::nullopt), late);
    EXPECT_EQ(earliest(std::nullopt, std::nullopt), std::nullopt);
}

TEST(Seconds, AreFractional) {
    EXPECT_DOUBLE_EQ(seconds(1500ms), 1.5);
}

TEST(StrongId, OfDifferentTagsAreDifferentTypes) {
    using A = StrongId<struct TagA>;
    using B = StrongId<struct TagB>;
    static_assert(!std::is_convertible_v<A, B>);
    EXPECT_LT(A{1}, A{2});
    EXPECT_EQ(B{7}, B{7});
}

}  // namespace
}  // namespace pinhole
