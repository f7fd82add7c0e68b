#include "peer/netcheck/allocation.hpp"

#include "common/base/rng.hpp"

#include <algorithm>
#include <initializer_list>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::netcheck {
namespace {

using net::PortAllocation;

const auto kExternal = *net::Address::parse("203.0.113.7");

std::vector<PortSample> samples_of(const std::vector<std::uint16_t>& ports, Duration apart = 2ms) {
    std::vector<PortSample> samples;
    TimePoint at{};
    std::uint16_t local = 40000;
    for (const auto port : ports) {
        samples.push_back({.external = {.address = kExternal, .port = port}, .local_port = local, .sent_at = at});
        at += apart;
        local += 7;
    }
    return samples;
}

AllocationVerdict judge(std::initializer_list<std::uint16_t> ports) {
    return judge_allocation(samples_of(ports));
}

TEST(Allocation, TwoSamplesProveNothing) {
    EXPECT_EQ(judge({1000, 1001}).kind, PortAllocation::unknown);
}

TEST(Allocation, KeptPortsArePreserving) {
    const auto verdict = judge({40000, 40007, 40014, 40021, 40028, 40035});
    EXPECT_EQ(verdict.kind, PortAllocation::preserving);
    EXPECT_FALSE(verdict.delta);
}

TEST(Allocation, SomeCollisionsDoNotHidePreservation) {
    EXPECT_EQ(judge({40000, 1234, 40014, 40021, 61000, 40035}).kind, PortAllocation::preserving);
}

TEST(Allocation, OneKeptPortIsChance) {
    EXPECT_EQ(judge({40000, 1234, 30014, 9021, 61000, 50035}).kind, PortAllocation::random);
}

TEST(Allocation, PortsThatCountAreSequential) {
    for (const std::int32_t delta : {1, 2, 3, 10, 256, -1, -4, -256}) {
        SCOPED_TRACE(delta);
        std::vector<std::uint16_t> ports;
        ports.reserve(12);
        for (int i = 0; i < 12; ++i) {
            ports.push_back(static_cast<std::uint16_t>(30000 + i * delta));
        }
        const auto verdict = judge_allocation(samples_of(ports));
        EXPECT_EQ(verdict.kind, PortAllocation::sequential);
        EXPECT_EQ(verdict.delta, delta);
    }
}

TEST(Allocation, APauseBehindTheFirstSamplesDoesNotHideTheBurst) {
    for (const std::int32_t delta : {1, -1}) {
        SCOPED_TRACE(delta);
        std::vector<std::uint16_t> ports;
        ports.reserve(12);
        for (int i = 0; i < 12; ++i) {
            ports.push_back(static_cast<std::uint16_t>(30000 + i * delta));
        }
        auto samples = samples_of(ports);
        std::ranges::for_each(samples.begin() + 2, samples.end(), [](PortSample& sample) { sample.sent_at += 180ms; });
        const auto verdict = judge_allocation(samples);
        EXPECT_EQ(verdict.kind, PortAllocation::sequential);
        EXPECT_EQ(verdict.delta, delta);
    }
}

TEST(Allocation, OtherTrafficBetweenDoesNotHideTheStep) {
    const auto verdict = judge({20000, 20002, 20008, 20010, 20016, 20018, 20020, 20026});
    EXPECT_EQ(verdict.kind, PortAllocation::sequential);
    EXPECT_EQ(verdict.delta, 2);
}

TEST(Allocation, SequenceGoesOnAtTheOtherEndOfTheRange) {
    const auto up = judge({65532, 65533, 65534, 65535, 1024, 1025, 1026, 1027, 1028, 1029});
    EXPECT_EQ(up.kind, PortAllocation::sequential);
    EXPECT_EQ(up.delta, 1);
    const auto down = judge({20003, 20002, 20001, 20000, 29999, 29998, 29997, 29996, 29995, 29994});
    EXPECT_EQ(down.kind, PortAllocation::sequential);
    EXPECT_EQ(down.delta, -1);
}

TEST(Allocation, SequenceSurvivesPacketsThatOvertook) {
    const auto verdict = judge({5000, 5004, 5001, 5002, 5003, 5005, 5009, 5006, 5007, 5008, 5010, 5011});
    EXPECT_EQ(verdict.kind, PortAllocation::sequential);
    EXPECT_EQ(verdict.delta, 1);
}

TEST(Allocation, SequenceSurvivesPacketsThatWereSentAgain) {
    auto samples = samples_of({5000, 5040, 5001, 5002, 5041, 5003, 5004, 5005, 5006, 5042, 5007, 5008});
    for (auto& sample : samples) {
        sample.exact = sample.external.port < 5040;
    }
    EXPECT_EQ(judge_allocation(samples).kind, PortAllocation::sequential);
}

TEST(Allocation, PortsWithinTwoThousandAreABlock) {
    const auto verdict = judge({9216, 10500, 9300, 11100, 10000, 9900, 10800, 9240});
    EXPECT_EQ(verdict.kind, PortAllocation::block);
    EXPECT_EQ(verdict.block, (net::PortRange{.first = 9216, .last = 11100}));
}

TEST(Allocation, FourPortsAreTooFewForABlock) {
    EXPECT_EQ(judge({9901, 9303, 9810, 9514}).kind, PortAllocation::unknown);
}

TEST(Allocation, WideSpreadIsRandom) {
    EXPECT_EQ(judge({9216, 50500, 30300, 11100, 60000, 1900, 40800, 9240}).kind, PortAllocation::random);
}

TEST(Allocation, EachExternalAddressIsJudgedByItself) {
    auto samples = samples_of({9001, 9002, 50000, 9003, 50001, 9004, 50002, 9005, 9006});
    for (auto& sample : samples) {
        if (sample.external.port >= 50000) {
            sample.external.address = *net::Address::parse("203.0.113.8");
        }
    }
    EXPECT_EQ(judge_allocation(samples).kind, PortAllocation::sequential);
    EXPECT_EQ(external_addresses(samples).size(), 2U);
}

TEST(Allocation, BlockThatLooksLikeASequenceIsUnmaskedByLaterSamples) {
    auto samples = samples_of({8000, 8010, 8021, 8033, 8040, 8052, 8061, 8070});
    TimePoint at = samples.back().sent_at;
    for (const std::uint16_t port : std::initializer_list<std::uint16_t>{8100, 8020, 8090, 8005, 8110, 8002}) {
        at += 300ms;
        samples.push_back({.external = {.address = kExternal, .port = port}, .local_port = 50000, .sent_at = at});
    }
    EXPECT_EQ(judge_allocation(samples).kind, PortAllocation::block);
}

struct Drawn {
    PortAllocation kind;
    std::uint32_t first;
    std::uint32_t count;
};

TEST(Allocation, RandomPortsAreHardlyEverTakenForASequence) {
    for (const auto& drawn : {Drawn{PortAllocation::random, 1024, 64512}, Drawn{PortAllocation::random, 20000, 10000},
                              Drawn{PortAllocation::block, 4096, 2048}, Drawn{PortAllocation::block, 4096, 256},
                              Drawn{PortAllocation::block, 4096, 64}}) {
        std::size_t wrong = 0;
        for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
            SeededRng rng{seed};
            std::vector<std::uint16_t> ports;
            while (ports.size() < 12) {
                const auto port = static_cast<std::uint16_t>(drawn.first + rng.below(drawn.count));
                if (std::ranges::find(ports, port) == ports.end()) {
                    ports.push_back(port);
                }
            }
            wrong += judge_allocation(samples_of(ports)).kind == drawn.kind ? 0U : 1U;
        }
        // Of the smallest blocks one in a hundred looks like a sequence until later samples come.
        EXPECT_LE(wrong, drawn.count > 64 ? 4U : 20U) << name(drawn.kind) << " of " << drawn.count;
    }
}

TEST(CommonStep, IsTheLargestThatDividesAllOfAFew) {
    EXPECT_EQ(common_step(std::vector<std::int32_t>{4, 6, 8}), 2);
    EXPECT_EQ(common_step(std::vector<std::int32_t>{256, 256, 512}), 256);
    EXPECT_EQ(common_step({}), 0);
}

TEST(CommonStep, IgnoresAStrayAmongMany) {
    EXPECT_EQ(common_step(std::vector<std::int32_t>{4, 4, 4, 8, 4, 7, 4, 4, 12}), 4);
}

}  // namespace
}  // namespace pinhole::netcheck
