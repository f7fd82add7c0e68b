#include "peer/cli/strategy_list.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>
#include <string_view>

namespace pinhole::cli {

namespace {

using enum net::Strategy;

constexpr std::array kStrategies{host, reverse, udp, predict, birthday, tcp, relay};
/// Of the contract, but not built.
constexpr std::array<std::string_view, 1> kAbsent{"portmap"};

using Strategies = std::vector<net::Strategy>;

std::expected<Strategies, std::string> parse(const std::string& list, bool absent_allowed) {
    Strategies result;
    std::istringstream names{list};
    for (std::string name; std::getline(names, name, ',');) {
        const auto* const found =
            std::ranges::find_if(kStrategies, [&](auto strategy) { return net::name(strategy) == name; });
        if (found != kStrategies.end()) {
            result.push_back(*found);
        } else if (std::ranges::find(kAbsent, name) == kAbsent.end()) {
            return std::unexpected("'" + name +
                                   "' is none of host, reverse, udp, predict, birthday, tcp, portmap, relay");
        } else if (!absent_allowed) {
            return std::unexpected("this version cannot connect by '" + name + "' yet");
        }
    }
    return result;
}

}  // namespace

std::expected<Strategies, std::string> excluded_by(const std::string& list) {
    return parse(list, true);
}

std::expected<Strategies, std::string> excluded_by_only(const std::string& list) {
    const auto only = parse(list, false);
    if (!only) {
        return only;
    }
    if (only->empty()) {
        return std::unexpected(std::string{"names no strategy"});
    }
    Strategies result;
    std::ranges::copy_if(kStrategies, std::back_inserter(result),
                         [&](auto strategy) { return std::ranges::find(*only, strategy) == only->end(); });
    return result;
}

}  // namespace pinhole::cli
