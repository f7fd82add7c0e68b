#include "peer/transport/ack_tracker.hpp"

#include "peer/transport/rtt.hpp"

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

class AckTrackerTest : public testing::Test {
  protected:
    void arrive(std::uint64_t number, bool eliciting = true) {
        tracker.on_packet({.number = number, .ack_eliciting = eliciting}, now, 40ms);
    }

    std::vector<Range> write() {
        Bytes buffer(500);
        ByteWriter out{buffer};
        largest = tracker.write(out, now);
        std::vector<Range> ranges;
        ByteReader reader{out.written()};
        if (const auto frame = parse_frame(reader)) {
            std::get<AckFrame>(*frame).for_each_range([&](Range range) { ranges.push_back(range); });
            ecn = std::get<AckFrame>(*frame).ecn;
            delay = std::get<AckFrame>(*frame).delay;
        }
        return ranges;
    }

    AckTracker tracker;
    TimePoint now = TimePoint{} + 1s;
    std::optional<std::uint64_t> largest;
    std::optional<EcnCounts> ecn;
    Duration delay{};
};

TEST_F(AckTrackerTest, EverySecondPacketIsAcknowledgedInTheBeginningAndEveryEighthLater) {
    std::uint64_t number = 0;
    arrive(number++);
    EXPECT_FALSE(tracker.due(now));
    arrive(number++);
    EXPECT_TRUE(tracker.due(now));
    EXPECT_EQ(write(), (std::vector<Range>{{0, 2}}));
    while (number < 200) {
        arrive(number++);
        if (tracker.due(now)) {
            write();
        }
    }
    write();
    for (int i = 0; i < 7; ++i) {
        arrive(number++);
        EXPECT_FALSE(tracker.due(now));
    }
    arrive(number++);
    EXPECT_TRUE(tracker.due(now));
}

TEST_F(AckTrackerTest, OnePacketIsAcknowledgedAfterAQuarterRoundTrip) {
    arrive(0);
    ASSERT_TRUE(tracker.deadline());
    EXPECT_EQ(*tracker.deadline(), now + 10ms);
    now += 10ms;
    EXPECT_TRUE(tracker.due(now));
    write();
    EXPECT_EQ(delay, 10ms);
    EXPECT_FALSE(tracker.deadline());
    EXPECT_FALSE(tracker.pending());
}

TEST_F(AckTrackerTest, TheDelayHasBounds) {
    tracker.on_packet({.number = 0, .ack_eliciting = true}, now, 10s);
    EXPECT_EQ(*tracker.deadline(), now + kMaxAckDelay);
    write();
    tracker.on_packet({.number = 1, .ack_eliciting = true}, now, 1us);
    EXPECT_EQ(*tracker.deadline(), now + 1ms);
}

TEST_F(AckTrackerTest, AcknowledgementsAreNotAcknowledged) {
    for (std::uint64_t i = 0; i < 50; ++i) {
        arrive(i, false);
    }
    EXPECT_FALSE(tracker.due(now));
    EXPECT_FALSE(tracker.pending());
}

TEST_F(AckTrackerTest, AGapIsReportedAtOnceForThreePackets) {
    for (std::uint64_t i = 0; i < 300; ++i) {
        arrive(i);
    }
    write();
    for (const std::uint64_t number : {301U, 302U, 303U}) {
        arrive(number);
        EXPECT_TRUE(tracker.due(now)) << number;
        EXPECT_EQ(write(), (std::vector<Range>{{301, number + 1}, {0, 300}}));
    }
    arrive(304);
    EXPECT_FALSE(tracker.due(now));
    arrive(300);
    EXPECT_TRUE(tracker.due(now)) << "the missing one";
    EXPECT_EQ(write(), (std::vector<Range>{{0, 305}}));
}

TEST_F(AckTrackerTest, PingAndCongestionMarkAreUrgent) {
    for (std::uint64_t i = 0; i < 300; ++i) {
        arrive(i);
    }
    write();
    tracker.on_packet({.number = 300, .ack_eliciting = true, .urgent = true}, now, 40ms);
    EXPECT_TRUE(tracker.due(now));
    write();
    EXPECT_FALSE(ecn);
    tracker.on_packet({.number = 301, .ack_eliciting = true, .ecn = net::Ecn::ce}, now, 40ms);
    EXPECT_TRUE(tracker.due(now));
    write();
    EXPECT_EQ(ecn, (EcnCounts{.ect0 = 0, .ect1 = 0, .ce = 1}));
}

TEST_F(AckTrackerTest, AcknowledgedAcksAreNotRepeated) {
    arrive(0);
    arrive(2);
    write();
    EXPECT_EQ(largest, 2U);
    arrive(4);
    tracker.on_ack_acked(2);
    EXPECT_EQ(write(), (std::vector<Range>{{4, 5}}));
}

TEST_F(AckTrackerTest, RemembersABoundedNumberOfRanges) {
    for (std::uint64_t i = 0; i < 1000; ++i) {
        arrive(2 * i);
    }
    const auto ranges = write();
    EXPECT_EQ(ranges.size(), kMaxAckRanges);
    EXPECT_EQ(ranges.front(), (Range{1998, 1999}));
    EXPECT_EQ(tracker.next_expected(), 1999U);
}

}  // namespace
}  // namespace pinhole::transport
