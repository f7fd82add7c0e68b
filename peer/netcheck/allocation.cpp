#include "peer/netcheck/allocation.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace pinhole::netcheck {

namespace {

using net::PortAllocation;

/// Samples that were sent within this time show the order of allocation best: other traffic had no time.
constexpr Duration kBurst = 120ms;
/// Fewer say nothing of order: 4 random ports are in order in one case of 12.
constexpr std::size_t kMinTrend = 4;
/// From here on a few packets out of order are no objection.
constexpr std::size_t kManyPorts = 8;
/// 5 random ports of 64,512 lie within 2048 in 5 · (2048 / 64512)^4, 5 of a million cases.
constexpr std::size_t kMinBlock = 5;
/// A burst of a sequence spans less: 20 mappings of our own and three times as many of others between them, 256 apart.
constexpr std::int32_t kMaxBurstSpan = 32768;

using Ports = std::vector<std::int32_t>;

std::size_t pairs(std::size_t count) {
    return count * (count - 1) / 2;
}

/// Pairs that stand in the wrong order for a sequence that goes up, or down, and that began anew before `split`.
std::size_t inversions(const Ports& ports, std::size_t split, bool up) {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        for (std::size_t j = i + 1; j < ports.size(); ++j) {
            const bool across = i < split && j >= split;
            const bool rises = ports[j] > ports[i];
            wrong += rises != (up != across) ? 1U : 0U;
        }
    }
    return wrong;
}

struct Trend {
    bool up = true;
    /// Index of the first port after a wrap, or 0.
    std::size_t split = 0;
    std::size_t wrong = 0;
};

Trend best_trend(const Ports& ports) {
    Trend best{.wrong = inversions(ports, 0, true)};
    for (std::size_t split = 0; split < ports.size(); ++split) {
        for (const bool up : {true, false}) {
            // A wrap has to explain more than it costs: there are as many of them as there are ports.
            const auto wrong = inversions(ports, split, up) + (split == 0 ? 0 : ports.size() / 2);
            if (wrong < best.wrong) {
                best = {.up = up, .split = split, .wrong = wrong};
            }
        }
    }
    return best;
}

std::vector<std::int32_t> sorted_differences(Ports ports) {
    std::ranges::sort(ports);
    std::vector<std::int32_t> differences;
    for (std::size_t i = 1; i < ports.size(); ++i) {
        differences.push_back(ports[i] - ports[i - 1]);
    }
    return differences;
}

std::int32_t span_of(const Ports& ports) {
    if (ports.empty()) {
        return 0;
    }
    const auto [low, high] = std::ranges::minmax(ports);
    return high - low;
}

struct Sequence {
    std::int32_t step = 0;
    bool up = true;
};

/// In order of time: ports that go one way. Thin ones (much other traffic) must be in order, because a block of random
/// ports is as wide.
std::optional<Sequence> ordered(const Ports& ports) {
    if (ports.size() < kMinTrend) {
        return std::nullopt;
    }
    const auto trend = best_trend(ports);
    const auto split = static_cast<std::ptrdiff_t>(trend.split);
    const Ports before{ports.begin(), ports.begin() + split};
    const Ports after{ports.begin() + split, ports.end()};
    auto differences = sorted_differences(before);
    std::ranges::copy(sorted_differences(after), std::back_inserter(differences));
    const auto step = common_step(differences);
    const auto span = span_of(before) + span_of(after);
    if (step == 0 || span > kMaxBurstSpan) {
        return std::nullopt;
    }
    const auto mean = static_cast<double>(span) / static_cast<double>(step) / static_cast<double>(differences.size());
    const auto wrong = static_cast<double>(trend.wrong) / static_cast<double>(pairs(ports.size()));
    const bool in_order = ports.size() < kManyPorts ? trend.wrong == 0 && mean < 4 : wrong <= 0.12;
    return in_order ? std::optional{Sequence{.step = step, .up = trend.up}} : std::nullopt;
}

/// Whatever the order, packets may have overtaken each other or been sent again: most ports lie side by side, so close
/// that no block of random ports would look like it. `in_time` tells the direction.
std::optional<Sequence> dense(Ports ports, const Ports& in_time) {
    if (ports.size() < kMinTrend) {
        return std::nullopt;
    }
    const auto step = common_step(sorted_differences(ports));
    if (step == 0) {
        return std::nullopt;
    }
    const auto rising = inversions(in_time, 0, true);
    const auto falling = inversions(in_time, 0, false);
    const bool up = rising <= falling;
    std::ranges::sort(ports);
    // 5 random ports of a block of 256 lie this close together, and so well in order, in 1 of 10,000 cases.
    const bool in_order = std::min(rising, falling) <= (in_time.size() >= kMinTrend ? 1U : 0U);
    const bool mostly_in_order = std::min(rising, falling) * 10 <= pairs(in_time.size()) * 3;
    const auto steps_in_all = (ports.back() - ports.front()) / step;
    if (ports.size() < kManyPorts && in_order && steps_in_all <= 5 * static_cast<std::int32_t>(ports.size())) {
        return Sequence{.step = step, .up = up};
    }
    std::size_t first = 0;
    for (std::size_t i = 1; i <= ports.size(); ++i) {
        if (i < ports.size() && ports[i] - ports[i - 1] <= 4 * step) {
            continue;
        }
        const auto count = i - first;
        const auto steps = (ports[i - 1] - ports[first]) / step;
        const auto gaps = static_cast<std::int32_t>(count - 1);
        if (count >= kMinTrend && count * 10 >= ports.size() * 6 &&
            (steps <= 2 * gaps || (mostly_in_order && steps <= 3 * gaps))) {
            return Sequence{.step = step, .up = up};
        }
        first = i;
    }
    return std::nullopt;
}

/// Later samples, apart from each other in time, go on in the same direction; a block of random ports does not.
bool goes_on(std::span<const PortSample> later, std::int32_t step) {
    std::size_t with = 0;
    std::size_t against = 0;
    for (std::size_t i = 1; i < later.size(); ++i) {
        const auto moved = static_cast<std::int32_t>(later[i].external.port) - later[i - 1].external.port;
        if (later[i].sent_at - later[i - 1].sent_at >= kBurst) {
            ++((moved > 0) == (step > 0) ? with : against);
        }
    }
    return with + against < 4 || with * 10 >= (with + against) * 6;
}

/// Those of the address that has most of them: a NAT with a pool counts on each by itself.
std::vector<PortSample> of_one_address(std::span<const PortSample> samples) {
    std::vector<PortSample> most;
    for (const auto& address : external_addresses(samples)) {
        std::vector<PortSample> group;
        std::ranges::copy_if(samples, std::back_inserter(group),
                             [&](const PortSample& sample) { return sample.external.address == address; });
        if (group.size() > most.size()) {
            most = std::move(group);
        }
    }
    return most;
}

bool preserving(std::span<const PortSample> samples) {
    const auto kept = std::ranges::count_if(
        samples, [](const PortSample& sample) { return sample.external.port == sample.local_port; });
    // One port of 64,512 is kept by chance: two are not, however many collided.
    return kept >= 2 && static_cast<std::size_t>(kept) * 3 >= samples.size();
}

/// When the burst begins: kBurst from there on holds more samples than from anywhere else. Not always the first one, as
/// a busy machine may send that long before the rest.
TimePoint burst_begin(std::span<const PortSample> samples) {
    std::size_t most = 0;
    TimePoint begin;
    for (const auto& first : samples) {
        const auto count = static_cast<std::size_t>(std::ranges::count_if(samples, [&](const PortSample& sample) {
            return sample.sent_at >= first.sent_at && sample.sent_at <= first.sent_at + kBurst;
        }));
        if (count > most) {
            most = count;
            begin = first.sent_at;
        }
    }
    return begin;
}

/// The signed step of the sequence; nothing if there is none.
std::optional<std::int32_t> sequence(std::span<const PortSample> samples) {
    if (samples.empty()) {
        return std::nullopt;
    }
    const auto begun = burst_begin(samples);
    Ports burst;
    Ports exact;
    std::vector<PortSample> later;
    for (const auto& sample : samples) {
        if (sample.sent_at < begun) {
            continue;
        }
        const bool in_burst = sample.sent_at <= begun + kBurst;
        if (in_burst) {
            burst.push_back(sample.external.port);
        }
        if (in_burst && sample.exact) {
            exact.push_back(sample.external.port);
        } else if (sample.exact) {
            later.push_back(sample);
        }
    }
    auto found = ordered(exact);
    if (!found) {
        found = dense(burst, exact);
    }
    if (!found) {
        return std::nullopt;
    }
    const auto step = found->up ? found->step : -found->step;
    Ports all = burst;
    std::ranges::transform(later, std::back_inserter(all),
                           [](const PortSample& sample) { return std::int32_t{sample.external.port}; });
    return span_of(all) >= net::kMaxBlock || goes_on(later, step) ? std::optional{step} : std::nullopt;
}

}  // namespace

std::vector<net::Address> external_addresses(std::span<const PortSample> samples) {
    std::vector<net::Address> addresses;
    for (const auto& sample : samples) {
        if (std::ranges::find(addresses, sample.external.address) == addresses.end()) {
            addresses.push_back(sample.external.address);
        }
    }
    return addresses;
}

std::int32_t common_step(std::span<const std::int32_t> differences) {
    std::int32_t best = 0;
    const auto fits = [&](std::int32_t step) {
        const auto multiples =
            static_cast<std::size_t>(std::ranges::count_if(differences, [&](std::int32_t d) { return d % step == 0; }));
        return differences.size() < 6 ? multiples == differences.size() : multiples * 100 >= differences.size() * 85;
    };
    // The step is the common divisor of some two of them, unless all but strays are one and the same.
    for (const auto a : differences) {
        for (const auto b : differences) {
            const auto step = std::gcd(a, b);
            if (step > best && fits(step)) {
                best = step;
            }
        }
    }
    if (best == 0 && !differences.empty()) {
        best = std::accumulate(differences.begin(), differences.end(), std::int32_t{0},
                               [](std::int32_t a, std::int32_t b) { return std::gcd(a, b); });
    }
    return best;
}

AllocationVerdict judge_allocation(std::span<const PortSample> samples) {
    if (samples.size() < 3) {
        return {};
    }
    if (preserving(samples)) {
        return {.kind = PortAllocation::preserving};
    }
    const auto group = of_one_address(samples);
    if (const auto step = sequence(group)) {
        return {.kind = PortAllocation::sequential, .delta = step};
    }
    if (group.size() < kMinTrend) {
        return {};
    }
    const auto by_port = [](const PortSample& sample) { return sample.external.port; };
    const auto [low, high] = std::ranges::minmax_element(group, {}, by_port);
    const net::PortRange range{.first = low->external.port, .last = high->external.port};
    if (range.last - range.first < net::kMaxBlock) {
        if (group.size() < kMinBlock) {
            return {};
        }
        return {.kind = PortAllocation::block, .block = range};
    }
    return {.kind = PortAllocation::random};
}

}  // namespace pinhole::netcheck
