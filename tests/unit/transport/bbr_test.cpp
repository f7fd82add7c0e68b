#include "peer/transport/bbr.hpp"

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

constexpr std::size_t kPacket = 1000;
constexpr Duration kRtt = 50ms;
constexpr double kRate = 1e6;
constexpr std::uint64_t kBdp = 50'000;

/// A line of 1 MB/s and 50 ms that acknowledges five packets at a time.
class BbrTest : public testing::Test {
  protected:
    void ack(Duration rtt = kRtt, int packets = 5) {
        now += 5ms;
        delivered += static_cast<std::uint64_t>(packets) * kPacket;
        for (int i = 0; i < packets; ++i) {
            bbr.on_packet_sent(now, ++number, kPacket);
            bbr.on_packet_acked(now - rtt, kPacket);
        }
        bbr.on_ack({.now = now,
                    .largest_acked = number,
                    .next_packet = number + 50,
                    .latest_rtt = rtt,
                    .smoothed_rtt = rtt,
                    .sample = {.rate = kRate,
                               .delivered = kBdp,
                               .lost = 0,
                               .prior_delivered = delivered - std::min(delivered, kBdp),
                               .in_flight = flight,
                               .app_limited = app_limited},
                    .delivered = delivered,
                    .lost = lost,
                    .in_flight = flight});
    }

    void run(Duration time) {
        for (const auto end = now + time; now < end;) {
            ack();
        }
    }

    Bbr bbr{kPacket};
    TimePoint now = TimePoint{} + 1s;
    std::uint64_t number = 0;
    std::uint64_t delivered = 0;
    std::uint64_t lost = 0;
    std::uint64_t flight = kBdp;
    bool app_limited = false;
};

TEST_F(BbrTest, LeavesStartupWhenTheRateStopsGrowing) {
    EXPECT_EQ(bbr.state(), Bbr::State::startup);
    run(1s);
    EXPECT_NE(bbr.state(), Bbr::State::startup);
    EXPECT_NEAR(bbr.bandwidth(), kRate, 1);
    EXPECT_EQ(bbr.min_rtt(), kRtt);
}

TEST_F(BbrTest, WhoHasLittleToSayStaysInStartupHoweverLateItsAnswersAre) {
    ack();
    app_limited = true;
    flight = kPacket;
    for (int i = 0; i < 100; ++i) {
        ack(2 * kRtt);
    }
    EXPECT_EQ(bbr.state(), Bbr::State::startup);
}

TEST_F(BbrTest, WhoIsHeldBackByBuffersLeavesStartupWhenItQueues) {
    ack();
    app_limited = true;
    flight = 2 * kBdp;
    for (int i = 0; i < 100; ++i) {
        ack(kRtt + kRtt / 4);
    }
    EXPECT_EQ(bbr.state(), Bbr::State::startup);
    for (int i = 0; i < 100; ++i) {
        ack(2 * kRtt);
    }
    EXPECT_NE(bbr.state(), Bbr::State::startup);
}

TEST_F(BbrTest, StartupHasNoRoomForLumps) {
    ack();
    const auto most = 2 * kBdp + 25 * kPacket;
    while (bbr.state() == Bbr::State::startup) {
        // More than the bandwidth so far: as it looks when the rate still doubles.
        ASSERT_LE(bbr.window(), most);
        ack(kRtt, 12);
    }
}

TEST_F(BbrTest, LossesThatWereNoneAreNoCongestion) {
    lost = 20 * kPacket;
    run(1s);
    // What was lost in round trips before arrives after all: there are fewer losses at the end of this one than at its
    // beginning.
    for (int i = 0; i < 40; ++i) {
        lost -= lost > 0 ? kPacket : 0;
        delivered += kPacket;
        ack(kRtt + 5ms);
        ASSERT_NEAR(bbr.bandwidth(), kRate, 1) << i;
    }
}

TEST_F(BbrTest, MarksLowerTheRateUntilTheNextProbe) {
    run(1s);
    while (bbr.state() != Bbr::State::cruise) {
        ack();
    }
    for (int i = 0; i < 25; ++i) {
        bbr.on_congestion({.now = now, .newest_sent = now, .packets = 1, .ecn = true});
        ack();
    }
    EXPECT_LE(bbr.bandwidth(), 0.7 * kRate);
    run(4s);
    EXPECT_NEAR(bbr.bandwidth(), kRate, 1);
}

}  // namespace
}  // namespace pinhole::transport
