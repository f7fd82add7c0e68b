#include "peer/netcheck/mapping.hpp"

#include <algorithm>
#include <array>

namespace pinhole::netcheck {

using net::NatBehavior;

bool is_own(const net::Endpoint& reflexive, const net::Endpoint& local, std::span<const net::Address> own) {
    return reflexive.port == local.port &&
           (reflexive.address == local.address || std::ranges::find(own, reflexive.address) != own.end());
}

NatBehavior judge_mapping(const MappingEvidence& evidence, std::span<const net::Address> own) {
    const auto& [local, primary, port, address, both] = evidence;
    if (!primary) {
        return NatBehavior::unknown;
    }
    const std::array others{port, address, both};
    const bool all_equal = std::ranges::all_of(others, [&](const auto& seen) { return !seen || *seen == *primary; });
    if (all_equal && is_own(*primary, local, own)) {
        return NatBehavior::none;
    }
    // RFC 5780 §4.3, with a fourth destination that tells the same from the other side: the other port of the primary
    // address. Any of the two suffices, so a lost answer does not spoil the verdict.
    if (all_equal) {
        return both || (address && port) ? NatBehavior::endpoint_independent : NatBehavior::unknown;
    }
    if (port && *port != *primary) {
        return NatBehavior::address_and_port_dependent;
    }
    if (address && both) {
        return *address == *both ? NatBehavior::address_dependent : NatBehavior::address_and_port_dependent;
    }
    return port ? NatBehavior::address_dependent : NatBehavior::unknown;
}

NatBehavior most_plausible(std::span<const NatBehavior> verdicts) {
    auto best = NatBehavior::unknown;
    std::ptrdiff_t votes = 0;
    // In the order of the enumeration, so that of equals the less dependent one stands.
    for (const auto candidate : {NatBehavior::none, NatBehavior::endpoint_independent, NatBehavior::address_dependent,
                                 NatBehavior::address_and_port_dependent}) {
        if (const auto count = std::ranges::count(verdicts, candidate); count > votes) {
            best = candidate;
            votes = count;
        }
    }
    return best;
}

void MappingProbe::open(Wire& wire, const Target& target, TimePoint now) {
    const auto socket = wire.open_udp(family_);
    // More tries than the patience allows: the RTO decides how many it will be.
    const auto primary =
        wire.ask({.socket = socket, .to = target.primary, .tries = 3 * kTries, .patience = kPatience}, now);
    lines_.push_back({.socket = socket, .primary = primary});
}

void MappingProbe::start(Wire& wire, const Target& target, TimePoint now) {
    open(wire, target, now);
    open(wire, target, now);
}

void MappingProbe::advance(Wire& wire, const Target& target, TimePoint now) {
    for (auto& line : lines_) {
        if (!wire.at(line.primary).answered()) {
            continue;
        }
        const auto ask = [&](std::optional<ExchangeId>& asked, const std::optional<net::Endpoint>& to) {
            if (!asked && to) {
                asked = wire.ask({.socket = line.socket, .to = *to}, now);
            }
        };
        ask(line.both, target.other);
        ask(line.address, target.second_address());
        ask(line.port, target.second_port);
    }
    if (lines_.size() == 2 && done(wire, target) && inconsistent(wire)) {
        open(wire, target, now);
    }
}

bool MappingProbe::done(const Wire& wire, const Target& target, const Line& line) const {
    const auto& primary = wire.at(line.primary);
    if (!primary.answered()) {
        return primary.done();
    }
    const auto settled = [&](const std::optional<ExchangeId>& asked, bool wanted) {
        return asked ? wire.at(*asked).done() : !wanted;
    };
    return settled(line.both, target.other.has_value()) && settled(line.address, target.other.has_value()) &&
           settled(line.port, target.second_port.has_value());
}

bool MappingProbe::done(const Wire& wire, const Target& target) const {
    return std::ranges::all_of(lines_, [&](const Line& line) { return done(wire, target, line); });
}

MappingEvidence MappingProbe::evidence(const Wire& wire, const Line& line) const {
    const auto seen = [&](const std::optional<ExchangeId>& asked) -> std::optional<net::Endpoint> {
        if (!asked || !wire.at(*asked).answered()) {
            return std::nullopt;
        }
        return wire.at(*asked).answer->reflexive;
    };
    return {.local = wire.local(line.socket),
            .primary = seen(line.primary),
            .port = seen(line.port),
            .address = seen(line.address),
            .both = seen(line.both)};
}

std::vector<NatBehavior> MappingProbe::verdicts(const Wire& wire) const {
    std::vector<NatBehavior> all;
    for (const auto& line : lines_) {
        const auto verdict = judge_mapping(evidence(wire, line), own_);
        if (verdict != NatBehavior::unknown) {
            all.push_back(verdict);
        }
    }
    return all;
}

NatBehavior MappingProbe::verdict(const Wire& wire) const {
    return most_plausible(verdicts(wire));
}

bool MappingProbe::inconsistent(const Wire& wire) const {
    const auto all = verdicts(wire);
    return std::ranges::adjacent_find(all, std::ranges::not_equal_to{}) != all.end();
}

std::optional<net::Endpoint> MappingProbe::reflexive(const Wire& wire) const {
    for (const auto& line : lines_) {
        if (wire.at(line.primary).answered()) {
            return wire.at(line.primary).answer->reflexive;
        }
    }
    return std::nullopt;
}

std::optional<bool> MappingProbe::lives(const Wire& wire, std::optional<ExchangeId> Line::* which) const {
    bool all_done = !lines_.empty();
    for (const auto& line : lines_) {
        const auto& asked = line.*which;
        if (asked && wire.at(*asked).answered()) {
            return true;
        }
        all_done = all_done && asked && wire.at(*asked).done();
    }
    return all_done ? std::optional{false} : std::nullopt;
}

std::optional<bool> MappingProbe::second_port_lives(const Wire& wire) const {
    return lives(wire, &Line::port);
}

std::optional<bool> MappingProbe::second_address_lives(const Wire& wire) const {
    return lives(wire, &Line::address);
}

std::optional<bool> MappingProbe::other_lives(const Wire& wire) const {
    return lives(wire, &Line::both);
}

}  // namespace pinhole::netcheck
