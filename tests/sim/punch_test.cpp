// The classes of NATs that the planner knows, each against each: how often it gets through, how fast, with how many
// packets. PINHOLE_SEEDS=n runs n calls of every pair and prints the tables; PINHOLE_SEED=n runs just that one.
#include "tests/sim/nat_pair.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

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
constexpr std::size_t kSequential = 3;
constexpr std::size_t kRandom = 5;

/// Of 100 calls, how many get through at least; nothing where a path is a matter of luck.
std::optional<std::uint64_t> aim(std::size_t a, std::size_t b, bool lossy) {
    const auto [easier, harder] = std::minmax(a, b);
    if (easier < kSequential) {
        return harder == kRandom && easier == 2 ? 97 : lossy ? 97 : 99;
    }
    if (harder == kSequential) {
        return lossy ? 85 : 97;
    }
    return std::nullopt;
}

struct Tally {
    std::uint64_t direct = 0;
    std::uint64_t all = 0;
    std::vector<Duration> took;
    std::uint64_t probes = 0;
};

double median_ms(std::vector<Duration> values) {
    if (values.empty()) {
        return 0;
    }
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return 1e3 * seconds(*middle);
}

std::string name_of(const testing::TestParamInfo<Conditions>& instance) {
    return fmt::format("{:.0f}OthersPerSecond{}", instance.param.background,
                       instance.param.loss > 0 ? "WithLoss" : "WithoutLoss");
}

class Classes : public testing::TestWithParam<Conditions> {
  protected:
    Tally run(std::size_t a, std::size_t b, std::uint64_t first, std::uint64_t seeds) {
        Tally tally;
        for (auto seed = first; seed < first + seeds; ++seed) {
            const auto verdict =
                run_pair(kClasses[a].kind, kClasses[b].kind, GetParam(), seed_of(seed, 1000 + a * 10 + b));
            EXPECT_NE(verdict.outcome, Outcome::dishonest)
                << kClasses[a].name << " with " << kClasses[b].name << ": " << verdict.why << "PINHOLE_SEED=" << seed;
            ++tally.all;
            tally.probes += verdict.probes;
            if (verdict.outcome == Outcome::direct) {
                ++tally.direct;
                tally.took.push_back(verdict.took);
            }
        }
        return tally;
    }
};

TEST_P(Classes, GetThroughAsOftenAsTheyCan) {
    const auto first = only_seed() != 0 ? only_seed() : 1;
    const auto seeds = only_seed() != 0 ? 1 : seeds_or(2);
    std::string table;
    for (std::size_t a = 0; a < kClasses.size(); ++a) {
        for (std::size_t b = a; b < kClasses.size(); ++b) {
            const auto tally = run(a, b, first, seeds);
            if (const auto least = aim(a, b, GetParam().loss > 0)) {
                const auto wrong = tally.all - tally.direct;
                EXPECT_LE(wrong, std::max<std::uint64_t>(1, tally.all * (100 - *least) / 100))
                    << kClasses[a].name << " with " << kClasses[b].name << ": " << tally.direct << " of " << tally.all;
            }
            table += fmt::format("{:>2} x {:<2}  {:>4} of {:<4} {:>6.0f} ms median {:>6.0f} packets\n",
                                 kClasses[a].name, kClasses[b].name, tally.direct, tally.all, median_ms(tally.took),
                                 static_cast<double>(tally.probes) / static_cast<double>(tally.all));
        }
    }
    if (seeds > 2) {
        fmt::print("{}", table);
    }
}

INSTANTIATE_TEST_SUITE_P(Punch, Classes,
                         testing::Values(Conditions{Unsolicited::drop, 0, 0}, Conditions{Unsolicited::drop, 0, 20},
                                         Conditions{Unsolicited::drop, 0, 100},
                                         Conditions{Unsolicited::drop, 0.05, 20}),
                         name_of);

}  // namespace
}  // namespace pinhole::sim
