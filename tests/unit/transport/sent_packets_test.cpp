#include "peer/transport/sent_packets.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

SentPacket outstanding(TimePoint sent = {}) {
    SentPacket packet;
    packet.sent = sent;
    packet.size = 1200;
    packet.state = PacketState::outstanding;
    packet.ack_eliciting = true;
    return packet;
}

std::vector<std::uint64_t> acknowledge(SentPackets& sent, Range range) {
    std::vector<std::uint64_t> fresh;
    sent.acknowledge(range, [&](std::uint64_t number, SentPacket& packet) {
        fresh.push_back(number);
        packet.state = PacketState::settled;
    });
    return fresh;
}

std::vector<std::uint64_t> still_out(SentPackets& sent) {
    std::vector<std::uint64_t> numbers;
    sent.for_each_outstanding(sent.next_number(), [&](std::uint64_t number, SentPacket&) {
        numbers.push_back(number);
        return true;
    });
    return numbers;
}

TEST(TransportSentPackets, EachPacketIsAcknowledgedOnce) {
    SentPackets sent;
    for (int i = 0; i < 6; ++i) {
        sent.add(outstanding());
    }
    EXPECT_EQ(acknowledge(sent, {1, 3}), (std::vector<std::uint64_t>{1, 2}));
    EXPECT_EQ(acknowledge(sent, {0, 5}), (std::vector<std::uint64_t>{0, 3, 4}));
    EXPECT_EQ(acknowledge(sent, {0, 100}), (std::vector<std::uint64_t>{5}));
    sent.trim({});
    EXPECT_EQ(sent.size(), 0U);
    EXPECT_TRUE(acknowledge(sent, {0, 6}).empty());
    EXPECT_EQ(sent.next_number(), 6U);
}

TEST(TransportSentPackets, FramesStayWithTheirPacket) {
    SentPackets sent;
    for (std::uint64_t i = 0; i < 100; ++i) {
        for (std::uint64_t k = 0; k < i % 4; ++k) {
            sent.record({.id = i, .value = k, .kind = FrameKind::stream});
        }
        sent.add(outstanding());
        if (i % 10 == 9) {
            acknowledge(sent, {0, i - 4});
            sent.trim({});
        }
    }
    for (const auto number : still_out(sent)) {
        const auto& packet = sent.at(number);
        ASSERT_EQ(packet.frames, number % 4);
        for (std::size_t k = 0; k < packet.frames; ++k) {
            EXPECT_EQ(sent.frame(packet, k).id, number);
            EXPECT_EQ(sent.frame(packet, k).value, k);
        }
    }
}

TEST(TransportSentPackets, LostPacketsAreRememberedForAWhile) {
    SentPackets sent;
    sent.add(outstanding());
    sent.add(outstanding());
    sent.at(0).state = PacketState::lost;
    sent.at(0).declared_lost = TimePoint{} + 2s;
    acknowledge(sent, {1, 2});
    sent.trim(TimePoint{} + 1s);
    EXPECT_EQ(sent.size(), 2U);
    EXPECT_TRUE(still_out(sent).empty());
    sent.trim(TimePoint{} + 2s);
    EXPECT_EQ(sent.size(), 0U);
}

TEST(TransportSentPackets, SkippedNumberIsNeverOutstandingButCanBeClaimed) {
    SentPackets sent;
    sent.add(outstanding());
    sent.skip();
    sent.add(outstanding());
    EXPECT_EQ(still_out(sent), (std::vector<std::uint64_t>{0, 2}));
    bool lie = false;
    sent.acknowledge({0, 3},
                     [&](std::uint64_t, SentPacket& packet) { lie = lie || packet.state == PacketState::skipped; });
    EXPECT_TRUE(lie);
}

TEST(TransportSentPackets, WalkStopsWhenAsked) {
    SentPackets sent;
    for (int i = 0; i < 10; ++i) {
        sent.add(outstanding());
    }
    acknowledge(sent, {2, 4});
    std::vector<std::uint64_t> seen;
    sent.for_each_outstanding(9, [&](std::uint64_t number, SentPacket&) {
        seen.push_back(number);
        return seen.size() < 4;
    });
    EXPECT_EQ(seen, (std::vector<std::uint64_t>{0, 1, 4, 5}));
}

}  // namespace
}  // namespace pinhole::transport
