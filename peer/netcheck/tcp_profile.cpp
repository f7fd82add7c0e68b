#include "peer/netcheck/tcp_profile.hpp"

#include <algorithm>
#include <iterator>

namespace pinhole::netcheck {

TcpProfile::Line TcpProfile::connect(Wire& wire, const net::Endpoint& to, std::optional<SocketId> same_port,
                                     TimePoint now) {
    const auto socket = wire.open_tcp(to, same_port, now);
    return {.socket = socket, .asked = wire.ask({.socket = socket, .to = to, .tries = 1, .patience = kPatience}, now)};
}

void TcpProfile::start(Wire& wire, const Target& target, TimePoint now) {
    started_ = now;
    first_ = connect(wire, target.primary, std::nullopt, now);
    for (std::size_t i = 0; i < kFresh; ++i) {
        fresh_.push_back(connect(wire, target.primary, std::nullopt, now));
    }
}

void TcpProfile::advance(Wire& wire, const Target& target, TimePoint now) {
    if (!first_) {
        return;
    }
    if (reflexive(wire, first_)) {
        const auto open = [&](std::optional<Line>& line, const std::optional<net::Endpoint>& to) {
            if (!line && to) {
                line = connect(wire, *to, first_->socket, now);
            }
        };
        open(both_, target.other);
        open(address_, target.second_address());
        // Without a second address the second port is for UDP alone.
        open(port_, target.other ? target.second_port : std::nullopt);
    }
    for (const auto& line : fresh_) {
        if (wire.at(line.asked).done()) {
            wire.close(line.socket);
        }
    }
}

bool TcpProfile::done(const Wire& wire, const std::optional<Line>& line) const {
    return !line || wire.at(line->asked).done();
}

bool TcpProfile::done(const Wire& wire, const Target& target, TimePoint now) const {
    if (!first_ || (open(wire, now) == false)) {
        return true;
    }
    const bool wanted = reflexive(wire, first_) && target.other && (!both_ || (target.second_port && !port_));
    return !wanted && done(wire, first_) && done(wire, port_) && done(wire, address_) && done(wire, both_) &&
           std::ranges::all_of(fresh_, [&](const Line& line) { return done(wire, std::optional{line}); });
}

std::optional<TimePoint> TcpProfile::next_timeout(TimePoint now) const {
    const auto end = started_ + kPatience;
    return first_ && end > now ? std::optional{end} : std::nullopt;
}

std::optional<net::Endpoint> TcpProfile::other(const Wire& wire) const {
    if (!first_ || !wire.at(first_->asked).answered()) {
        return std::nullopt;
    }
    return wire.at(first_->asked).answer->other;
}

std::optional<net::Endpoint> TcpProfile::reflexive(const Wire& wire, const std::optional<Line>& line) const {
    if (!line || !wire.at(line->asked).answered()) {
        return std::nullopt;
    }
    return wire.at(line->asked).answer->reflexive;
}

std::optional<bool> TcpProfile::open(const Wire& wire, TimePoint now) const {
    auto lines = fresh_;
    lines.push_back(*first_);
    if (std::ranges::any_of(lines, [&](const Line& line) { return reflexive(wire, line).has_value(); })) {
        return true;
    }
    const bool over = now >= started_ + kPatience ||
                      std::ranges::all_of(lines, [&](const Line& line) { return wire.at(line.asked).done(); });
    return over ? std::optional{false} : std::nullopt;
}

MappingEvidence TcpProfile::evidence(const Wire& wire) const {
    const auto local = wire.local(first_->socket);
    // Only connections that really share the port can be compared.
    const auto seen = [&](const std::optional<Line>& line) {
        return line && wire.local(line->socket).port == local.port ? reflexive(wire, line) : std::nullopt;
    };
    return {.local = local,
            .primary = reflexive(wire, first_),
            .port = seen(port_),
            .address = seen(address_),
            .both = seen(both_)};
}

// The mapping is made by the SYN, not by the question.
std::vector<PortSample> TcpProfile::samples(const Wire& wire) const {
    std::vector<PortSample> samples;
    if (!first_) {
        return samples;
    }
    const auto add = [&](const std::optional<Line>& line) {
        const auto seen = reflexive(wire, line);
        const bool known =
            seen && std::ranges::any_of(samples, [&](const PortSample& s) { return s.external == *seen; });
        if (seen && !known) {
            samples.push_back({.external = *seen,
                               .local_port = wire.local(line->socket).port,
                               .sent_at = wire.wanted(line->socket),
                               .exact = wire.opening_time(line->socket) < kPromptHandshake});
        }
    };
    add(first_);
    for (const auto& line : fresh_) {
        add(line);
    }
    for (const auto* line : {&both_, &address_, &port_}) {
        add(*line);
    }
    return samples;
}

void TcpProfile::report(const Wire& wire, std::span<const net::Address> own, TimePoint now,
                        net::ProtocolReport& into) const {
    if (!first_) {
        return;
    }
    into.open = open(wire, now);
    into.reflexive = reflexive(wire, first_);
    into.mapping = judge_mapping(evidence(wire), own);
    const auto seen = samples(wire);
    for (const auto& line : fresh_) {
        if (!into.reflexive) {
            into.reflexive = reflexive(wire, line);
        }
    }
    const auto allocation = judge_allocation(seen);
    into.allocation = allocation.kind;
    into.delta = allocation.delta;
    into.block = allocation.block;
    std::ranges::transform(seen, std::back_inserter(into.samples),
                           [](const PortSample& sample) { return sample.external.port; });
}

}  // namespace pinhole::netcheck
