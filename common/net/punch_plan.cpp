#include "common/net/punch_plan.hpp"

#include <algorithm>

namespace pinhole::net {

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
