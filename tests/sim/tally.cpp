#include "tests/sim/tally.hpp"

#include <algorithm>
#include <cmath>

namespace pinhole::sim {

void Tally::add(const Verdict& verdict) {
    ++all;
    probes += verdict.probes;
    if (verdict.outcome == Outcome::direct) {
        ++direct;
        took.push_back(verdict.after_go);
    }
}

void Tally::add(const Tally& other) {
    all += other.all;
    direct += other.direct;
    probes += other.probes;
    took.insert(took.end(), other.took.begin(), other.took.end());
}

double Tally::percent() const {
    return all == 0 ? 0 : 100 * static_cast<double>(direct) / static_cast<double>(all);
}

double Tally::mean_probes() const {
    return all == 0 ? 0 : static_cast<double>(probes) / static_cast<double>(all);
}

double Tally::took_ms(std::size_t percentile) const {
    if (took.empty()) {
        return 0;
    }
    auto sorted = took;
    const auto at =
        sorted.begin() + static_cast<std::ptrdiff_t>(std::min(sorted.size() * percentile / 100, sorted.size() - 1));
    std::ranges::nth_element(sorted, at);
    return 1e3 * seconds(*at);
}

std::pair<double, double> Tally::interval() const {
    if (all == 0) {
        return {0, 100};
    }
    constexpr double kZ = 1.96;
    const auto n = static_cast<double>(all);
    const auto p = static_cast<double>(direct) / n;
    const auto middle = p + kZ * kZ / (2 * n);
    const auto half = kZ * std::sqrt(p * (1 - p) / n + kZ * kZ / (4 * n * n));
    const auto scale = 100 / (1 + kZ * kZ / n);
    return {std::max(0.0, (middle - half) * scale), std::min(100.0, (middle + half) * scale)};
}

bool Tally::reaches(std::uint64_t least) const {
    const auto wrong = all - direct;
    return wrong == 0 || (least < 100 && (wrong == 1 || interval().second >= static_cast<double>(least)));
}

}  // namespace pinhole::sim
