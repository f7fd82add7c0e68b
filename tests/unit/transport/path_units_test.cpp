#include "peer/transport/arrivals.hpp"
#include "peer/transport/ecn.hpp"
#include "peer/transport/mtu_discovery.hpp"
#include "peer/transport/path.hpp"
#include "peer/transport/repeater.hpp"
#include "peer/transport/rtt.hpp"

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

constexpr TimePoint kStart = TimePoint{} + 10s;

// RFC 9002 §5.3 computed by hand.
TEST(TransportRtt, FollowsTheFormula) {
    Rtt rtt;
    EXPECT_FALSE(rtt.sampled());
    EXPECT_EQ(rtt.probe_timeout(), 100ms + 200ms + 25ms);
    rtt.add_sample(80ms, 10ms);
    EXPECT_EQ(rtt.smoothed(), 80ms) << "the first sample is taken whole";
    EXPECT_EQ(rtt.probe_timeout(), 80ms + 160ms + 25ms);
    rtt.add_sample(120ms, 10ms);
    // adjusted 110, variation (3 * 40 + 30) / 4 = 37.5, smoothed (7 * 80 + 110) / 8 = 83.75
    EXPECT_EQ(rtt.smoothed(), 83'750us);
    EXPECT_EQ(rtt.probe_timeout(), 83'750us + 150ms + 25ms);
    EXPECT_EQ(rtt.min(), 80ms);
    rtt.add_sample(85ms, 20ms);
    EXPECT_EQ(rtt.smoothed(), Duration{(7 * 83'750us + 85ms)} / 8)
        << "a delay that would undercut the minimum is not believed";
}

TEST(TransportRtt, ReportedDelayIsBounded) {
    Rtt rtt;
    rtt.add_sample(100ms, 0ms);
    rtt.add_sample(1000ms, 900ms);
    EXPECT_EQ(rtt.smoothed(), Duration{7 * 100ms + 975ms} / 8);
}

TEST(TransportPath, ProbeTimeoutBacksOffToABound) {
    Path path{PathId{1}, {}, {}};
    path.rtt.add_sample(40ms, 0ms);
    const auto base = path.probe_timeout();
    path.probe_timeouts = 1;
    EXPECT_EQ(path.probe_timeout(), 2 * base);
    path.probe_timeouts = 50;
    EXPECT_EQ(path.probe_timeout(), 2s);
}

TEST(TransportPath, ToleratedReorderingGrowsAndIsBounded) {
    Path path{PathId{1}, {}, {}};
    const auto delay = path.loss_delay();
    path.tolerate_reordering(10);
    EXPECT_EQ(path.packet_threshold, 11U);
    EXPECT_GT(path.loss_delay(), delay);
    path.tolerate_reordering(2);
    EXPECT_EQ(path.packet_threshold, 11U);
    for (int i = 0; i < 50; ++i) {
        path.tolerate_reordering(100'000);
    }
    EXPECT_EQ(path.packet_threshold, 128U);
    EXPECT_LE(path.loss_delay(), 2 * path.rtt.smoothed());
}

TEST(TransportMtu, ClimbsStepByStep) {
    MtuDiscovery mtu{1200, 1472};
    for (const std::size_t size : {1280U, 1400U, 1452U, 1472U}) {
        ASSERT_EQ(mtu.probe_size(kStart), size);
        mtu.on_probe_sent(size);
        EXPECT_FALSE(mtu.probe_size(kStart)) << "one at a time";
        mtu.on_probe_acked(size, kStart);
        EXPECT_EQ(mtu.current(), size);
    }
    EXPECT_FALSE(mtu.probe_size(kStart));
    EXPECT_FALSE(mtu.next_probe());
}

TEST(TransportMtu, ThreeLostProbesEndTheSearchForTenMinutes) {
    MtuDiscovery mtu{1200, 1472};
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(mtu.probe_size(kStart), 1280U);
        mtu.on_probe_sent(1280);
        mtu.on_probe_lost(1280, kStart);
    }
    EXPECT_FALSE(mtu.probe_size(kStart));
    EXPECT_EQ(mtu.next_probe(), kStart + 600s);
    EXPECT_EQ(mtu.probe_size(kStart + 600s), 1280U);
}

TEST(TransportMtu, OnlyLargePacketsDyingIsABlackHole) {
    MtuDiscovery mtu{1200, 1472};
    mtu.on_probe_sent(1280);
    mtu.on_probe_acked(1280, kStart);
    mtu.on_packet_acked(10, 1280);
    EXPECT_FALSE(mtu.on_packet_lost(9, 1280, kStart)) << "sent before one that arrived";
    EXPECT_FALSE(mtu.on_packet_lost(11, 1280, kStart));
    EXPECT_FALSE(mtu.on_packet_lost(12, 1000, kStart));
    EXPECT_FALSE(mtu.on_packet_lost(13, 1280, kStart));
    mtu.on_packet_acked(14, 1000);
    EXPECT_TRUE(mtu.on_packet_lost(15, 1280, kStart));
    EXPECT_EQ(mtu.current(), 1200U);
    EXPECT_FALSE(mtu.probe_size(kStart + 4s));
    EXPECT_TRUE(mtu.probe_size(kStart + 5s));
}

TEST(TransportMtu, ABlackHoleThatComesBackIsTriedEverMoreSeldom) {
    MtuDiscovery mtu{1200, 1472};
    auto now = kStart;
    std::uint64_t number = 1;
    for (const auto pause : {5s, 10s, 20s, 40s, 60s, 60s}) {
        mtu.on_probe_sent(1280);
        mtu.on_probe_acked(1280, now);
        for (int i = 0; i < 3; ++i) {
            mtu.on_packet_lost(number++, 1280, now);
        }
        ASSERT_EQ(mtu.current(), 1200U);
        EXPECT_FALSE(mtu.probe_size(now + pause - 1ms));
        now += pause;
        EXPECT_EQ(mtu.probe_size(now), 1280U);
    }
}

TEST(TransportMtu, RefusedSizesAreNotTriedAgain) {
    MtuDiscovery mtu{1200, 1472};
    EXPECT_FALSE(mtu.on_too_big(1200, kStart)) << "the base has to work";
    mtu.on_probe_sent(1280);
    mtu.on_probe_acked(1280, kStart);
    mtu.on_probe_sent(1400);
    EXPECT_FALSE(mtu.on_too_big(1400, kStart));
    EXPECT_EQ(mtu.current(), 1280U);
    EXPECT_FALSE(mtu.probe_size(kStart)) << "nor what is between the steps";
    EXPECT_TRUE(mtu.on_too_big(1280, kStart));
    EXPECT_EQ(mtu.current(), 1200U);
}

TEST(TransportEcn, IsUsedAfterTheTestComesBack) {
    EcnValidator ecn;
    EXPECT_EQ(ecn.mark(), net::Ecn::ect0);
    ecn.on_marked_sent(10);
    EXPECT_EQ(ecn.mark(), net::Ecn::not_ect);
    EXPECT_FALSE(ecn.on_ack(10, EcnCounts{.ect0 = 10}));
    EXPECT_EQ(ecn.mark(), net::Ecn::ect0);
    EXPECT_TRUE(ecn.on_ack(2, EcnCounts{.ect0 = 11, .ce = 1}));
    EXPECT_FALSE(ecn.on_ack(0, EcnCounts{.ect0 = 11, .ce = 1}));
}

TEST(TransportEcn, IsGivenUpWhenMarksDoNotComeBack) {
    EcnValidator stripped;
    stripped.on_marked_sent(3);
    stripped.on_ack(3, std::nullopt);
    EXPECT_EQ(stripped.mark(), net::Ecn::not_ect);
    EcnValidator lossy;
    lossy.on_ack(3, EcnCounts{.ect0 = 2});
    EXPECT_EQ(lossy.mark(), net::Ecn::not_ect);
    EcnValidator silent;
    silent.on_probe_timeout();
    EXPECT_EQ(silent.mark(), net::Ecn::not_ect);
    silent.restart();
    EXPECT_EQ(silent.mark(), net::Ecn::ect0);
}

/// So many packets, one each `every`; the time of the last.
TimePoint arrive(Arrivals& arrivals, int packets, Duration every) {
    auto now = kStart;
    for (int i = 0; i < packets; ++i) {
        now += every;
        arrivals.on_packet(now);
    }
    return now;
}

TEST(TransportArrivals, AreDenseWhileAFileFlows) {
    Arrivals arrivals;
    EXPECT_FALSE(arrivals.dense(kStart, 1ms));
    const auto last = arrive(arrivals, 64, 120us);
    EXPECT_TRUE(arrivals.dense(last + 2ms, 1ms));
    EXPECT_FALSE(arrivals.dense(last + 10ms, 1ms)) << "it has stopped";
    Arrivals slow;
    EXPECT_FALSE(slow.dense(arrive(slow, 64, 1ms), 1ms));
}

TEST(TransportArrivals, WaitForAShareOfTheRoundTripAndNeverBesideMessages) {
    Arrivals arrivals;
    EXPECT_EQ(arrivals.patience(kStart, 64ms), 1ms);
    EXPECT_EQ(arrivals.patience(kStart, 1s), 2ms);
    EXPECT_EQ(arrivals.patience(kStart, 1ms), 0ms) << "as long as a round trip would be too long";
    arrivals.on_message(kStart);
    EXPECT_EQ(arrivals.patience(kStart + 1s, 64ms), 0ms);
    EXPECT_EQ(arrivals.patience(kStart + 10s, 64ms), 1ms);
}

TEST(TransportRepeater, RepeatsEachMessageOnce) {
    Repeater repeater;
    repeater.on_message_sent(7, kStart, 40ms);
    repeater.on_message_sent(9, kStart + 1ms, 40ms);
    EXPECT_EQ(repeater.deadline(), kStart + 5ms);
    EXPECT_FALSE(repeater.take(kStart + 4ms));
    EXPECT_EQ(repeater.take(kStart + 5ms), 7U);
    EXPECT_FALSE(repeater.take(kStart + 5ms));
    EXPECT_EQ(repeater.take(kStart + 6ms), 9U);
    EXPECT_FALSE(repeater.deadline());
}

TEST(TransportRepeater, LeavesOutWhatHasArrived) {
    Repeater repeater;
    repeater.on_message_sent(7, kStart, 40ms);
    repeater.on_message_sent(9, kStart + 1ms, 40ms);
    repeater.forget([](std::uint64_t number) { return number == 7; });
    EXPECT_EQ(repeater.deadline(), kStart + 6ms);
}

TEST(TransportRepeater, DoesNotRepeatAFlow) {
    Repeater repeater;
    for (std::uint64_t number = 0; number < 1000; ++number) {
        repeater.on_message_sent(number, kStart, 40ms);
    }
    int repeated = 0;
    while (repeater.take(kStart + 1s)) {
        ++repeated;
    }
    EXPECT_LE(repeated, 4);
}

}  // namespace
}  // namespace pinhole::transport
