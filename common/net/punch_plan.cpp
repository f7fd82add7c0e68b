#include "common/net/punch_plan.hpp"

#include <algorithm>

namespace pinhole::net {

namespace {

/// How often something happens that begins at 0 and repeats every `interval` as long as it is before `end`.
std::int64_t times_before(Duration end, Duration interval) {
    return end <= Duration{} ? 0 : (end - Duration{1}) / interval + 1;
}

}  // namespace

Duration open_repeat(const PunchStep& step) {
    // Both sides sample, and aim at each other; otherwise it is the other side that comes.
    return step.target.port == 0 && step.sample ? kAimedRepeat : kOpenRepeat;
}

std::uint32_t probes_by(const PunchStep& step, Duration elapsed) {
    // What happens at the very instant counts, what would happen at the end of the budget does not.
    const auto active = elapsed < step.start ? Duration{} : std::min(elapsed - step.start + Duration{1}, step.budget);
    switch (step.act) {
        case PunchAct::open: {
            // Where another port may be told at any time, a burst goes there at once.
            const bool at_any_time = step.target.port == 0 && !step.sample && active > Duration{};
            return static_cast<std::uint32_t>(step.sockets *
                                              times_before(at_any_time ? step.budget : active, open_repeat(step)));
        }
        case PunchAct::scan: {
            const std::int64_t all = step.shuffled ? step.probes : 2 * step.probes;
            return static_cast<std::uint32_t>(std::min(all, times_before(active, kScanInterval)));
        }
        case PunchAct::check:
            break;
    }
    return 0;
}

std::uint32_t max_probes(const PunchStep& step) {
    return probes_by(step, step.start + step.budget);
}

std::uint32_t max_probes(const PunchPlan& plan) {
    std::uint32_t all = 0;
    for (const auto& step : plan.steps) {
        all += max_probes(step);
    }
    return std::min<std::uint32_t>(all, kMaxScanProbes);
}

bool is_scannable(const Address& address) {
    const auto bytes = address.bytes();
    if (!address.is_v4()) {
        const bool global = bytes[0] >> 5 == 1;  // 2000::/3
        const bool six_to_four = bytes[0] == 0x20 && bytes[1] == 0x02;
        return global && !six_to_four;
    }
    constexpr std::uint8_t kFirstReserved = 240;
    return bytes[0] != 0 && bytes[0] < kFirstReserved && !address.is_loopback() && !address.is_multicast() &&
           !address.is_link_local() && !address.is_private();
}

const char* name(Strategy strategy) {
    switch (strategy) {
        case Strategy::host:
            return "host";
        case Strategy::reverse:
            return "reverse";
        case Strategy::udp:
            return "udp";
        case Strategy::predict:
            return "predict";
        case Strategy::birthday:
            return "birthday";
        case Strategy::tcp:
            return "tcp";
        case Strategy::relay:
            return "relay";
    }
    return "unknown";
}

std::vector<std::string> strategy_names(const PunchPlan& plan) {
    std::vector<std::string> names;
    for (const auto& step : plan.steps) {
        if (std::ranges::find(names, name(step.strategy)) == names.end()) {
            names.emplace_back(name(step.strategy));
        }
    }
    return names;
}

}  // namespace pinhole::net
