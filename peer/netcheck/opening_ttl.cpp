#include "peer/netcheck/opening_ttl.hpp"

#include <algorithm>

namespace pinhole::netcheck {

ExchangeId OpeningTtlProbe::ask(Wire& wire, const Target& target, SocketId socket, std::uint8_t ttl, TimePoint now) {
    return wire.ask({.socket = socket,
                     .to = target.primary,
                     .change = {.change_ip = true, .change_port = true},
                     .opening = Opening{.to = *target.other, .ttl = ttl},
                     .tries = kTries,
                     .interval = kInterval},
                    now);
}

void OpeningTtlProbe::start(Wire& wire, const Target& target, std::span<const SocketId> fresh, TimePoint now) {
    if (started() || !target.other) {
        return;
    }
    other_ = target.other;
    auto ttl = kSmallest;
    for (const auto socket : fresh) {
        if (ttl > kLargest) {
            break;
        }
        if (wire.open(socket)) {
            rounds_.push_back({.ttl = ttl, .exchange = ask(wire, target, socket, ttl, now)});
            ++ttl;
        }
    }
}

const OpeningTtlProbe::Round* OpeningTtlProbe::smallest(const Wire& wire) const {
    for (const auto& round : rounds_) {
        const auto& exchange = wire.at(round.exchange);
        if (!exchange.done()) {
            return nullptr;
        }
        const bool refuted = round.again && wire.at(*round.again).done() && !wire.at(*round.again).answered();
        if (exchange.answered() && exchange.answer->source == *other_ && !refuted) {
            return &round;
        }
    }
    return nullptr;
}

void OpeningTtlProbe::advance(Wire& wire, const Target& target, net::Family family, TimePoint now) {
    const auto* candidate = smallest(wire);
    if (candidate == nullptr || candidate->again) {
        return;
    }
    const auto index = candidate - rounds_.data();
    const auto socket = wire.open_udp(family);
    rounds_[static_cast<std::size_t>(index)].again = ask(wire, target, socket, candidate->ttl, now);
}

bool OpeningTtlProbe::done(const Wire& wire) const {
    if (!started()) {
        return true;
    }
    if (const auto* candidate = smallest(wire)) {
        return candidate->again && wire.at(*candidate->again).done();
    }
    return std::ranges::all_of(rounds_, [&](const Round& round) { return wire.at(round.exchange).done(); });
}

std::optional<std::uint8_t> OpeningTtlProbe::verdict(const Wire& wire) const {
    const auto* candidate = smallest(wire);
    if (candidate == nullptr || !candidate->again || !wire.at(*candidate->again).answered()) {
        return std::nullopt;
    }
    return candidate->ttl;
}

}  // namespace pinhole::netcheck
