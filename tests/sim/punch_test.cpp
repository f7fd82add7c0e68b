// The classes of NATs that the planner knows, each against each: how often it gets through, how fast, with how many
// packets. PINHOLE_SEEDS=n runs n calls of every pair and prints the tables, PINHOLE_SEED=n just that one;
// PINHOLE_ALL_CONDITIONS=1 under all conditions.
#include "tests/sim/nat_pair.hpp"
#include "tests/sim/tally.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

using enum Dependence;

struct Class {
    const char* name;
    NatKind kind;
};

constexpr std::array kClasses{
    Class{"O", {endpoint_independent, Allocation::preserving, endpoint_independent}},
    Class{"E+", {endpoint_independent, Allocation::random, address_dependent}},
    Class{"E", {endpoint_independent, Allocation::random, address_and_port_dependent}},
    Class{"S", {address_and_port_dependent, Allocation::sequential, address_and_port_dependent}},
    Class{"C", {address_and_port_dependent, Allocation::block, address_and_port_dependent}},
    Class{"R", {address_and_port_dependent, Allocation::random, address_and_port_dependent}},
};
constexpr std::size_t kEasy = 2;
constexpr std::size_t kSequential = 3;
constexpr std::size_t kBlock = 4;
constexpr std::size_t kRandom = 5;
/// NATs that clash, and a word of the server that comes late: see connect_test.cpp.
constexpr std::uint64_t kLucky = 90;

/// The easier class first.
using Which = std::pair<std::size_t, std::size_t>;

/// Of 100 calls, how many get through at least; nothing where a path is a matter of luck.
std::optional<std::uint64_t> least_direct(Which which, const Conditions& conditions) {
    const auto [easier, harder] = which;
    const bool lossy = conditions.loss > 0;
    if (easier < kSequential && easier > 0 && lossy && conditions.unsolicited == Unsolicited::clash) {
        return kLucky;
    }
    if (easier < kSequential) {
        return easier == kEasy && harder == kRandom ? 97 : lossy ? 97 : 99;
    }
    if (harder == kSequential) {
        return lossy ? 90 : 97;
    }
    if (harder == kBlock) {
        return easier == kSequential ? 75 : 60;
    }
    return std::nullopt;
}

/// Of the median after both were told to start: three round trips and 100 ms where nothing is searched for. Ports that
/// the server counts out cost two round trips more, for the samples and for the check that finds one.
Duration slowest_median(Which which, Duration delay) {
    const auto [easier, harder] = which;
    if (easier < kEasy || harder <= kEasy) {
        return 6 * delay + 100ms;
    }
    return easier == kEasy && harder != kRandom ? std::max<Duration>(1s, 10 * delay) : 6s;
}

class Classes : public testing::TestWithParam<Conditions> {
  public:
    static void TearDownTestSuite() {
        for (const auto& [conditions, tallies] : over_all()) {
            const auto [delay, loss] = conditions;
            if (seeds_or(2) > 2 && only_seed() == 0) {
                fmt::print("{} of 100 lost on each line{}:\n", 100 * loss,
                           delay ? fmt::format(", {:.0f} ms from host to host", 1e3 * seconds(*delay)) : "");
                print(tallies);
            }
            if (delay && loss == 0) {
                expect_speed(tallies, *delay);
            }
        }
        over_all().clear();
    }

  protected:
    using Tallies = std::map<Which, Tally>;
    using Key = std::pair<std::optional<Duration>, double>;

    void run(Which which, std::uint64_t seed) {
        const auto& [a, b] = which;
        const auto verdict = run_pair(kClasses[a].kind, kClasses[b].kind, GetParam(), seed_of(seed, 1000 + a * 10 + b));
        EXPECT_NE(verdict.outcome, Outcome::dishonest) << name(which) << ": " << verdict.why << "PINHOLE_SEED=" << seed;
        tallies_[which].add(verdict);
    }

    void expect_aims() {
        for (const auto& [which, tally] : tallies_) {
            if (const auto least = least_direct(which, GetParam())) {
                EXPECT_TRUE(tally.reaches(*least)) << name(which) << ": " << tally.direct << " of " << tally.all;
            }
            over_all()[{GetParam().delay, GetParam().loss}][which].add(tally);
        }
    }

    static std::string name(Which which) {
        return fmt::format("{:>2} x {:<2}", kClasses[which.first].name, kClasses[which.second].name);
    }

    static void print(const Tallies& tallies) {
        for (const auto& [which, tally] : tallies) {
            const auto [low, high] = tally.interval();
            fmt::print(
                "{}  {:>5} of {:<5} {:5.1f}% [{:5.1f} {:5.1f}]  {:>5.0f} ms median {:>5.0f} ms 90th {:>6.0f} packets\n",
                name(which), tally.direct, tally.all, tally.percent(), low, high, tally.took_ms(50), tally.took_ms(90),
                tally.mean_probes());
        }
    }

    static void expect_speed(const Tallies& tallies, Duration delay) {
        for (const auto& [which, tally] : tallies) {
            if (tally.direct * 2 > tally.all) {
                EXPECT_LE(tally.took_ms(50), 1e3 * seconds(slowest_median(which, delay)))
                    << name(which) << " at " << 1e3 * seconds(delay) << " ms";
            }
        }
    }

    /// Of all λ and all that NATs do with what is unsolicited.
    static std::map<Key, Tallies>& over_all() {
        static std::map<Key, Tallies> tallies;
        return tallies;
    }

    Tallies tallies_;
};

TEST_P(Classes, GetThroughAsOftenAsTheyCan) {
    const auto first = only_seed() != 0 ? only_seed() : 1;
    const auto seeds = only_seed() != 0 ? 1 : seeds_or(2);
    for (std::size_t a = 0; a < kClasses.size(); ++a) {
        for (std::size_t b = a; b < kClasses.size(); ++b) {
            for (auto seed = first; seed < first + seeds; ++seed) {
                run({a, b}, seed);
            }
        }
    }
    if (only_seed() == 0) {
        expect_aims();
    }
}

std::vector<Conditions> usual_conditions() {
    return {{Unsolicited::drop, 0, 0, 20ms},
            {Unsolicited::drop, 0, 20, 150ms},
            {Unsolicited::drop, 0, 100, 20ms},
            {Unsolicited::drop, 0.05, 20, 20ms},
            {Unsolicited::reject, 0.05, 100, 150ms}};
}

INSTANTIATE_TEST_SUITE_P(Punch, Classes, testing::ValuesIn(conditions_or(usual_conditions())),
                         [](const testing::TestParamInfo<Conditions>& instance) { return text(instance.param); });

}  // namespace
}  // namespace pinhole::sim
