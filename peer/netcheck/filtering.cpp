#include "peer/netcheck/filtering.hpp"

#include <algorithm>
#include <array>

namespace pinhole::netcheck {

using net::NatBehavior;

std::optional<NatBehavior> judge_filtering(const FilteringEvidence& evidence, bool translated) {
    if (evidence.both == Heard::yes) {
        return translated ? NatBehavior::endpoint_independent : NatBehavior::none;
    }
    if (evidence.both == Heard::pending) {
        return std::nullopt;
    }
    if (evidence.both == Heard::unclear) {
        return NatBehavior::unknown;
    }
    switch (evidence.port) {
        case Heard::yes:
            return NatBehavior::address_dependent;
        case Heard::no:
            return NatBehavior::address_and_port_dependent;
        case Heard::pending:
            return std::nullopt;
        case Heard::unclear:
            break;
    }
    return NatBehavior::unknown;
}

void FilteringProbe::start(Wire& wire, const Target& target, net::Family family, TimePoint now) {
    const auto change = [&](SocketId socket, bool ip, bool port) {
        return wire.ask({.socket = socket,
                         .to = target.primary,
                         .change = {.change_ip = ip, .change_port = port},
                         .interval = kInterval},
                        now);
    };
    const auto control = [&](SocketId socket) { return wire.ask({.socket = socket, .to = target.primary}, now); };
    const auto first = wire.open_udp(family);
    both_ = change(first, true, true);
    both_control_ = control(first);
    const auto second = wire.open_udp(family);
    port_ = change(second, false, true);
    port_control_ = control(second);
    address_ = change(second, true, false);
    started_ = true;
}

Heard FilteringProbe::heard(const Wire& wire, ExchangeId question, ExchangeId control,
                            const std::optional<net::Endpoint>& expected, std::optional<bool> lives) const {
    const auto& asked = wire.at(question);
    switch (asked.state) {
        case Exchange::State::waiting:
            return Heard::pending;
        case Exchange::State::answered:
            if (!expected) {
                return Heard::pending;
            }
            return asked.answer->source == *expected ? Heard::yes : Heard::unclear;
        case Exchange::State::refused:
        case Exchange::State::failed:
            return Heard::unclear;
        case Exchange::State::silent:
            break;
    }
    const auto& checked = wire.at(control);
    if (!checked.done() || !lives) {
        return Heard::pending;
    }
    return checked.answered() && *lives ? Heard::no : Heard::unclear;
}

FilteringEvidence FilteringProbe::evidence(const Wire& wire, const Target& target, const MappingProbe& mapping) const {
    if (!started_) {
        return {};
    }
    std::optional<net::Endpoint> other_port;
    if (target.other) {
        other_port = net::Endpoint{.address = target.primary.address, .port = target.other->port};
    }
    return {
        .both = heard(wire, both_, both_control_, target.other, mapping.other_lives(wire)),
        .port = heard(wire, port_, port_control_, other_port, mapping.second_port_lives(wire)),
        .address = heard(wire, address_, port_control_, target.second_address(), mapping.second_address_lives(wire))};
}

bool FilteringProbe::refused(const Wire& wire, const Target& target) const {
    if (!started_) {
        return false;
    }
    return std::ranges::any_of(std::array{both_, port_}, [&](ExchangeId id) {
        const auto& asked = wire.at(id);
        return asked.state == Exchange::State::refused || (asked.answered() && asked.answer->source == target.primary);
    });
}

bool FilteringProbe::probably_filtered(const Wire& wire, TimePoint now) const {
    const auto at = next_timeout(wire, now);
    return started_ && !wire.at(both_).answered() && wire.rtt() && !at &&
           (wire.at(both_).tries.size() >= 3 || wire.at(both_).done());
}

// Three tries and half a round trip more than the first of them needs.
std::optional<TimePoint> FilteringProbe::next_timeout(const Wire& wire, TimePoint now) const {
    if (!started_ || wire.at(both_).done() || wire.at(both_).tries.empty() || !wire.rtt()) {
        return std::nullopt;
    }
    const auto when = wire.at(both_).tries.front().at + 2 * kInterval + *wire.rtt() + *wire.rtt() / 2;
    return when > now ? std::optional{when} : std::nullopt;
}

}  // namespace pinhole::netcheck
