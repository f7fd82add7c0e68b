// From sampled ports to the ports that are tried: up and down, over the wrap, through other traffic.
#include "rendezvous/core/continuation.hpp"

#include "common/base/rng.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include <gmock/gmock.h>

namespace pinhole::rendezvous {
namespace {

using net::PortRange;
using testing::ElementsAre;
using testing::IsEmpty;
using Ports = std::vector<std::uint16_t>;

constexpr std::uint16_t kMax = 256;

std::size_t count(const std::vector<PortRange>& ranges) {
    std::size_t ports = 0;
    for (const auto& range : ranges) {
        EXPECT_LE(range.first, range.last);
        ports += static_cast<std::size_t>(range.last - range.first) + 1;
    }
    return ports;
}

bool holds(const std::vector<PortRange>& ranges, std::uint16_t port) {
    return std::ranges::any_of(ranges, [&](const auto& range) { return port >= range.first && port <= range.last; });
}

SequenceModel model(std::int32_t delta, double rate = 0, std::uint16_t sockets = 16) {
    return {.delta = delta, .rate = rate, .sockets = sockets};
}

TEST(Bracket, IsWhatLiesBetweenTheSamples) {
    EXPECT_THAT(bracket(Ports{20'000}, Ports{20'017}, model(1), kMax),
                ElementsAre(PortRange{.first = 20'001, .last = 20'016}));
    EXPECT_THAT(bracket(Ports{19'990, 20'000}, Ports{20'017, 20'018}, model(1), kMax),
                ElementsAre(PortRange{.first = 20'001, .last = 20'016}))
        << "the innermost samples";
    EXPECT_THAT(bracket(Ports{20'017}, Ports{20'000}, model(-1), kMax),
                ElementsAre(PortRange{.first = 20'001, .last = 20'016}))
        << "a NAT that counts down";
}

TEST(Bracket, GoesOverTheWrap) {
    EXPECT_THAT(bracket(Ports{65'530}, Ports{1'030}, model(1), kMax),
                ElementsAre(PortRange{.first = 1024, .last = 1029}, PortRange{.first = 65'531, .last = 65'535}));
    EXPECT_THAT(bracket(Ports{1'030}, Ports{65'530}, model(-1), kMax),
                ElementsAre(PortRange{.first = 1024, .last = 1029}, PortRange{.first = 65'531, .last = 65'535}));
}

TEST(Bracket, KeepsThePortsNextToTheLastSampleWhenThereAreTooMany) {
    EXPECT_THAT(bracket(Ports{20'000}, Ports{22'000}, model(1), kMax),
                ElementsAre(PortRange{.first = 21'744, .last = 21'999}));
    EXPECT_EQ(count(bracket(Ports{20'000}, Ports{22'000}, model(1), 768)), 768U);
}

TEST(Bracket, StepsOverWhatALargeDeltaLeavesOut) {
    const auto ranges = bracket(Ports{20'000}, Ports{20'000 + 17 * 256}, model(256), kMax);
    EXPECT_EQ(ranges.size(), net::kMaxScanRanges);
    for (const auto& range : ranges) {
        EXPECT_EQ(range.first, range.last);
        EXPECT_EQ((range.first - 20'000) % 256, 0);
        EXPECT_TRUE(range.first > 20'000 && range.first < 20'000 + 17 * 256);
    }
}

TEST(Bracket, MakesDoWithOneSample) {
    const auto after_lost = bracket(Ports{20'000}, {}, model(1), kMax);
    EXPECT_TRUE(holds(after_lost, 20'001) && holds(after_lost, 20'016));
    const auto before_lost = bracket({}, Ports{20'017}, model(1), kMax);
    EXPECT_TRUE(holds(before_lost, 20'001) && holds(before_lost, 20'016));
    EXPECT_THAT(bracket({}, {}, model(1), kMax), IsEmpty());
    EXPECT_THAT(bracket(Ports{20'000}, Ports{20'000}, model(1), kMax), IsEmpty());
}

TEST(Bracket, NeverAsksForMoreThanTheBounds) {
    constexpr std::uint64_t kSeed = 11;
    SCOPED_TRACE(kSeed);
    SeededRng rng{kSeed};
    for (int i = 0; i < 20'000; ++i) {
        const auto port = [&] { return static_cast<std::uint16_t>(1 + rng.below(65'535)); };
        const Ports before = rng.below(4) == 0 ? Ports{} : Ports{port(), port()};
        const Ports after = rng.below(4) == 0 ? Ports{} : Ports{port()};
        const auto delta = static_cast<std::int32_t>(rng.below(131'071)) - 65'535;
        const auto small = static_cast<std::int32_t>(rng.below(9)) - 4;
        const auto ranges = bracket(before, after,
                                    {.delta = rng.below(2) == 0 ? delta : small,
                                     .rate = static_cast<double>(rng.below(1'000'000)),
                                     .sockets = static_cast<std::uint16_t>(1 + rng.below(256))},
                                    kMax);
        ASSERT_LE(ranges.size(), net::kMaxScanRanges);
        ASSERT_LE(count(ranges), kMax);
    }
}

/// A NAT that counts, with other traffic between our own mappings.
class Counter {
  public:
    Counter(std::uint16_t next, std::int32_t delta, double rate, Rng& rng)
        : next_(next), delta_(delta), rate_(rate), rng_(rng) {}

    std::uint16_t take(double seconds_since_last) {
        // A Poisson process by its exponential gaps.
        for (double t = gap(); t < seconds_since_last; t += gap()) {
            advance();
        }
        const auto port = static_cast<std::uint16_t>(next_);
        advance();
        return port;
    }

  private:
    double gap() { return rate_ <= 0 ? 1e9 : -std::log(1 - rng_.unit()) / rate_; }

    void advance() {
        next_ += delta_;
        next_ = next_ > 65'535 ? 1024 + (next_ - 65'536) : next_;
        next_ = next_ < 1024 ? 65'535 - (1023 - next_) : next_;
    }

    std::int32_t next_;
    std::int32_t delta_;
    double rate_;
    Rng& rng_;
};

TEST(Bracket, HoldsAPortOfTheBurstAtEveryRate) {
    constexpr std::uint64_t kSeed = 12;
    for (const double rate : {0.0, 20.0, 100.0, 300.0}) {
        for (const std::int32_t delta : {1, 2, -1, 256}) {
            SCOPED_TRACE(std::to_string(rate) + "/s, delta " + std::to_string(delta));
            SeededRng rng{kSeed};
            int found = 0;
            for (int i = 0; i < 200; ++i) {
                Counter nat{static_cast<std::uint16_t>(1024 + rng.below(64'512)), delta, rate, rng};
                const Ports before{nat.take(0)};
                Ports burst;
                for (int socket = 0; socket < 16; ++socket) {
                    burst.push_back(nat.take(socket == 0 ? 0.1 : 0.001));
                }
                const Ports after{nat.take(0.001)};
                const auto ranges = bracket(before, after, model(delta, rate), kMax);
                found += std::ranges::any_of(burst, [&](auto port) { return holds(ranges, port); }) ? 1 : 0;
            }
            EXPECT_GE(found, 198);
        }
    }
}

TEST(Aim, IsTheMiddleOfTheBurst) {
    EXPECT_EQ(aim(Ports{20'000}, model(1, 0, 25), 0s), 20'013);
    EXPECT_EQ(aim(Ports{20'000}, model(-1, 0, 25), 0s), 19'987);
    EXPECT_EQ(aim(Ports{20'000}, model(4, 0, 25), 0s), 20'052);
    EXPECT_EQ(aim(Ports{20'000}, model(1, 100, 25), 500ms), 20'063) << "50 of others came before";
    EXPECT_EQ(aim(Ports{65'530}, model(1, 0, 25), 0s), 1031);
    EXPECT_EQ(aim({}, model(1), 0s), std::nullopt);
}

TEST(Aim, MeetsTheBurstOfANatThatIsBusy) {
    constexpr std::uint64_t kSeed = 13;
    for (const double rate : {0.0, 20.0, 100.0, 300.0}) {
        SCOPED_TRACE(rate);
        SeededRng rng{kSeed};
        const auto sockets = static_cast<std::uint16_t>(std::clamp(4 * std::sqrt(rate * 0.5) + 25, 25.0, 128.0));
        int met = 0;
        for (int i = 0; i < 300; ++i) {
            Counter nat{static_cast<std::uint16_t>(1024 + rng.below(64'512)), 1, rate, rng};
            const auto port = aim(Ports{nat.take(0)}, model(1, rate, sockets), 500ms);
            Ports burst;
            for (int socket = 0; socket < sockets; ++socket) {
                burst.push_back(nat.take(socket == 0 ? 0.5 : 0.0));
            }
            met += std::ranges::count(burst, *port) > 0 ? 1 : 0;
        }
        EXPECT_GE(met, 285);
    }
}

TEST(Aim, OfABlockIsAPortOfItThatIsFree) {
    SequenceModel of_block{.block = PortRange{.first = 30'000, .last = 30'255}};
    EXPECT_EQ(aim(Ports{30'010}, of_block, 1s), 30'127);
    EXPECT_EQ(aim(Ports{30'127, 30'128}, of_block, 1s), 30'129);
    EXPECT_EQ(aim(Ports{30'300}, of_block, 1s), 30'127) << "what was seen of a block is not all of it";
    EXPECT_EQ(aim(Ports{40'000}, of_block, 1s), std::nullopt) << "another block than was measured";
    EXPECT_EQ(aim(Ports{}, of_block, 1s), std::nullopt);
}

}  // namespace
}  // namespace pinhole::rendezvous
