// Any two NATs, whole peers on both sides: who gets through with what the peer can do, and that it never pretends.
// PINHOLE_SEEDS=n runs n seeds of every pair and prints the map; PINHOLE_SEED=n runs just that one.
#include "tests/sim/connect_world.hpp"

#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

/// One side of a pair: behind a NAT of this kind, or public.
using Side = std::optional<NatKind>;

struct Conditions {
    Unsolicited unsolicited = Unsolicited::drop;
    double loss = 0;
};

/// What a peer can promise that knows host and reflexive candidates, starts with the other side at one instant and
/// answers whom it did not expect (RFC 8445 §7.3.1.3), but predicts no port:
///   - Both know the other's port: both send to it, and each has so opened its filter for the other.
///   - One port is known and its filter looks at no port: the other's packets get in from wherever, and are answered.
///   - No port is known, but a filter is open: a packet to the port that the server saw gets in. The answer comes from
///     another port, so the filter that it meets must look at no port. Two mappings by port never settle there: each
///     answer to a new port comes from a new port, and a check counts only if its answer comes from where it was sent
///     (RFC 8445 §7.2.5.2.1).
/// These are the cells D and S of the map in the literature but four, which want paths that differ by direction.
bool can_promise(const Side& a, const Side& b) {
    const auto known = [](const Side& s) {
        return !s || s->mapping == Dependence::endpoint_independent || s->allocation == Allocation::preserving;
    };
    const auto open = [](const Side& s) { return !s || s->filtering == Dependence::endpoint_independent; };
    const auto any_port = [](const Side& s) { return !s || s->filtering != Dependence::address_and_port_dependent; };
    const auto settles = [](const Side& s) { return !s || s->mapping != Dependence::address_and_port_dependent; };
    const auto lets_in = [&](const Side& x, const Side& y) {
        return (known(x) && any_port(x)) || (open(x) && any_port(y) && (settles(x) || settles(y)));
    };
    return (known(a) && known(b)) || lets_in(a, b) || lets_in(b, a);
}

/// The same in a real network. NATs that clash (fact 2 of the research on NATs) move us to another port towards whoever
/// is heard before we spoke. Both sides start at one instant, so nobody is, unless a first packet was lost; no packet
/// with a low TTL goes ahead to open our side. Then only a side that everybody may reach can promise anything.
bool must_connect(const Side& a, const Side& b, const Conditions& conditions) {
    const auto reachable = [](const Side& s) {
        return !s || (s->filtering == Dependence::endpoint_independent &&
                      (s->mapping == Dependence::endpoint_independent || s->allocation == Allocation::preserving));
    };
    const bool lucky = conditions.unsolicited == Unsolicited::clash && conditions.loss > 0;
    return can_promise(a, b) && (!lucky || reachable(a) || reachable(b));
}

std::string text(const Side& side) {
    return side ? side->text() : "public";
}

lab::Topology pair_topology(const Side& a, const Side& b, const Conditions& conditions, Rng& rng) {
    lab::Topology topology;
    const auto add = [&](const Side& side, const char* host, const char* nat) {
        const auto line = access_line(rng, conditions.loss);
        if (side) {
            topology.nats.push_back(nat_node(nat_config(nat, *side, conditions.unsolicited), line));
            topology.hosts.push_back(host_node(host, nat));
        } else {
            topology.hosts.push_back(host_node(host, lab::kInternet, line));
        }
    };
    add(a, "alice", "na");
    add(b, "bob", "nb");
    topology.hosts.push_back(server_node({.delay = 5ms}, 1));
    return topology;
}

Verdict run_pair(const Side& a, const Side& b, const Conditions& conditions, std::uint64_t seed) {
    SeededRng rng{seed};
    ConnectWorld world{pair_topology(a, b, conditions, rng), rng.u64()};
    if (!world.log_in()) {
        return {.why = "not online; "};
    }
    auto verdict = world.connect();
    // What the application was told must be where the data really went.
    const auto outside = b ? world.world.network().nat("nb").external().front() : world.bob.local().address;
    if (verdict.outcome == Outcome::direct && verdict.remote.address != outside) {
        verdict.outcome = Outcome::dishonest;
        verdict.why = "path to " + verdict.remote.text() + " instead of " + outside.text() + "; ";
    }
    return verdict;
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
        if (can_promise(first, second)) {
            promised_.add(tally);
        }
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
            "{} pairs, {} calls: {} pairs always direct; of {} calls that could be promised {} were direct, "
            "{:.0f} ms after the call on average, {:.0f} ms at most\n",
            tallies_.size(), all.all, always, promised_.all, promised_.direct,
            1e3 * seconds(all.took) / static_cast<double>(all.direct), 1e3 * seconds(all.slowest));
    }

    const std::vector<Side> sides_ = all_sides();
    Tallies tallies_;
    /// Of the pairs that could be promised if no NAT clashed.
    Tally promised_;
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
    EXPECT_GE(promised_.direct * 100, promised_.all * 85);
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
