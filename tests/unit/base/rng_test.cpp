#include "common/base/rng.hpp"

#include <array>

#include <gtest/gtest.h>

namespace pinhole {
namespace {

TEST(SeededRng, IsSplitMix64) {
    SeededRng rng{0};
    EXPECT_EQ(rng.u64(), 0xe220a8397b1dcdafULL);
    EXPECT_EQ(rng.u64(), 0x6e789e6aa1b965f4ULL);
    EXPECT_EQ(rng.u64(), 0x06c45d188009454fULL);
}

TEST(SeededRng, ReplaysFromItsSeed) {
    std::array<std::uint8_t, 37> first{};
    std::array<std::uint8_t, 37> second{};
    SeededRng{42}.fill(first);
    SeededRng{42}.fill(second);
    EXPECT_EQ(first, second);
    SeededRng{43}.fill(second);
    EXPECT_NE(first, second);
}

TEST(Rng, BelowStaysBelowAndReachesEverything) {
    constexpr std::uint64_t kSeed = 7;
    SCOPED_TRACE(kSeed);
    SeededRng rng{kSeed};
    std::array<int, 7> counts{};
    for (int i = 0; i < 7000; ++i) {
        const auto value = rng.below(counts.size());
        ASSERT_LT(value, counts.size());
        ++counts[value];
    }
    for (const auto count : counts) {
        EXPECT_NEAR(count, 1000, 150);
    }
    EXPECT_EQ(rng.below(1), 0U);
}

/// Hands out the given numbers.
class ScriptedRng final : public Rng {
  public:
    explicit ScriptedRng(std::vector<std::uint64_t> values) : values_(std::move(values)) {}

    void fill(ByteSpan out) override {
        for (std::size_t i = 0; i < out.size(); ++i) {
            out[i] = static_cast<std::uint8_t>(values_.at(at_) >> (8 * i));
        }
        ++at_;
    }

    [[nodiscard]] std::size_t drawn() const { return at_; }

  private:
    std::vector<std::uint64_t> values_;
    std::size_t at_ = 0;
};

TEST(Rng, BelowDrawsAgainWhereTheRemainderWouldBeBiased) {
    // 2^64 mod 3 = 1, so exactly one value must be skipped: 0.
    ScriptedRng rng{{0, 5}};
    EXPECT_EQ(rng.below(3), 2U);
    EXPECT_EQ(rng.drawn(), 2U);
}

TEST(Rng, UnitIsInTheHalfOpenInterval) {
    ScriptedRng rng{{0, ~std::uint64_t{0}}};
    EXPECT_EQ(rng.unit(), 0.0);
    EXPECT_LT(rng.unit(), 1.0);
}

}  // namespace
}  // namespace pinhole
