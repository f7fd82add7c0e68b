// Two peers behind any two NATs: the world of every table of pairs, and one call in it.
#pragma once

#include "tests/sim/connect_world.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pinhole::sim {

/// One side of a pair: behind a NAT of this kind, or public.
using Side = std::optional<NatKind>;

struct Conditions {
    Unsolicited unsolicited = Unsolicited::drop;
    double loss = 0;
    /// λ: mappings per second that other traffic makes on each NAT.
    double background = 0;
    /// Between the two hosts, one way, half of it on each line; nullopt: drawn for each line. `loss` is each line's.
    std::optional<Duration> delay{};

    friend auto operator<=>(const Conditions&, const Conditions&) = default;
};

[[nodiscard]] std::string text(const Side& side);
/// Of letters and digits alone, as names of tests must be.
[[nodiscard]] std::string text(const Conditions& conditions);

/// λ of 0, 20 and 100, loss of 0 and 5 %, delays of 20 and 150 ms, all that NATs do with what is unsolicited.
[[nodiscard]] std::vector<Conditions> all_conditions();
/// All of them if PINHOLE_ALL_CONDITIONS is set, otherwise `usual`.
[[nodiscard]] std::vector<Conditions> conditions_or(std::vector<Conditions> usual);

/// Logs both in, lets the server know their NATs, and calls.
[[nodiscard]] Verdict run_pair(const Side& a, const Side& b, const Conditions& conditions, std::uint64_t seed);

}  // namespace pinhole::sim
