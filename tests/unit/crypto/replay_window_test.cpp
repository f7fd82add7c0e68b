#include "common/crypto/replay_window.hpp"

#include "common/base/rng.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <utility>

#include <gtest/gtest.h>

namespace pinhole::crypto {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

TEST(ReplayWindow, AcceptsEachNumberOnce) {
    ReplayWindow window;
    for (std::uint64_t number = 0; number < 3 * ReplayWindow::kSize; ++number) {
        ASSERT_TRUE(window.would_accept(number));
        ASSERT_TRUE(window.accept(number));
        ASSERT_FALSE(window.would_accept(number));
        ASSERT_FALSE(window.accept(number));
    }
}

TEST(ReplayWindow, AcceptsTheFirstNumberWhateverItIs) {
    for (const std::uint64_t first :
         {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{64}, std::uint64_t{123456}, kMax}) {
        ReplayWindow window;
        EXPECT_TRUE(window.accept(first));
        EXPECT_FALSE(window.accept(first));
    }
}

TEST(ReplayWindow, RejectsReplayOutsideWindow) {
    ReplayWindow window;
    constexpr std::uint64_t kHighest = 100'000;
    ASSERT_TRUE(window.accept(kHighest));
    EXPECT_TRUE(window.accept(kHighest - ReplayWindow::kSize + 1)) << "the oldest inside";
    EXPECT_FALSE(window.would_accept(kHighest - ReplayWindow::kSize));
    EXPECT_FALSE(window.accept(kHighest - ReplayWindow::kSize)) << "the youngest outside";
    EXPECT_FALSE(window.accept(0));
}

TEST(ReplayWindow, AcceptsAWholeWindowBackwards) {
    ReplayWindow window;
    for (std::uint64_t number = ReplayWindow::kSize; number-- > 0;) {
        ASSERT_TRUE(window.accept(number)) << number;
    }
    for (std::uint64_t number = 0; number < ReplayWindow::kSize; ++number) {
        ASSERT_FALSE(window.accept(number)) << number;
    }
}

TEST(ReplayWindow, ForgetsWhatAJumpLeavesBehind) {
    ReplayWindow window;
    ASSERT_TRUE(window.accept(10));
    const std::uint64_t far = 10 + 100 * ReplayWindow::kSize;
    ASSERT_TRUE(window.accept(far));
    for (std::uint64_t number = far - ReplayWindow::kSize + 1; number < far; ++number) {
        ASSERT_TRUE(window.accept(number)) << number;
    }
    EXPECT_FALSE(window.accept(10));
}

TEST(ReplayWindow, GoesUpToTheLastNumber) {
    ReplayWindow window;
    EXPECT_TRUE(window.accept(5));
    EXPECT_TRUE(window.accept(kMax - 1));
    EXPECT_TRUE(window.accept(kMax));
    EXPECT_FALSE(window.accept(kMax));
    EXPECT_TRUE(window.accept(kMax - 2));
    EXPECT_FALSE(window.accept(5));
}

TEST(ReplayWindow, AfterARestNothingOldComesBack) {
    for (const std::uint64_t said : {std::uint64_t{1}, std::uint64_t{100}, std::uint64_t{20'000}}) {
        ReplayWindow window;
        std::set<std::uint64_t> seen;
        // Every third is late.
        for (std::uint64_t number = 0; number < said; ++number) {
            if (number % 3 != 1) {
                ASSERT_TRUE(window.accept(number));
                seen.insert(number);
            }
        }
        for (int rests = 0; rests < 3; ++rests) {
            window.rest();
            for (const auto number : seen) {
                ASSERT_FALSE(window.accept(number)) << number;
            }
            const auto highest = *seen.rbegin();
            for (std::uint64_t number = highest + 1; number < highest + 500; ++number) {
                ASSERT_TRUE(window.accept(number)) << number;
                seen.insert(number);
            }
        }
    }
}

TEST(ReplayWindow, AgreesWithASetOfAllNumbers) {
    constexpr std::uint64_t kSeed = 23;
    SCOPED_TRACE(kSeed);
    SeededRng rng{kSeed};
    ReplayWindow window;
    std::set<std::uint64_t> seen;
    std::uint64_t highest = 0;
    for (int i = 0; i < 100'000; ++i) {
        const auto jump = rng.below(50) == 0 ? rng.below(3 * ReplayWindow::kSize) : rng.below(4);
        const auto back = rng.below(4) == 0 ? rng.below(ReplayWindow::kSize + 200) : rng.below(8);
        const auto number = highest + jump - std::min(back, highest + jump);
        const bool expected = !seen.contains(number) && (number > highest || highest - number < ReplayWindow::kSize);
        ASSERT_EQ(window.would_accept(number), expected) << number;
        ASSERT_EQ(window.accept(number), expected) << number;
        if (expected) {
            seen.insert(number);
            highest = std::max(highest, number);
        }
    }
}

}  // namespace
}  // namespace pinhole::crypto
