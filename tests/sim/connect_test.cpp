// Any two NATs, whole peers on both sides: who gets through with what the peer can do, and that it never pretends.
// PINHOLE_SEEDS=n runs n seeds of every pair and prints the map; PINHOLE_SEED=n runs just that one.
#include "tests/sim/nat_pair.hpp"

#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

/// What a peer can promise that knows host and reflexive candidates, starts with the other side at one instant and
/// answers whom it did not expect (RFC 8445 §7.3.1.3), but predicts no port:
///   - Both know the other's port: both send to it, and each has so opened its filter for the other.
///   - One port is known and its filter looks at no port: the other's packets get in from wherever, and are answered.
///   - No port is known, but a filter is open: a packet to the port that the server saw gets in. The answer comes from
///     another port, so the filter that it meets must look at no port. If both map by port, the path differs by
///     direction.
/// These are the cells D and S of the map in the literature, and those of N where a filter is open.
bool can_promise(const Side& a, const Side& b) {
    const auto known = [](const Side& s) {
        return !s || s->mapping == Dependence::endpoint_independent || s->allocation == Allocation::preserving;
    };
    const auto open = [](const Side& s) { return !s || s->filtering == Dependence::endpoint_independent; };
    const auto any_port = [](const Side& s) { return !s || s->filtering != Dependence::address_and_port_dependent; };
    const auto lets_in = [&](const Side& x, const Side& y) {
        return (known(x) && any_port(x)) || (open(x) && any_port(y));
    };
    return (known(a) && known(b)) || lets_in(a, b) || lets_in(b, a);
}

/// What punching adds: how sure a pair is, by the same rules as the map in the literature.
enum class Cell : std::uint8_t {
    certain,   ///< D and S: nothing is left to chance but loss
    bracket,   ///< N: the ports of one side are counted out, and the other finds them
    aimed,     ///< M: both count, and each aims where the other will be
    birthday,  ///< B: many ports against many
    hopeless,  ///< X
};

Cell cell_of(const Side& a, const Side& b) {
    if (can_promise(a, b)) {
        return Cell::certain;
    }
    const auto sequential = [](const Side& s) { return s->allocation == Allocation::sequential; };
    const auto known = [](const Side& s) {
        return !s || s->mapping == Dependence::endpoint_independent || s->allocation == Allocation::preserving;
    };
    const auto any_port = [](const Side& s) { return !s || s->filtering != Dependence::address_and_port_dependent; };
    const auto by_address = [](const Side& s) { return s->mapping == Dependence::address_dependent; };
    // One side opens ports and the other looks for them. If the port of neither is known, the one that opens must let
    // in any, and what it answers from another port must be let in, too.
    const auto opens = [&](const Side& opener, const Side& scanner) {
        return !known(opener) && (known(scanner) || (any_port(opener) && (by_address(opener) || any_port(scanner))));
    };
    const bool first = opens(a, b);
    const bool second = opens(b, a);
    if ((first && sequential(a)) || (second && sequential(b))) {
        return Cell::bracket;
    }
    if (first || second) {
        return Cell::birthday;
    }
    return sequential(a) && sequential(b) ? Cell::aimed : Cell::hopeless;
}

/// NATs that clash (fact 2 of the research on NATs) move us to another port towards whoever is heard before we spoke.
/// Both sides open their NATs before they start, so nobody is, unless what told us to start was lost and came late.
/// Then only a side that everybody may reach can promise anything.
bool must_connect(const Side& a, const Side& b, const Conditions& conditions) {
    const auto reachable = [](const Side& s) {
        return !s || (s->filtering == Dependence::endpoint_independent &&
                      (s->mapping == Dependence::endpoint_independent || s->allocation == Allocation::preserving));
    };
    const bool lucky = conditions.unsolicited == Unsolicited::clash && conditions.loss > 0;
    return can_promise(a, b) && (!lucky || reachable(a) || reachable(b));
}

std::vector<Side> all_sides() {
    std::vector<Side> sides{std::nullopt};
    for (const auto& kind : all_kinds()) {
        sides.emplace_back(kind);
    }
    return sides;
}

struct Tally {
    std::uint64_t direct = 0;
    std::uint64_t all = 0;
    Duration took{};
    Duration slowest{};

    void add(const Tally& other) {
        direct += other.direct;
        all += other.all;
        took += other.took;
        slowest = std::max(slowest, other.slowest);
    }
};

using Tallies = std::map<std::pair<std::size_t, std::size_t>, Tally>;

/// '#': direct with every seed, '.': with none, a digit: that many tenths.
char mark(const Tally& tally) {
    if (tally.direct == tally.all) {
        return '#';
    }
    return tally.direct == 0 ? '.' : static_cast<char>('0' + tally.direct * 10 / tally.all);
}

class AnyTwoNats : public testing::TestWithParam<Conditions> {
  protected:
    /// Runs one pair with one seed; complains of what must not be.
    void run(std::size_t a, std::size_t b, std::uint64_t seed) {
        const auto& first = sides_[a];
        const auto& second = sides_[b];
        const auto verdict = run_pair(first, second, GetParam(), seed_of(seed, a * sides_.size() + b));
        const bool direct = verdict.outcome == Outcome::direct;
        const auto which = fmt::format("{} with {}: {}PINHOLE_SEED={}", text(first), text(second), verdict.why, seed);
        EXPECT_NE(verdict.outcome, Outcome::dishonest) << which;
        EXPECT_TRUE(direct || !must_connect(first, second, GetParam())) << which;
        const Tally tally{.direct = direct ? 1U : 0U, .all = 1, .took = verdict.took, .slowest = verdict.took};
        tallies_[std::minmax(a, b)].add(tally);
        const auto cell = cell_of(first, second);
        cells_[cell].add(tally);
        if (!direct) {
            missed_[cell] += which + "; ";
        }
    }

    /// At least so many of 100, with loss and without.
    void expect_cells() {
        const bool lossy = GetParam().loss > 0;
        const auto expect = [&](Cell cell, std::uint64_t least, std::uint64_t least_with_loss) {
            const auto& tally = cells_[cell];
            EXPECT_GE(tally.direct * 100, tally.all * (lossy ? least_with_loss : least))
                << "cell " << static_cast<int>(cell) << ": " << tally.direct << " of " << tally.all << ", not "
                << missed_[cell];
        };
        expect(Cell::certain, 100, 95);
        expect(Cell::bracket, 99, 95);
        expect(Cell::aimed, 97, 85);
        expect(Cell::birthday, 97, 95);
        // One chance in as many as there are ports.
        EXPECT_LE(cells_[Cell::hopeless].direct * 50, cells_[Cell::hopeless].all);
    }

    void print() {
        for (std::size_t a = 0; a < sides_.size(); ++a) {
            std::string row;
            for (std::size_t b = 0; b < sides_.size(); ++b) {
                row += fmt::format(" {}", mark(tallies_[std::minmax(a, b)]));
            }
            fmt::print("{:>8}{}\n", text(sides_[a]), row);
        }
        std::size_t always = 0;
        Tally all;
        for (const auto& [pair, tally] : tallies_) {
            always += tally.direct == tally.all ? 1 : 0;
            all.add(tally);
        }
        fmt::print(
            "{} pairs, {} calls: {} pairs always direct, {:.0f} ms after the call on average, {:.0f} ms at most\n",
            tallies_.size(), all.all, always, 1e3 * seconds(all.took) / static_cast<double>(all.direct),
            1e3 * seconds(all.slowest));
        const std::array names{"certain", "bracket", "aimed", "birthday", "hopeless"};
        for (const auto& [cell, tally] : cells_) {
            fmt::print("{:>9}: {} of {} direct, {:.0f} ms after the call on average\n",
                       names.at(static_cast<std::size_t>(cell)), tally.direct, tally.all,
                       1e3 * seconds(tally.took) / static_cast<double>(std::max<std::uint64_t>(tally.direct, 1)));
        }
    }

    const std::vector<Side> sides_ = all_sides();
    Tallies tallies_;
    std::map<Cell, Tally> cells_;
    std::map<Cell, std::string> missed_;
};

TEST_P(AnyTwoNats, ConnectIfTheyCanAndNeverPretend) {
    const auto first = only_seed() != 0 ? only_seed() : 1;
    const auto seeds = only_seed() != 0 ? 1 : seeds_or(1);
    for (std::size_t a = 0; a < sides_.size(); ++a) {
        for (std::size_t b = a; b < sides_.size(); ++b) {
            for (auto seed = first; seed < first + seeds; ++seed) {
                run(a, b, seed);
            }
        }
    }
    if (only_seed() == 0) {
        expect_cells();
    }
    if (seeds > 1) {
        print();
    }
}

std::string name_of(const testing::TestParamInfo<Conditions>& instance) {
    return std::string{instance.param.unsolicited == Unsolicited::drop ? "Drop" : "Clash"} +
           (instance.param.loss > 0 ? "WithLoss" : "WithoutLoss");
}

INSTANTIATE_TEST_SUITE_P(Connect, AnyTwoNats,
                         testing::Values(Conditions{Unsolicited::drop, 0}, Conditions{Unsolicited::drop, 0.05},
                                         Conditions{Unsolicited::clash, 0}, Conditions{Unsolicited::clash, 0.05}),
                         name_of);

}  // namespace
}  // namespace pinhole::sim
