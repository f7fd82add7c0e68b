// Named situations: losses, silence, slow readers, many streams, priorities, the end.
#include "tests/sim/pair.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

constexpr double kMegabit = 125'000;

LinkConfig link(Duration delay, double bytes_per_second = 0, std::size_t queue = 256 * 1024) {
    return {.delay = delay, .bytes_per_second = bytes_per_second, .queue_bytes = queue};
}

PairConfig both_ways(const LinkConfig& config, std::uint64_t seed = 1) {
    return {.to_b = config, .to_a = config, .a = {}, .b = {}, .seed = seed};
}

/// Seconds until a file of so many bytes has been sent and acknowledged; more than `limit` if it is not.
double transfer_time(Pair& pair, std::uint64_t bytes, Duration limit) {
    const auto start = pair.now();
    pair.a.send(bytes);
    if (!pair.run([&] { return pair.a.all_sent(); }, limit)) {
        return seconds(limit) + 1;
    }
    EXPECT_TRUE(pair.b.received(1, bytes));
    EXPECT_FALSE(pair.number_reused());
    return seconds(pair.now() - start);
}

TEST(TransportScenarios, BothSidesConfirmOnceWithoutData) {
    Pair pair{both_ways(link(30ms))};
    ASSERT_TRUE(pair.run(
        [&] { return pair.a.count<transport::Confirmed>() + pair.b.count<transport::Confirmed>() == 2; }, 100ms));
    pair.run_for(5s);
    EXPECT_EQ(pair.a.count<transport::Confirmed>(), 1U);
    EXPECT_EQ(pair.b.count<transport::Confirmed>(), 1U);
}

class FirstLoss : public testing::TestWithParam<int> {};

TEST_P(FirstLoss, AnyOfTheFirstPacketsMayVanish) {
    for (const bool side : {true, false}) {
        Pair pair{both_ways(link(20ms))};
        int seen = 0;
        pair.wiretap = [&](bool from_a, ByteView) { return from_a != side || seen++ != GetParam(); };
        EXPECT_LE(transfer_time(pair, 60'000, 5s), 1.0);
    }
}

INSTANTIATE_TEST_SUITE_P(TransportScenarios, FirstLoss, testing::Range(0, 12));

TEST(TransportScenarios, BurstLossCostsNoProbeTimeout) {
    Pair pair{both_ways(link(20ms, 20 * kMegabit))};
    int seen = 0;
    pair.wiretap = [&](bool from_a, ByteView) {
        seen += from_a ? 1 : 0;
        return !from_a || seen < 300 || seen > 340;
    };
    const auto time = transfer_time(pair, 3'000'000, 20s);
    EXPECT_LE(time, 2.5);
    EXPECT_GE(pair.a.connection.stats().packets_lost, 40U);
}

TEST(TransportScenarios, TailLossIsProbed) {
    Pair pair{both_ways(link(20ms))};
    pair.run_for(1s);
    int seen = 0;
    pair.wiretap = [&](bool from_a, ByteView) { return !from_a || seen++ > 0; };
    EXPECT_LE(transfer_time(pair, 500, 5s), 0.3);
}

TEST(TransportScenarios, HeavyLossBothWays) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        auto config = both_ways(link(15ms, 10 * kMegabit), seed);
        config.to_b.loss = config.to_a.loss = 0.3;
        Pair pair{config};
        EXPECT_LE(transfer_time(pair, 200'000, 60s), 60.0);
    }
}

TEST(TransportScenarios, BlackoutOfTwoSecondsIsSurvived) {
    Pair pair{both_ways(link(15ms, 10 * kMegabit, 60'000))};
    pair.a.send(10'000'000);
    pair.run_for(5s);
    pair.to_a.config().up = false;
    pair.to_b.config().up = false;
    pair.run_for(2s);
    pair.to_a.config().up = true;
    pair.to_b.config().up = true;
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 8s));
    EXPECT_TRUE(pair.b.received(1, 10'000'000));
}

TEST(TransportScenarios, SlowStartFillsALongPath) {
    Pair pair{both_ways(link(50ms, 100 * kMegabit, 1'250'000))};
    constexpr std::uint64_t kBytes = 60'000'000;
    const auto time = transfer_time(pair, kBytes, 30s);
    EXPECT_GE(static_cast<double>(kBytes) / time, 0.8 * 100 * kMegabit);
}

TEST(TransportScenarios, ShortQueueIsStillUsedWell) {
    Pair pair{both_ways(link(10ms, 100 * kMegabit, 125'000))};
    EXPECT_LE(transfer_time(pair, 10'000'000, 10s), 1.2);
}

TEST(TransportScenarios, GigabitOnAShortPath) {
    Pair pair{both_ways(link(4ms, 1000 * kMegabit, 4'000'000))};
    EXPECT_LE(transfer_time(pair, 10'000'000, 5s), 0.25);
}

TEST(TransportScenarios, SlowLinkWithLongDelay) {
    Pair pair{both_ways(link(300ms, 1 * kMegabit, 75'000))};
    EXPECT_LE(transfer_time(pair, 2'000'000, 60s), 20.0);
}

TEST(TransportScenarios, ThinReturnPathIsEnoughForAcknowledgements) {
    auto config = both_ways(link(20ms, 10 * kMegabit));
    config.to_a.bytes_per_second = 0.1 * kMegabit;
    config.to_a.queue_bytes = 20'000;
    Pair pair{config};
    EXPECT_LE(transfer_time(pair, 5'000'000, 30s), 5.5);
}

TEST(TransportScenarios, ReorderingAloneDoesNotCollapseTheWindow) {
    auto config = both_ways(link(20ms, 50 * kMegabit, 500'000));
    config.to_b.reorder = 0.05;
    config.to_b.reorder_delay = 8ms;
    Pair pair{config};
    EXPECT_LE(transfer_time(pair, 20'000'000, 30s), 5.0);
}

TEST(TransportScenarios, LossThatWasOnlyDelayIsTakenBack) {
    Pair pair{both_ways(link(20ms))};
    pair.run_for(100ms);
    pair.a.send(100'000'000);
    pair.run_for(150ms);
    const auto before = pair.a.connection.path_stats().congestion_window;
    pair.to_b.config().reorder = 0.1;
    pair.to_b.config().reorder_delay = 10ms;
    pair.run_for(20ms);
    pair.to_b.config().reorder = 0;
    pair.run_for(60ms);
    EXPECT_GT(pair.a.connection.stats().packets_lost, 0U);
    EXPECT_EQ(pair.to_b.dropped(), 0U);
    EXPECT_GE(pair.a.connection.path_stats().congestion_window, before);
}

TEST(TransportScenarios, CongestionMarksSlowTheSenderWithoutLoss) {
    Pair pair{both_ways(link(20ms))};
    pair.a.send(50'000'000);
    pair.run_for(200ms);
    // The router marks every packet from here on; the first reports of it come back after one round trip.
    pair.to_b.config().mark = true;
    pair.run_for(39ms);
    const auto before = pair.a.connection.path_stats().congestion_window;
    pair.run_for(30ms);
    EXPECT_LT(pair.a.connection.path_stats().congestion_window, before);
    EXPECT_EQ(pair.a.connection.stats().packets_lost, 0U);
}

TEST(TransportScenarios, SilentPeerCountsAsGone) {
    Pair pair{both_ways(link(20ms))};
    pair.run_for(1s);
    pair.to_b.config().up = false;
    pair.to_a.config().up = false;
    pair.run_for(31s);
    for (const auto* peer : {&pair.a, &pair.b}) {
        ASSERT_NE(peer->last<transport::Closed>(), nullptr);
        EXPECT_EQ(peer->last<transport::Closed>()->reason, transport::CloseReason::idle);
        EXPECT_TRUE(peer->connection.closed());
        EXPECT_FALSE(peer->connection.next_timeout());
    }
}

TEST(TransportScenarios, KeepaliveHoldsAQuietConnectionAndItStartsAgain) {
    Pair pair{both_ways(link(20ms))};
    pair.run_for(600s);
    EXPECT_EQ(pair.a.count<transport::Closed>(), 0U);
    const auto quiet = pair.a.connection.stats().packets_sent;
    EXPECT_GE(quiet, 35U);
    EXPECT_LE(quiet, 200U);
    EXPECT_LE(transfer_time(pair, 500'000, 5s), 0.5);
}

TEST(TransportScenarios, SlowReaderHoldsTheSenderBackWithinItsWindow) {
    auto config = both_ways(link(5ms));
    config.b.stream_window = 300'000;
    config.b.connection_window = 600'000;
    config.a.send_buffer = 400'000;
    Pair pair{config};
    pair.b.reading = false;
    for (int i = 0; i < 5; ++i) {
        pair.a.send(2'000'000);
    }
    pair.run_for(10s);
    EXPECT_LE(pair.b.connection.stats().buffered, 600'000U);
    EXPECT_GE(pair.b.connection.stats().buffered, 500'000U);
    EXPECT_LE(pair.a.connection.stats().buffered, 5 * 400'000U);
    pair.b.reading = true;
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 20s));
    EXPECT_TRUE(pair.b.received(5, 2'000'000));
    EXPECT_EQ(pair.b.connection.stats().buffered, 0U);
}

TEST(TransportScenarios, HundredsOfStreamsShareTheConnection) {
    auto config = both_ways(link(20ms, 50 * kMegabit));
    config.to_b.loss = 0.02;
    Pair pair{config};
    pair.run_for(200ms);  // the peer's credit for streams has arrived
    for (int i = 0; i < 250; ++i) {
        pair.a.send(3'000);
    }
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 10s));
    EXPECT_TRUE(pair.b.received(250, 3'000));
    EXPECT_LE(pair.a.connection.stats().packets_sent, 1500U) << "small frames share packets";
}

TEST(TransportScenarios, StreamCreditReturnsAsStreamsEnd) {
    auto config = both_ways(link(5ms));
    config.b.max_streams = 64;
    Pair pair{config};
    std::uint64_t opened = 0;
    const auto more = [&] {
        for (const auto& [stream, in] : pair.b.incoming) {
            if (in.ended && !pair.b.outgoing.contains(stream)) {
                pair.b.send_on(stream, 0);
            }
        }
        while (opened < 1000) {
            if (pair.a.send(10).value == ~std::uint64_t{0}) {
                break;
            }
            ++opened;
        }
        pair.settle();
        return opened == 1000 && pair.a.all_sent();
    };
    ASSERT_TRUE(pair.run(more, 60s));
    EXPECT_TRUE(pair.b.received(1000, 10));
}

TEST(TransportScenarios, ChatDoesNotWaitBehindAFile) {
    Pair pair{both_ways(link(20ms, 20 * kMegabit, 50'000))};
    Duration worst{};
    TimePoint written{};
    StreamId chat{};
    pair.b.on_read = [&](StreamId stream, std::uint64_t, TimePoint now) {
        if (stream == chat) {
            worst = std::max(worst, now - written);
        }
    };
    pair.a.send(100'000'000);
    chat = pair.a.send(0, Priority::chat);
    pair.a.outgoing[chat].finish = false;
    pair.run_for(2s);
    for (int i = 0; i < 50; ++i) {
        written = pair.now();
        pair.a.send_more(chat, 200);
        pair.settle();
        pair.run_for(101ms);
    }
    EXPECT_EQ(pair.b.incoming[chat].received, 50 * 200U);
    // One way, the queue of the link (20 ms) and one batch.
    EXPECT_LE(worst, 20ms + 20ms + 10ms);
}

TEST(TransportScenarios, LostChatMessageIsRepeatedBeforeAProbeTimeout) {
    Pair pair{both_ways(link(50ms))};
    const auto chat = pair.a.send(10, Priority::chat);
    pair.a.outgoing[chat].finish = false;
    pair.run_for(2s);
    int seen = 0;
    pair.wiretap = [&](bool from_a, ByteView) { return !from_a || seen++ > 0; };
    TimePoint arrived{};
    pair.b.on_read = [&](StreamId, std::uint64_t, TimePoint now) { arrived = now; };
    const auto written = pair.now();
    pair.a.send_more(chat, 200);
    pair.settle();
    pair.run_for(1s);
    EXPECT_LE(arrived - written, 50ms + 11ms);
    EXPECT_GT(arrived, written);
}

TEST(TransportScenarios, CloseReachesThePeerWithItsReason) {
    Pair pair{both_ways(link(20ms))};
    pair.a.send(1000);
    pair.run_for(1s);
    pair.a.connection.close(transport::CloseReason::application, "enough", pair.now());
    ASSERT_TRUE(pair.run([&] { return pair.a.connection.closed(); }, 60ms)) << "the echo ends it, not the timer";
    const auto* there = pair.b.last<transport::Closed>();
    ASSERT_NE(there, nullptr);
    EXPECT_TRUE(there->by_peer);
    EXPECT_EQ(there->reason, transport::CloseReason::application);
    EXPECT_EQ(there->detail, "enough");
    EXPECT_FALSE(pair.a.last<transport::Closed>()->by_peer);
    EXPECT_TRUE(pair.b.connection.closed());
}

TEST(TransportScenarios, CloseUnderLossReachesThePeer) {
    int reached = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        auto config = both_ways(link(20ms), seed);
        config.to_b.loss = config.to_a.loss = 0.2;
        Pair pair{config};
        pair.run_for(1s);
        pair.a.send(5'000'000);
        pair.b.send(5'000'000);
        pair.run_for(100ms);
        pair.a.connection.close(transport::CloseReason::done, "", pair.now());
        pair.run_for(5s);
        EXPECT_TRUE(pair.a.connection.closed());
        EXPECT_EQ(pair.a.connection.stats().buffered, 0U);
        reached += pair.b.connection.closed() ? 1 : 0;
    }
    EXPECT_GE(reached, 99);
}

TEST(TransportScenarios, WhatArrivedBeforeThePeersCloseCanStillBeRead) {
    Pair pair{both_ways(link(20ms))};
    pair.b.reading = false;
    pair.a.send(5000);
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 5s));
    pair.a.connection.close(transport::CloseReason::done, "", pair.now());
    pair.run_for(1s);
    ASSERT_TRUE(pair.b.connection.closed());
    pair.b.reading = true;
    pair.b.take_turn(pair.now());
    EXPECT_TRUE(pair.b.received(1, 5000));
}

TEST(TransportScenarios, CutStreamDoesNotLookComplete) {
    Pair pair{both_ways(link(20ms, 1 * kMegabit))};
    const auto stream = pair.a.send(5'000'000);
    pair.run_for(1s);
    pair.a.connection.close(transport::CloseReason::done, "", pair.now());
    pair.run_for(1s);
    pair.b.take_turn(pair.now());
    EXPECT_FALSE(pair.b.connection.end_of_stream(stream));
    EXPECT_FALSE(pair.b.incoming[stream].ended);
}

}  // namespace
}  // namespace pinhole::sim
