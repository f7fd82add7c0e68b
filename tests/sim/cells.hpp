// What a pair of NATs allows, by the map in the literature with what can be done today: six kinds of cells, told from
// the settings of both NATs alone. The oracle of the tables of pairs.
#pragma once

#include "tests/sim/nat_pair.hpp"

#include <cstdint>
#include <vector>

namespace pinhole::sim {

enum class Cell : std::uint8_t {
    open,      ///< D: one side lets everybody in, at a port that is known
    sure,      ///< S: nothing is left to chance but loss, if both send at once
    near,      ///< N: the ports of one side are counted out, and the other finds them
    mutual,    ///< M: both count, and each aims where the other will be
    birthday,  ///< B: many ports against many
    hopeless,  ///< X
};

inline constexpr std::size_t kCells = 6;

[[nodiscard]] Cell cell_of(const Side& a, const Side& b);
/// D, S, N, M, B or X.
[[nodiscard]] char letter(Cell cell);
/// Of 100 calls, how many get through at least.
[[nodiscard]] std::uint64_t least_direct(Cell cell, bool lossy);

/// A public host, and one behind each of the 27 kinds.
[[nodiscard]] std::vector<Side> all_sides();

}  // namespace pinhole::sim
