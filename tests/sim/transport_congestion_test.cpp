// What the congestion controllers do to a line and to others on it. The bounds are those that a user would notice; the
// figures are printed by tests/bench/congestion_table.cpp.
#include "tests/sim/bottleneck.hpp"

#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

using transport::CongestionAlgorithm;

constexpr double kMegabit = 125'000;

BottleneckConfig line(double megabits, Duration round_trip, double loss, std::size_t queue, std::uint64_t seed) {
    const lab::LinkConfig link{
        .delay = round_trip / 2, .loss = loss, .bytes_per_second = megabits * kMegabit, .queue_bytes = queue};
    return {.forward = link, .back = link, .seed = seed};
}

/// Mbit/s of a file of so many bytes.
double rate_of(const BottleneckConfig& config, std::uint64_t bytes) {
    Bottleneck world{config};
    const auto& flow = world.start(CongestionAlgorithm::bbr, bytes);
    EXPECT_TRUE(world.run(flow, 300s));
    EXPECT_TRUE(flow.receiver->received(1, bytes));
    return static_cast<double>(bytes) / seconds(world.now() - TimePoint{}) / kMegabit;
}

/// Mbit/s of the flow over the time.
double rate_over(Bottleneck& world, const Bottleneck::Flow& flow, Duration time) {
    const auto before = flow.received();
    world.run_for(time);
    return static_cast<double>(flow.received() - before) / seconds(time) / kMegabit;
}

class EverySeed : public testing::TestWithParam<std::uint64_t> {};

TEST_P(EverySeed, ALineThatLosesPacketsIsUsed) {
    EXPECT_GE(rate_of(line(100, 100ms, 0.01, 1'250'000, GetParam()), 100'000'000), 85);
    EXPECT_GE(rate_of(line(100, 100ms, 0.02, 1'250'000, GetParam()), 64'000'000), 80);
    EXPECT_GE(rate_of(line(20, 40ms, 0.05, 100'000, GetParam()), 20'000'000), 14);
}

TEST_P(EverySeed, AShortQueueIsEnough) {
    EXPECT_GE(rate_of(line(10, 30ms, 0, 8'000, GetParam()), 10'000'000), 6.5);
    EXPECT_GE(rate_of(line(50, 20ms, 0, 30'000, GetParam()), 40'000'000), 40);
}

TEST_P(EverySeed, AloneItKeepsTheQueueEmptyAndTheLineBusy) {
    for (const std::size_t queue : {100'000U, 400'000U}) {
        Bottleneck world{line(20, 40ms, 0, queue, GetParam())};
        const auto& flow = world.start(CongestionAlgorithm::bbr, 1'000'000'000);
        world.run_for(5s);
        (void)world.take_round_trips();
        // 1472 of the 1500 bytes of a packet are ours, 1430 the file's.
        EXPECT_GE(rate_over(world, flow, 20s), 0.97 * 20 * 1430 / 1500);
        const auto trips = world.take_round_trips();
        EXPECT_LE(trips[trips.size() / 2], 45ms);
        EXPECT_LE(trips[trips.size() * 99 / 100], 55ms);
    }
}

TEST_P(EverySeed, ACubicFlowThatJoinsGetsItsShare) {
    for (const std::size_t queue : {100'000U, 400'000U}) {
        Bottleneck world{line(20, 40ms, 0, queue, GetParam())};
        world.start(CongestionAlgorithm::bbr, 1'000'000'000);
        world.run_for(10s);
        const auto& cubic = world.start(CongestionAlgorithm::cubic, 1'000'000'000);
        const auto kept = rate_over(world, cubic, 60s);
        EXPECT_GE(kept, 5.5) << queue;
        EXPECT_LE(kept, 13) << queue;
    }
}

TEST_P(EverySeed, TwoOfItsKindShare) {
    Bottleneck world{line(20, 40ms, 0, 200'000, GetParam())};
    world.start(CongestionAlgorithm::bbr, 1'000'000'000);
    world.run_for(5s);
    const auto& second = world.start(CongestionAlgorithm::bbr, 1'000'000'000);
    world.run_for(20s);
    const auto share = rate_over(world, second, 40s);
    EXPECT_GE(share, 5.5);
    EXPECT_LE(share, 14);
}

TEST_P(EverySeed, ARateThatChangesIsFollowed) {
    Bottleneck world{line(50, 40ms, 0, 200'000, GetParam())};
    const auto& flow = world.start(CongestionAlgorithm::bbr, 1'000'000'000);
    world.run_for(5s);
    world.forward.config().bytes_per_second = 10 * kMegabit;
    world.run_for(5s);
    (void)world.take_round_trips();
    EXPECT_GE(rate_over(world, flow, 10s), 8.5);
    auto trips = world.take_round_trips();
    EXPECT_LE(trips[trips.size() / 2], 70ms) << "the queue that the change made is gone";
    world.forward.config().bytes_per_second = 50 * kMegabit;
    world.run_for(10s);
    EXPECT_GE(rate_over(world, flow, 10s), 40) << "and what came back is found";
}

TEST_P(EverySeed, AfterAPauseItGoesOnAtTheRateItKnew) {
    Bottleneck world{line(50, 60ms, 0, 400'000, GetParam())};
    auto& flow = world.start(CongestionAlgorithm::bbr, 20'000'000);
    ASSERT_TRUE(world.run(flow, 30s));
    world.run_for(12s);
    const auto start = world.now();
    flow.sender->send(20'000'000);
    world.wake(flow);
    ASSERT_TRUE(world.run(flow, 30s));
    EXPECT_LE(seconds(world.now() - start), 20'000'000 / (40 * kMegabit));
}

// What comes late and then at once looks faster than it was.
TEST_P(EverySeed, BusyHostsDoNotFillTheQueue) {
    for (const auto lateness : {1ms, 3ms}) {
        auto config = line(20, 40ms, 0, 400'000, GetParam());
        config.lateness = lateness;
        Bottleneck world{config};
        const auto& flow = world.start(CongestionAlgorithm::bbr, 1'000'000'000);
        world.run_for(5s);
        (void)world.take_round_trips();
        EXPECT_GE(rate_over(world, flow, 20s), 0.92 * 20 * 1430 / 1500);
        const auto trips = world.take_round_trips();
        EXPECT_LE(trips[trips.size() / 2], 48ms);
        EXPECT_LE(trips[trips.size() * 99 / 100], 75ms);
        const auto& stats = flow.sender->connection.stats();
        EXPECT_LE(stats.packets_lost, stats.packets_sent / 50);
    }
}

TEST_P(EverySeed, TheBackgroundGivesWay) {
    Bottleneck world{line(20, 40ms, 0, 400'000, GetParam())};
    const auto& background = world.start(CongestionAlgorithm::ledbat, 1'000'000'000);
    world.run_for(10s);
    (void)world.take_round_trips();
    EXPECT_GE(rate_over(world, background, 20s), 14) << "alone it uses the line";
    const auto trips = world.take_round_trips();
    EXPECT_LE(trips[trips.size() / 2], 110ms) << "and its queue is the 60 ms of its target";
    const auto& cubic = world.start(CongestionAlgorithm::cubic, 1'000'000'000);
    world.run_for(5s);
    EXPECT_GE(rate_over(world, cubic, 30s), 16);
}

INSTANTIATE_TEST_SUITE_P(TransportCongestion, EverySeed, testing::Range<std::uint64_t>(1, 4));

}  // namespace
}  // namespace pinhole::sim
