// Ports: how each allocation chooses them, what background traffic takes, and what happens when there are none.
#include "tests/unit/lab/bench.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace pinhole::lab {
namespace {

using testing::at;
using testing::NatBench;

constexpr auto kSymmetric = Dependence::address_and_port_dependent;
constexpr const char* kServer = "198.18.9.2:3478";

std::string host(int number, int port) {
    return "10.1.0." + std::to_string(number) + ':' + std::to_string(port);
}

std::vector<int> ports_of(NatBench& bench, int count, int number = 2) {
    std::vector<int> ports;
    for (int i = 0; i < count; ++i) {
        const auto external = bench.out(host(number, 5000 + i), kServer);
        ports.push_back(external ? external->port : 0);
    }
    return ports;
}

TEST(NatAllocation, SequentialStepsByDelta) {
    for (const int delta : {1, 2, 256, -1, -3}) {
        for (std::uint64_t seed = 1; seed <= 20; ++seed) {
            SCOPED_TRACE(seed);
            NatBench bench{{.mapping = kSymmetric, .allocation = Allocation::sequential, .delta = delta}, seed};
            const auto ports = ports_of(bench, 10);
            for (std::size_t i = 1; i < ports.size(); ++i) {
                const int step = (ports[i] - ports[i - 1] - delta) % (65536 - 1024);
                EXPECT_EQ(step, 0) << delta << ": " << ports[i - 1] << ", " << ports[i];
            }
        }
    }
}

TEST(NatAllocation, SequentialGoesRoundItsRangeAndSkipsWhatIsInUse) {
    NatBench bench{{.mapping = kSymmetric,
                    .allocation = Allocation::sequential,
                    .delta = 4,
                    .first_port = 2000,
                    .last_port = 2019}};
    const auto ports = ports_of(bench, 20);
    EXPECT_EQ(std::set(ports.begin(), ports.end()).size(), 20U);
    EXPECT_EQ(*std::ranges::min_element(ports), 2000);
    EXPECT_EQ(*std::ranges::max_element(ports), 2019);
    const auto none = bench.send(at(host(2, 9000)), at(kServer));
    EXPECT_EQ(none.action, NatVerdict::Action::drop);
    EXPECT_STREQ(none.reason, "no free port");
}

TEST(NatAllocation, RandomUsesItsWholeRangeEvenly) {
    NatBench bench{{.mapping = kSymmetric, .allocation = Allocation::random}};
    std::array<int, 8> buckets{};
    constexpr int kDraws = 8000;
    for (int i = 0; i < kDraws; ++i) {
        const auto remote = "198.18." + std::to_string(i / 200) + ".9:" + std::to_string(1 + i % 200);
        const auto port = bench.out(host(2, 5000), remote)->port;
        ASSERT_GE(port, 1024);
        ++buckets.at(static_cast<std::size_t>((port - 1024) / ((65536 - 1024) / 8)));
    }
    for (const auto count : buckets) {
        EXPECT_NEAR(count, kDraws / 8.0, 150);
    }
}

TEST(NatAllocation, SmallRandomRangeIsUsedUpToTheLastPort) {
    NatBench bench{{.mapping = kSymmetric, .allocation = Allocation::random, .first_port = 3000, .last_port = 3299}};
    const auto ports = ports_of(bench, 300);
    EXPECT_EQ(std::set(ports.begin(), ports.end()).size(), 300U);
    EXPECT_FALSE(bench.out(host(3, 5000), kServer));
}

TEST(NatAllocation, BlockKeepsAHostInsideOneAlignedBlockUntilItIsFull) {
    NatBench bench{{.mapping = kSymmetric, .allocation = Allocation::block, .block_size = 64}};
    const auto ports = ports_of(bench, 64);
    const auto block = (ports.front() - 1024) / 64;
    for (const auto port : ports) {
        EXPECT_EQ((port - 1024) / 64, block);
    }
    EXPECT_FALSE(std::ranges::is_sorted(ports)) << "random inside the block";
    const auto others = ports_of(bench, 64, 3);
    const auto other_block = (others.front() - 1024) / 64;
    EXPECT_NE(other_block, block);
    const auto next = bench.out(host(2, 9000), kServer)->port;
    EXPECT_NE((next - 1024) / 64, block);
    EXPECT_NE((next - 1024) / 64, other_block);
}

TEST(NatAllocation, BlocksRunOut) {
    NatBench bench{{.mapping = kSymmetric,
                    .allocation = Allocation::block,
                    .first_port = 2000,
                    .last_port = 2099,
                    .block_size = 50}};
    EXPECT_TRUE(bench.out(host(2, 5000), kServer));
    EXPECT_TRUE(bench.out(host(3, 5000), kServer));
    EXPECT_FALSE(bench.out(host(4, 5000), kServer));
}

TEST(NatAllocation, QuotaLimitsEachHostAndComesBackWhenMappingsEnd) {
    NatBench bench{{.mapping = kSymmetric, .udp_timeout = 30s, .quota = 5}};
    EXPECT_EQ(std::ranges::count(ports_of(bench, 8), 0), 3);
    EXPECT_STREQ(bench.send(at(host(2, 9000)), at(kServer)).reason, "quota");
    EXPECT_TRUE(bench.out(host(3, 5000), kServer)) << "of another host";
    EXPECT_TRUE(bench.out(host(2, 5000), kServer)) << "it has this one already";
    bench.now += 30s;
    EXPECT_TRUE(bench.out(host(2, 9000), kServer));
}

TEST(NatAllocation, BackgroundTrafficTakesPortsAtItsRate) {
    for (const double rate : {5.0, 50.0, 300.0}) {
        double sum = 0;
        constexpr int kSeeds = 40;
        for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
            SCOPED_TRACE(seed);
            NatBench bench{{.mapping = kSymmetric, .allocation = Allocation::sequential, .background = rate}, seed};
            const auto first = bench.out(host(2, 5000), kServer)->port;
            bench.now += 10s;
            const auto second = bench.out(host(2, 5001), kServer)->port;
            const int steps = (second - first + 64512) % 64512;
            EXPECT_EQ(static_cast<std::uint64_t>(steps - 1), bench.nat().counters().background_mappings);
            sum += (steps - 1) / 10.0;
        }
        // Five standard deviations of the mean of a Poisson process seen for 400 seconds.
        EXPECT_NEAR(sum / kSeeds, rate, 5 * std::sqrt(rate / (10 * kSeeds)));
    }
}

TEST(NatAllocation, BackgroundTrafficIsAPoissonProcess) {
    NatBench bench{{.background = 50}};
    double mean = 0;
    double square = 0;
    constexpr int kIntervals = 2000;
    std::uint64_t before = 0;
    (void)bench.out(host(2, 5000), kServer);
    for (int i = 0; i < kIntervals; ++i) {
        bench.now += 100ms;
        (void)bench.out(host(2, 5000), kServer);
        const auto count = bench.nat().counters().background_mappings;
        const auto made = static_cast<double>(count - before);
        before = count;
        mean += made / kIntervals;
        square += made * made / kIntervals;
    }
    EXPECT_NEAR(mean, 5, 0.25);
    EXPECT_NEAR(square - mean * mean, 5, 0.75) << "the variance is the mean";
}

TEST(NatAllocation, ALongSilenceCostsNoTimeForItsBackground) {
    NatBench bench{{.allocation = Allocation::sequential, .background = 1e6}};
    (void)bench.out(host(2, 5000), kServer);
    bench.now += 24h;
    EXPECT_TRUE(bench.out(host(2, 5001), kServer));
    EXPECT_NEAR(static_cast<double>(bench.nat().counters().background_mappings), 86400e6, 1e6 * 100);
}

TEST(NatAllocation, TheRateMayChange) {
    NatBench bench{{.allocation = Allocation::sequential}};
    const auto ports = ports_of(bench, 1);
    bench.now += 100s;
    EXPECT_EQ(bench.out(host(3, 5000), kServer)->port, 1024 + (ports[0] - 1024 + 1) % 64512);
    bench.nat().config().background = 100;
    (void)bench.out(host(3, 5000), kServer);
    bench.now += 10s;
    (void)bench.out(host(3, 5000), kServer);
    EXPECT_NEAR(static_cast<double>(bench.nat().counters().background_mappings), 1000, 200);
}

TEST(NatAllocation, SameSeedSamePorts) {
    for (const auto allocation : {Allocation::sequential, Allocation::block, Allocation::random}) {
        const auto ports = [allocation](std::uint64_t seed) {
            NatBench bench{{.mapping = kSymmetric, .allocation = allocation, .background = 20}, seed};
            return ports_of(bench, 20);
        };
        EXPECT_EQ(ports(7), ports(7));
        EXPECT_NE(ports(7), ports(8));
    }
}

TEST(NatAllocation, RebindGivesOtherPorts) {
    for (const auto allocation :
         {Allocation::preserving, Allocation::sequential, Allocation::block, Allocation::random}) {
        for (std::uint64_t seed = 1; seed <= 50; ++seed) {
            SCOPED_TRACE(seed);
            NatBench bench{{.allocation = allocation, .first_port = 2000, .last_port = 9999}, seed};
            const auto before = ports_of(bench, 20);
            bench.nat().rebind(bench.now);
            EXPECT_EQ(bench.nat().mappings(bench.now), 0U);
            const auto after = ports_of(bench, 20);
            for (std::size_t i = 0; i < before.size(); ++i) {
                EXPECT_NE(before[i], after[i]);
            }
        }
    }
}

TEST(NatAllocation, PreservingAfterARebindIsShiftedForAll) {
    NatBench bench{{.mapping = kSymmetric}};
    (void)ports_of(bench, 2);
    bench.nat().rebind(bench.now);
    const auto ports = ports_of(bench, 2);
    EXPECT_NE(ports[0], 5000);
    EXPECT_EQ((ports[1] - ports[0] + 64512) % 64512, 1);
    EXPECT_EQ(bench.out(host(2, 5000), "198.18.9.3:9")->port, ports[0]) << "and still the same for every destination";
}

TEST(NatAllocation, ExpireAllForgetsMappingsButNotThePorts) {
    NatBench bench{{}};
    const auto external = bench.out(host(2, 5000), kServer).value();
    bench.nat().expire_all();
    EXPECT_FALSE(bench.in(kServer, external));
    EXPECT_EQ(bench.out(host(2, 5000), kServer), external);
}

}  // namespace
}  // namespace pinhole::lab
