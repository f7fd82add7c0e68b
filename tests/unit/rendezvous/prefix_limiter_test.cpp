#include "rendezvous/core/prefix_limiter.hpp"

#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

constexpr TimePoint kStart{};

TEST(PrefixLimiter, TheTableOfNetworksIsBoundedAndRecovers) {
    PrefixLimiter limiter{{.per_second = 1, .burst = 2, .max_prefixes = 8}};
    int allowed = 0;
    for (std::uint8_t i = 0; i < 200; ++i) {
        allowed += limiter.allow(net::Address::v4({10, 0, i, 1}), kStart) ? 1 : 0;
    }
    EXPECT_EQ(limiter.size(), 8U);
    EXPECT_EQ(allowed, 8 + 2);  // each of the first, and the bucket that all others share
    EXPECT_TRUE(limiter.allow(net::Address::v4({10, 0, 0, 1}), kStart));
    EXPECT_TRUE(limiter.allow(net::Address::v4({10, 1, 0, 1}), kStart + 10s));
    EXPECT_EQ(limiter.size(), 1U);
}

TEST(PrefixLimiter, TakesAllOfAnAmountOrNothing) {
    PrefixLimiter limiter{{.per_second = 10, .burst = 100}};
    const auto source = net::Address::v4({192, 0, 2, 1});
    EXPECT_TRUE(limiter.allow(source, kStart, 90));
    EXPECT_FALSE(limiter.allow(source, kStart, 11));
    EXPECT_TRUE(limiter.allow(source, kStart, 10));
    EXPECT_FALSE(limiter.allow(source, kStart + 900ms, 10));
    EXPECT_TRUE(limiter.allow(source, kStart + 1s, 10));
}

TEST(PrefixOf, KeepsTheFirstBytes) {
    EXPECT_EQ(prefix_of(*net::Address::parse("2001:db8:1:2:3::9"), 6), *net::Address::parse("2001:db8:1::"));
    EXPECT_EQ(prefix_of(net::Address::v4({192, 0, 2, 1}), 3), net::Address::v4({192, 0, 2, 0}));
    EXPECT_EQ(prefix_of(net::Address::v4({192, 0, 2, 1}), 8), net::Address::v4({192, 0, 2, 1}));
}

}  // namespace
}  // namespace pinhole::rendezvous
