// Calls of one cell, counted: how many got through, how fast, with how many packets.
#pragma once

#include "tests/sim/connect_world.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace pinhole::sim {

struct Tally {
    std::uint64_t direct = 0;
    std::uint64_t all = 0;
    std::uint64_t probes = 0;
    /// After both were told to start; of those that got through.
    std::vector<Duration> took{};

    void add(const Verdict& verdict);
    void add(const Tally& other);

    [[nodiscard]] double percent() const;
    [[nodiscard]] double mean_probes() const;
    /// Milliseconds that so many of 100 took at most; 0 if none got through.
    [[nodiscard]] double took_ms(std::size_t percentile) const;
    /// Wilson's interval for the chance of getting through, 95 %, in percent.
    [[nodiscard]] std::pair<double, double> interval() const;
    /// At least so many of 100 got through, or so few calls were made that nobody can tell: the interval holds the aim,
    /// or only one call did not get through. Of an aim of 100 there is no doubt.
    [[nodiscard]] bool reaches(std::uint64_t least) const;
};

}  // namespace pinhole::sim
