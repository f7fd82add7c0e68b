// Any two NATs, whole peers on both sides: who gets through, and that nobody ever pretends. PINHOLE_SEEDS=n runs n
// seeds of every pair and prints the map, PINHOLE_SEED=n just that one; PINHOLE_ALL_CONDITIONS=1 under all conditions;
// PINHOLE_CELLS=MB only cells of these kinds.
#include "tests/sim/cells.hpp"
#include "tests/sim/tally.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

/// NATs that clash (fact 2 of the research on NATs) move us to another port towards whoever is heard before we spoke.
/// Both sides open their NATs before they start, so nobody is, unless what told us to start was lost and came late.
/// Then only a side that everybody may reach can promise anything: of 100 calls, the others hold at least this many.
constexpr std::uint64_t kLucky = 90;

bool lucky(const Conditions& conditions) {
    return conditions.unsolicited == Unsolicited::clash && conditions.loss > 0;
}

using Which = std::pair<std::size_t, std::size_t>;
using Tallies = std::map<Which, Tally>;

bool wanted(Cell cell) {
    const char* cells = std::getenv("PINHOLE_CELLS");  // NOLINT(concurrency-mt-unsafe): one thread
    return cells == nullptr || std::string_view{cells}.contains(letter(cell));
}

/// '#': direct with every seed, '.': with none, a digit: that many tenths.
char mark(const Tally& tally) {
    if (tally.direct == tally.all) {
        return '#';
    }
    return tally.direct == 0 ? '.' : static_cast<char>('0' + tally.direct * 10 / tally.all);
}

class AnyTwoNats : public testing::TestWithParam<Conditions> {
  public:
    static void TearDownTestSuite() {
        if (seeds_or(1) > 1 && only_seed() == 0) {
            print_map();
        }
        over_all().clear();
    }

  protected:
    /// Runs one pair with one seed; complains of what must not be.
    void run(std::size_t a, std::size_t b, std::uint64_t seed) {
        const auto& first = sides()[a];
        const auto& second = sides()[b];
        const auto verdict = run_pair(first, second, GetParam(), seed_of(seed, a * sides().size() + b));
        const auto which = fmt::format("{} with {}: {}PINHOLE_SEED={}", text(first), text(second), verdict.why, seed);
        EXPECT_NE(verdict.outcome, Outcome::dishonest) << which;
        tallies_[{a, b}].add(verdict);
        const auto cell = cell_of(first, second);
        cells_[cell].add(verdict);
        if (verdict.outcome != Outcome::direct) {
            missed_[cell] += which + "; ";
        }
    }

    void expect_cells() {
        for (const auto& [cell, tally] : cells_) {
            const bool by_luck = lucky(GetParam()) && cell != Cell::open && cell != Cell::hopeless;
            const auto least = by_luck ? kLucky : least_direct(cell, GetParam().loss > 0);
            EXPECT_TRUE(tally.reaches(least))
                << letter(cell) << ": " << tally.direct << " of " << tally.all << ", not " << missed_[cell];
        }
        // One chance in as many as there are ports.
        EXPECT_LE(cells_[Cell::hopeless].direct * 50, cells_[Cell::hopeless].all);
    }

    void remember() {
        for (const auto& [which, tally] : tallies_) {
            over_all()[which].add(tally);
        }
    }

    /// One line for each condition.
    void print() {
        fmt::print("{:<46}", text(GetParam()));
        for (const auto& [cell, tally] : cells_) {
            fmt::print(" {} {:5.1f}%", letter(cell), tally.percent());
        }
        const Tallies::value_type* worst = nullptr;
        for (const auto& entry : tallies_) {
            const bool counts = cell_at(entry.first) != Cell::hopeless;
            if (counts && (worst == nullptr || entry.second.percent() < worst->second.percent())) {
                worst = &entry;
            }
        }
        fmt::print("  worst: {} {} of {}\n", name(worst->first), worst->second.direct, worst->second.all);
        std::fflush(stdout);
    }

    static void print_map() {
        for (std::size_t a = 0; a < sides().size(); ++a) {
            std::string row;
            for (std::size_t b = 0; b < sides().size(); ++b) {
                row += fmt::format(" {}{}", letter(cell_at({a, b})), mark(over_all()[std::minmax(a, b)]));
            }
            fmt::print("{:>8}{}\n", text(sides()[a]), row);
        }
        std::map<Cell, Tally> cells;
        std::map<Cell, std::size_t> pairs;
        std::map<Cell, std::size_t> always;
        Tally all;
        for (const auto& [which, tally] : over_all()) {
            // The map in the literature has no public hosts.
            if (which.first == 0) {
                continue;
            }
            const auto cell = cell_at(which);
            cells[cell].add(tally);
            ++pairs[cell];
            always[cell] += tally.direct == tally.all ? 1 : 0;
            all.add(tally);
        }
        for (const auto& [cell, tally] : cells) {
            fmt::print(
                "{}: {:>3} pairs, {:>3} always direct, {:>6} of {:<6} calls {:5.1f}%, {:>5.0f} ms median after T0\n",
                letter(cell), pairs[cell], always[cell], tally.direct, tally.all, tally.percent(), tally.took_ms(50));
        }
        fmt::print("all: {} calls, {} direct\n", all.all, all.direct);
    }

    static const std::vector<Side>& sides() {
        static const auto all = all_sides();
        return all;
    }

    static Cell cell_at(Which which) { return cell_of(sides()[which.first], sides()[which.second]); }

    static std::string name(Which which) { return text(sides()[which.first]) + " x " + text(sides()[which.second]); }

    /// Of all conditions.
    static Tallies& over_all() {
        static Tallies tallies;
        return tallies;
    }

    Tallies tallies_;
    std::map<Cell, Tally> cells_;
    std::map<Cell, std::string> missed_;
};

TEST(Map, HoldsAsManyCellsOfEachKindAsTheLiteratureHas) {
    std::map<char, int> count;
    const auto kinds = all_kinds();
    for (std::size_t a = 0; a < kinds.size(); ++a) {
        for (std::size_t b = a; b < kinds.size(); ++b) {
            ++count[letter(cell_of(kinds[a], kinds[b]))];
        }
    }
    EXPECT_EQ(count, (std::map<char, int>{{'D', 78}, {'S', 177}, {'N', 56}, {'M', 7}, {'B', 45}, {'X', 15}}));
}

TEST_P(AnyTwoNats, ConnectIfTheyCanAndNeverPretend) {
    const auto first = only_seed() != 0 ? only_seed() : 1;
    const auto seeds = only_seed() != 0 ? 1 : seeds_or(1);
    for (std::size_t a = 0; a < sides().size(); ++a) {
        for (std::size_t b = a; b < sides().size(); ++b) {
            for (auto seed = first; wanted(cell_at({a, b})) && seed < first + seeds; ++seed) {
                run(a, b, seed);
            }
        }
    }
    if (only_seed() == 0) {
        expect_cells();
        remember();
    }
    if (seeds > 1) {
        print();
    }
}

std::vector<Conditions> usual_conditions() {
    return {{Unsolicited::drop, 0},     {Unsolicited::drop, 0.05},          {Unsolicited::clash, 0},
            {Unsolicited::clash, 0.05}, {Unsolicited::reject, 0, 20, 20ms}, {Unsolicited::reject, 0.05, 100, 150ms}};
}

INSTANTIATE_TEST_SUITE_P(Connect, AnyTwoNats, testing::ValuesIn(conditions_or(usual_conditions())),
                         [](const testing::TestParamInfo<Conditions>& instance) { return text(instance.param); });

}  // namespace
}  // namespace pinhole::sim
