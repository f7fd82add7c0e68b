#include "peer/netcheck/hairpin.hpp"

#include <algorithm>

namespace pinhole::netcheck {

void HairpinProbe::advance(Wire& wire, const MappingProbe& mapping, TimePoint now) {
    const auto verdict = mapping.verdict(wire);
    if (!sent_.empty() || mapping.lines().size() < 2 || verdict == net::NatBehavior::none) {
        return;
    }
    const auto& first = mapping.lines()[0];
    const auto& second = mapping.lines()[1];
    if (!wire.at(first.primary).answered() || !wire.at(second.primary).answered()) {
        return;
    }
    const auto throw_over = [&](SocketId from, SocketId to, const net::Endpoint& reflexive) {
        sent_.push_back(wire.ask(
            {.socket = from, .to = reflexive, .listener = to, .looped = true, .tries = kRounds, .interval = kInterval},
            now));
    };
    throw_over(first.socket, second.socket, wire.at(second.primary).answer->reflexive);
    throw_over(second.socket, first.socket, wire.at(first.primary).answer->reflexive);
}

bool HairpinProbe::done(const Wire& wire) const {
    return verdict(wire).has_value() || sent_.empty();
}

std::optional<bool> HairpinProbe::verdict(const Wire& wire) const {
    if (std::ranges::any_of(sent_, [&](ExchangeId id) { return wire.at(id).answered(); })) {
        return true;
    }
    const bool silent = !sent_.empty() && std::ranges::all_of(sent_, [&](ExchangeId id) {
        return wire.at(id).state == Exchange::State::silent;
    });
    return silent ? std::optional{false} : std::nullopt;
}

std::vector<TimePoint> HairpinProbe::begun(const Wire& wire) const {
    std::vector<TimePoint> times;
    for (const auto id : sent_) {
        if (!wire.at(id).tries.empty()) {
            times.push_back(wire.at(id).tries.front().at);
        }
    }
    return times;
}

}  // namespace pinhole::netcheck
