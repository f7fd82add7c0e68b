#include "rendezvous/core/deadlines.hpp"
#include "rendezvous/core/introduction.hpp"
#include "rendezvous/core/registry.hpp"
#include "rendezvous/core/token_bucket.hpp"

#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

constexpr TimePoint kStart{1h};

TEST(TokenBucket, AllowsTheBurstAndThenTheRate) {
    TokenBucket bucket{{.per_second = 10, .burst = 5}, kStart};
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(bucket.take(1, kStart));
    }
    EXPECT_FALSE(bucket.take(1, kStart + 99ms));
    EXPECT_TRUE(bucket.take(1, kStart + 100ms));
    EXPECT_FALSE(bucket.take(1, kStart + 100ms));
}

TEST(TokenBucket, NeverHoldsMoreThanTheBurst) {
    TokenBucket bucket{{.per_second = 10, .burst = 5}, kStart};
    EXPECT_FALSE(bucket.take(6, kStart + 1h));
    EXPECT_TRUE(bucket.take(5, kStart + 1h));
}

TEST(Deadlines, ExpireInOrderAndOnce) {
    Deadlines<int> deadlines;
    deadlines.set(1, kStart + 3s);
    deadlines.set(2, kStart + 1s);
    deadlines.set(3, kStart + 2s);
    deadlines.set(3, kStart + 5s);
    deadlines.set(4, kStart);
    deadlines.set(4, std::nullopt);

    EXPECT_EQ(deadlines.next(), kStart + 1s);
    EXPECT_EQ(deadlines.expire(kStart), std::nullopt);
    EXPECT_EQ(deadlines.expire(kStart + 4s), 2);
    EXPECT_EQ(deadlines.expire(kStart + 4s), 1);
    EXPECT_EQ(deadlines.expire(kStart + 4s), std::nullopt);
    EXPECT_EQ(deadlines.next(), kStart + 5s);
}

TEST(Registry, RemembersABoundedNumberOfThoseWhoSleep) {
    Registry registry;
    const auto id = [](std::size_t number) {
        crypto::PeerId peer{};
        peer.bytes[0] = static_cast<std::uint8_t>(number);
        peer.bytes[1] = static_cast<std::uint8_t>(number >> 8U);
        return peer;
    };
    for (std::size_t i = 0; i < Registry::kMaxAsleep + 10; ++i) {
        ASSERT_FALSE(registry.add(id(i), ConnectionId{i + 1}));
        registry.fell_silent(id(i), kStart);
        registry.remove(id(i), ConnectionId{i + 1});
    }
    EXPECT_FALSE(registry.asleep(id(9), kStart)) << "the oldest are forgotten";
    EXPECT_TRUE(registry.asleep(id(10), kStart));
    EXPECT_FALSE(registry.asleep(id(10), kStart + Registry::kSleep));
}

TEST(Introduction, NearerSideWaitsForTheOther) {
    const Standing near{.observed = net::Address::v4({192, 0, 2, 1}), .rtt = 10ms};
    const Standing far{.observed = net::Address::v4({192, 0, 2, 2}), .rtt = 90ms};
    const auto plan = introduce(near, far);
    EXPECT_EQ(plan.caller_delay, Duration{40ms});
    EXPECT_EQ(plan.callee_delay, Duration{0});
}

TEST(Introduction, UnknownRoundTripsCostNoWaiting) {
    const auto plan = introduce({.observed = {}, .rtt = std::nullopt}, {.observed = {}, .rtt = std::nullopt});
    EXPECT_EQ(plan.caller_delay, Duration{0});
    EXPECT_EQ(plan.callee_delay, Duration{0});
}

TEST(Introduction, ASideThatDelaysItsAnswersCannotHoldUpTheOther) {
    const auto plan = introduce({.observed = {}, .rtt = 1ms}, {.observed = {}, .rtt = 24s});
    EXPECT_LE(plan.caller_delay, Duration{1s});
}

}  // namespace
}  // namespace pinhole::rendezvous
