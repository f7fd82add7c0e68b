#include "peer/netcheck/rate.hpp"

#include "tests/unit/netcheck/world.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::netcheck {
namespace {

using testing::World;
using testing::WorldConfig;

/// A mark each 330 ms, `others` mappings of others between any two.
std::vector<PortSample> marks(std::int32_t others, std::int32_t delta, std::uint16_t first = 20000, int count = 14) {
    std::vector<PortSample> samples;
    for (int i = 0; i < count; ++i) {
        PortSample sample;
        sample.external.port = static_cast<std::uint16_t>(first + i * (others + 1) * delta);
        sample.sent_at = TimePoint{} + i * 330ms;
        samples.push_back(sample);
    }
    return samples;
}

std::optional<double> rate(const std::vector<PortSample>& samples, std::int32_t delta) {
    return mapping_rate({.marks = samples, .own = samples, .disturbances = {}}, delta, 165ms);
}

TEST(Rate, IsWhatOthersTookPerSecond) {
    EXPECT_NEAR(rate(marks(33, 1), 1).value(), 100, 0.01);
    EXPECT_NEAR(rate(marks(33, -4, 60000), -4).value(), 100, 0.01);
}

TEST(Rate, OfAQuietNatIsZero) {
    EXPECT_EQ(rate(marks(0, 2), 2), 0.0);
}

TEST(Rate, DoesNotCountOurOwnMappings) {
    const auto samples = marks(10, 1);
    auto own = samples;
    for (const auto& mark : samples) {
        PortSample other = mark;
        other.external.port += 5;
        own.push_back(other);
    }
    EXPECT_NEAR(mapping_rate({.marks = samples, .own = own, .disturbances = {}}, 1, 165ms).value(), 9 / 0.33, 0.01);
}

TEST(Rate, LeavesOutWhereTheCountBeganAnew) {
    auto samples = marks(99, 1, 64000, 8);
    auto rest = marks(99, 1, 1500, 8);
    for (auto& sample : rest) {
        sample.sent_at += 8 * 330ms;
        samples.push_back(sample);
    }
    EXPECT_NEAR(rate(samples, 1).value(), 300, 0.01);
}

TEST(Rate, LeavesOutDisturbedIntervals) {
    auto samples = marks(33, 1);
    for (std::size_t i = 5; i < samples.size(); ++i) {
        samples[i].external.port += 500;
    }
    const std::vector<TimePoint> disturbances{samples[4].sent_at + 10ms};
    EXPECT_NEAR(mapping_rate({.marks = samples, .own = samples, .disturbances = disturbances}, 1, 165ms).value(), 100,
                0.01);
}

TEST(Rate, TakesNoTimeFromASampleThatWasSentAgain) {
    auto samples = marks(33, 1);
    samples[5].external.port += 20;
    samples[5].exact = false;
    EXPECT_NEAR(rate(samples, 1).value(), 100, 0.01);
}

TEST(Rate, OfLessThanASecondIsUnknown) {
    EXPECT_FALSE(rate(marks(33, 1, 20000, 4), 1));
    EXPECT_FALSE(rate(marks(33, 1), 0));
}

TEST(Rate, MatchesWhatTheModelMadeAtAnyLoadAndLoss) {
    for (const auto dependence : {lab::Dependence::endpoint_independent, lab::Dependence::address_and_port_dependent}) {
        for (const double background : {5.0, 50.0, 300.0}) {
            double bias = 0;
            int close = 0;
            constexpr int kSeeds = 40;
            for (int seed = 1; seed <= kSeeds; ++seed) {
                lab::NatConfig nat;
                nat.mapping = dependence;
                nat.allocation = lab::Allocation::sequential;
                nat.background = background;
                nat.delta = seed % 3 == 0 ? -2 : 1;
                WorldConfig config;
                config.seed = static_cast<std::uint64_t>(seed);
                config.nats = {nat};
                config.link = {.delay = 20ms, .loss = 0.02};
                World world{config};
                const auto measured = world.run().udp.rate;
                ASSERT_TRUE(measured) << "seed " << seed;
                EXPECT_EQ(world.report().udp.delta, nat.delta) << "seed " << seed;
                const auto real = static_cast<double>(world.background_mappings()) / seconds(*world.complete_at());
                close += std::abs(*measured - real) <= 0.25 * real ? 1 : 0;
                bias += (*measured - real) / background / kSeeds;
            }
            SCOPED_TRACE(background);
            EXPECT_GE(close, kSeeds - 1);
            EXPECT_LT(std::abs(bias), 0.03);
        }
    }
}

}  // namespace
}  // namespace pinhole::netcheck
