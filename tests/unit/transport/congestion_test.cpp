#include "peer/transport/cubic.hpp"
#include "peer/transport/hystart.hpp"
#include "peer/transport/pacer.hpp"

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

constexpr std::size_t kMtu = 1200;

class CubicTest : public testing::Test {
  protected:
    void ack(std::size_t bytes, bool app_limited = false) {
        cubic.on_packet_acked(now, bytes);
        cubic.on_ack({.now = now,
                      .largest_acked = number,
                      .next_packet = number + 1,
                      .latest_rtt = 50ms,
                      .smoothed_rtt = 50ms,
                      .app_limited = app_limited});
        ++number;
    }

    void lose(std::size_t packets, bool persistent = false) {
        cubic.on_congestion({.now = now, .newest_sent = now, .packets = packets, .persistent = persistent});
        now += 1ms;
    }

    /// Acknowledges a window of data a round trip, for so long.
    void run(Duration time) {
        for (const auto end = now + time; now < end; now += 50ms) {
            ack(cubic.window());
        }
    }

    Cubic cubic{kMtu};
    TimePoint now = TimePoint{} + 1s;
    std::uint64_t number = 1;
};

TEST_F(CubicTest, SlowStartDoubles) {
    EXPECT_EQ(cubic.window(), kInitialWindowPackets * kMtu);
    ack(cubic.window());
    EXPECT_EQ(cubic.window(), 2 * kInitialWindowPackets * kMtu);
    EXPECT_TRUE(cubic.in_slow_start());
}

TEST_F(CubicTest, UnusedWindowDoesNotGrow) {
    const auto before = cubic.window();
    ack(before, true);
    EXPECT_EQ(cubic.window(), before);
}

TEST_F(CubicTest, ALossReducesByThreeTenthsOnceARoundTrip) {
    ack(400'000);
    const auto before = cubic.window();
    lose(1);
    EXPECT_NEAR(static_cast<double>(cubic.window()), 0.7 * static_cast<double>(before), 1);
    cubic.on_congestion({.now = now, .newest_sent = now - 10ms, .packets = 5});
    EXPECT_NEAR(static_cast<double>(cubic.window()), 0.7 * static_cast<double>(before), 1);
    EXPECT_FALSE(cubic.in_slow_start());
}

TEST_F(CubicTest, PacketsOfTheRecoveryDoNotGrowTheWindow) {
    ack(400'000);
    const auto sent_before = now;
    lose(1);
    const auto reduced = cubic.window();
    cubic.on_packet_acked(sent_before, 100'000);
    cubic.on_ack({.now = now, .largest_acked = 9, .next_packet = 20, .latest_rtt = 50ms, .smoothed_rtt = 50ms});
    EXPECT_EQ(cubic.window(), reduced);
}

TEST_F(CubicTest, WindowReturnsToThePlateauAfterKSeconds) {
    ack(2'000'000);
    const auto plateau = static_cast<double>(cubic.window());
    lose(1);
    // K = cbrt(W_max (1 - 0.7) / 0.4), in packets: 1698 of them make 10.8 s.
    run(5s);
    EXPECT_LT(static_cast<double>(cubic.window()), plateau);
    EXPECT_GT(static_cast<double>(cubic.window()), 0.85 * plateau);
    run(6s);
    EXPECT_NEAR(static_cast<double>(cubic.window()), plateau, 0.02 * plateau);
    run(6s);
    EXPECT_GT(static_cast<double>(cubic.window()), 1.02 * plateau) << "and probes beyond";
}

TEST_F(CubicTest, FastConvergenceLowersThePlateau) {
    ack(2'000'000);
    lose(1);
    const auto after_first = static_cast<double>(cubic.window());
    lose(1);
    EXPECT_NEAR(static_cast<double>(cubic.window()), 0.7 * after_first, 1);
    run(60s);
    EXPECT_GT(cubic.window(), 0U);
}

TEST_F(CubicTest, PersistentCongestionStartsFromTheBottom) {
    ack(2'000'000);
    lose(20, true);
    EXPECT_EQ(cubic.window(), kMinimumWindowPackets * kMtu);
    EXPECT_TRUE(cubic.in_slow_start());
}

TEST_F(CubicTest, LossesThatWereNoneAreUndone) {
    ack(2'000'000);
    const auto before = cubic.window();
    const auto declared = now;
    lose(2);
    EXPECT_LT(cubic.window(), before);
    cubic.on_spurious_loss(declared);
    EXPECT_LT(cubic.window(), before) << "one of them is still lost";
    cubic.on_spurious_loss(declared);
    EXPECT_EQ(cubic.window(), before);
    EXPECT_TRUE(cubic.in_slow_start());
}

TEST_F(CubicTest, IdleTimeIsNotGrowth) {
    ack(2'000'000);
    lose(1);
    run(1s);
    const auto before = static_cast<double>(cubic.window());
    now += 60s;
    ack(1000, true);
    now += 50ms;
    ack(cubic.window());
    EXPECT_LT(static_cast<double>(cubic.window()), 1.05 * before);
}

TEST_F(CubicTest, WindowHasAnUpperBound) {
    for (int i = 0; i < 30; ++i) {
        ack(cubic.window());
    }
    EXPECT_EQ(cubic.window(), kMaximumWindow);
}

TEST(TransportCongestionNames, AreThoseOfTheCommandLine) {
    EXPECT_EQ(congestion_algorithm("bbr"), CongestionAlgorithm::bbr);
    EXPECT_EQ(congestion_algorithm("cubic"), CongestionAlgorithm::cubic);
    EXPECT_EQ(congestion_algorithm("ledbat"), CongestionAlgorithm::ledbat);
    EXPECT_FALSE(congestion_algorithm("reno"));
}

TEST(TransportHyStart, GrowingDelayEndsSlowStartAfterFiveCarefulRounds) {
    HyStart hystart;
    std::uint64_t packet = 0;
    const auto round = [&](Duration rtt) {
        for (int i = 0; i < 10; ++i) {
            hystart.on_ack(packet, packet + 10, rtt);
            ++packet;
        }
    };
    round(50ms);
    round(50ms);
    EXPECT_EQ(hystart.growth(1000), 1000U);
    round(60ms);
    EXPECT_EQ(hystart.growth(1000), 250U);
    // The round in which the delay grew counts as the first of them (RFC 9406 §4.2).
    int rounds = 1;
    for (; !hystart.finished() && rounds < 20; ++rounds) {
        round(62ms);
    }
    EXPECT_NEAR(rounds, 5, 1);
}

TEST(TransportHyStart, JitterThatPassesIsForgiven) {
    HyStart hystart;
    std::uint64_t packet = 0;
    const auto round = [&](Duration rtt) {
        for (int i = 0; i < 10; ++i) {
            hystart.on_ack(packet, packet + 10, rtt);
            ++packet;
        }
    };
    round(50ms);
    round(50ms);
    round(60ms);
    EXPECT_EQ(hystart.growth(1000), 250U);
    round(50ms);
    EXPECT_EQ(hystart.growth(1000), 1000U);
}

TEST(TransportPacer, IdleTimeEarnsOneBurstAndThenTheRateHolds) {
    constexpr double kRate = 1e6;
    Pacer pacer;
    TimePoint now{};
    pacer.refill(now, kRate, 12'000);
    std::size_t sent = 0;
    while (pacer.may_send()) {
        pacer.on_sent(1200);
        sent += 1200;
    }
    EXPECT_EQ(sent, 13'200U);
    EXPECT_EQ(pacer.ready_at() - now, 1'200'001ns);
    const auto end = now + 1s;
    while (now < end) {
        now = pacer.ready_at();
        pacer.refill(now, kRate, 12'000);
        ASSERT_TRUE(pacer.may_send());
        pacer.on_sent(1200);
        sent += 1200;
    }
    EXPECT_NEAR(static_cast<double>(sent), kRate + 12'000, 2'500);
}

TEST(TransportPacer, BatchIsMillisecondsOfTheRateWithinTheKernelsBounds) {
    EXPECT_EQ(Pacer::quantum(1000, 1472), 2U * 1472);
    EXPECT_EQ(Pacer::quantum(10e6, 1472), 15'000U);
    EXPECT_EQ(Pacer::quantum(10e6, 1472, 500us), 5'000U);
    EXPECT_EQ(Pacer::quantum(1e12, 1472), kMaxBatchPackets * 1472);
    EXPECT_EQ(Pacer::quantum(1e12, 9000), kMaxBatchBytes);
}

}  // namespace
}  // namespace pinhole::transport
