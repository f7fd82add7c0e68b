#include "peer/netcheck/lifetime.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace pinhole::netcheck {

namespace {

/// Where timers of real NATs lie: 30 s (Linux, unanswered), 60, 120 (RFC 4787's least) and 300 s (its recommendation),
/// and below, where the cheap ones are. The first is the control.
constexpr std::array kRests{Duration{0s},   Duration{10s},  Duration{15s}, Duration{20s}, Duration{25s},
                            Duration{30s},  Duration{45s},  Duration{60s}, Duration{90s}, Duration{120s},
                            Duration{180s}, Duration{240s}, Duration{300s}};

}  // namespace

void LifetimeProbe::start(Wire& wire, const Target& target, net::Family family, const Span& span) {
    target_ = target;
    deadline_ = span.now + std::min(span.limit, kRests.back()) + kSlack;
    asker_ = wire.open_udp(family);
    for (const auto length : kRests) {
        if (length <= span.limit) {
            rests_.push_back({.length = length, .socket = wire.open_udp(family)});
        }
    }
}

// The rest begins when nothing of the first exchange can be under way any more.
void LifetimeProbe::speak(Wire& wire, Rest& rest, TimePoint now) const {
    if (!rest.spoke) {
        rest.spoke = wire.ask({.socket = rest.socket, .to = target_.primary}, now);
    }
    const auto& exchange = wire.at(*rest.spoke);
    if (exchange.answered() && !rest.over) {
        rest.over = now + rest.length + (exchange.tries.size() > 1 && rest.length > 0s ? wire.linger() : Duration{});
    }
}

void LifetimeProbe::test(Wire& wire, Rest& rest, TimePoint now) const {
    if (!rest.over || now < *rest.over || rest.test) {
        return;
    }
    const auto port = wire.at(*rest.spoke).answer->reflexive.port;
    rest.test = wire.ask({.socket = asker_,
                          .to = target_.primary,
                          .response_port = port,
                          .listener = rest.socket,
                          .tries = kTries,
                          .interval = kInterval},
                         now);
    rest.control = wire.ask({.socket = asker_, .to = target_.primary}, now);
}

LifetimeProbe::Fate LifetimeProbe::fate(const Wire& wire, const Rest& rest) const {
    if (!rest.spoke || !wire.at(*rest.spoke).done()) {
        return Fate::pending;
    }
    if (!wire.at(*rest.spoke).answered()) {
        return Fate::unclear;
    }
    if (!rest.test || !wire.at(*rest.test).done()) {
        return Fate::pending;
    }
    const auto& tested = wire.at(*rest.test);
    const auto& control = wire.at(*rest.control);
    if (tested.answered()) {
        return Fate::alive;
    }
    if (!control.done()) {
        return Fate::pending;
    }
    // With several external addresses the server's answer went to the asker's, not to the one that rested.
    const bool same_address =
        control.answered() && control.answer->reflexive.address == wire.at(*rest.spoke).answer->reflexive.address;
    return tested.state == Exchange::State::silent && same_address ? Fate::dead : Fate::unclear;
}

bool LifetimeProbe::feasible(const Wire& wire) {
    const auto& probe = rests_.front();
    const auto found = fate(wire, probe);
    if (found == Fate::pending || found == Fate::alive) {
        return true;
    }
    note_ = probe.test && wire.at(*probe.test).state == Exchange::State::refused
                ? "The server does not answer to another port on request, so the lifetime of mappings was not measured."
                : "An answer to another port of ours did not arrive even at once, so the lifetime of mappings was not "
                  "measured.";
    return false;
}

void LifetimeProbe::advance(Wire& wire, TimePoint now) {
    if (done_) {
        return;
    }
    for (auto& rest : rests_) {
        speak(wire, rest, now);
        test(wire, rest, now);
        if (fate(wire, rest) != Fate::pending) {
            wire.close(rest.socket);
        }
    }
    if (!feasible(wire)) {
        end(wire);
        return;
    }
    conclude(wire, now >= deadline_);
}

void LifetimeProbe::conclude(Wire& wire, bool overdue) {
    std::size_t dead = 0;
    bool pending = false;
    std::optional<Duration> longest;
    std::optional<Duration> first_dead;
    for (const auto& rest : rests_) {
        switch (fate(wire, rest)) {
            case Fate::alive:
                longest = rest.length;
                first_dead.reset();
                dead = 0;
                break;
            case Fate::dead:
                ++dead;
                first_dead = first_dead ? first_dead : rest.length;
                break;
            case Fate::pending:
                pending = pending || dead < 2;
                break;
            case Fate::unclear:
                break;
        }
    }
    if (pending && !overdue) {
        return;
    }
    verdict_ = longest;
    if (first_dead) {
        note_ = fmt::format("A mapping that had been idle for {} s was gone.",
                            std::chrono::duration_cast<std::chrono::seconds>(*first_dead).count());
    }
    end(wire);
}

void LifetimeProbe::end(Wire& wire) {
    done_ = true;
    wire.close_all();
}

std::optional<TimePoint> LifetimeProbe::next_timeout() const {
    if (done_) {
        return std::nullopt;
    }
    std::optional<TimePoint> next = deadline_;
    for (const auto& rest : rests_) {
        if (rest.over && !rest.test) {
            next = earliest(next, rest.over);
        }
    }
    return next;
}

}  // namespace pinhole::netcheck
