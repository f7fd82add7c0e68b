// Two peers behind any two NATs: the world of every table of pairs, and one call in it.
#pragma once

#include "tests/sim/connect_world.hpp"

#include <optional>
#include <string>

namespace pinhole::sim {

/// One side of a pair: behind a NAT of this kind, or public.
using Side = std::optional<NatKind>;

struct Conditions {
    Unsolicited unsolicited = Unsolicited::drop;
    double loss = 0;
    /// λ: mappings per second that other traffic makes on each NAT.
    double background = 0;
};

[[nodiscard]] std::string text(const Side& side);

/// Logs both in, lets the server know their NATs, and calls.
[[nodiscard]] Verdict run_pair(const Side& a, const Side& b, const Conditions& conditions, std::uint64_t seed);

}  // namespace pinhole::sim
