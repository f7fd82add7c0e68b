#include "peer/netcheck/measurement.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::netcheck {

using net::NatBehavior;

namespace {

const StunServer* first_of(const Config& config, net::Family family) {
    const auto found = std::ranges::find_if(
        config.servers, [&](const StunServer& server) { return server.endpoint.address.family() == family; });
    return found == config.servers.end() ? nullptr : &*found;
}

/// Of a server that has only IPv6, IPv6 is what is profiled.
net::Family main_family(const Config& config) {
    return first_of(config, net::Family::v4) == nullptr && first_of(config, net::Family::v6) != nullptr
               ? net::Family::v6
               : net::Family::v4;
}

}  // namespace

Measurement::Measurement(Config config, Rng& rng, TimePoint now)
    : config_(std::move(config)),
      wire_(rng, now),
      started_(now),
      now_(now),
      family_(main_family(config_)),
      mapping_(family_, config_.local) {
    report_.local = config_.local;
    start(now);
    advance(now);
}

// The order is that of the packets: mapping first, since it finds the round trip; the rest of the burst behind it.
void Measurement::start(TimePoint now) {
    if (const auto* server = first_of(config_, family_)) {
        target_ = Target{.primary = server->endpoint};
        if (server->second_port && *server->second_port != server->endpoint.port) {
            target_->second_port = net::Endpoint{.address = server->endpoint.address, .port = *server->second_port};
        }
        mapping_.start(wire_, *target_, now);
        filtering_.start(wire_, *target_, family_, now);
        sampler_.start(wire_, *target_, family_, now);
        if (config_.tcp) {
            tcp_.start(wire_, *target_, now);
        }
    }
    if (const auto* server = first_of(config_, net::Family::v6); server != nullptr && family_ == net::Family::v4) {
        const auto socket = wire_.open_udp(net::Family::v6);
        v6_ = wire_.ask({.socket = socket, .to = server->endpoint, .patience = MappingProbe::kPatience}, now);
    }
}

void Measurement::advance(TimePoint now) {
    now_ = now;
    if (phase_ == Phase::measuring) {
        // What one probe learns may be what another one waits for.
        for (std::uint64_t version = wire_.version() + 1; version != wire_.version();) {
            version = wire_.version();
            step(now);
            wire_.pump(now);
        }
        announce(now);
    } else if (phase_ == Phase::lifetime) {
        advance_lifetime(now);
    }
}

void Measurement::step(TimePoint now) {
    if (!target_) {
        return;
    }
    learn_other();
    mapping_.advance(wire_, *target_, now);
    if (judged_version_ != wire_.version()) {
        samples_ = collect_samples(wire_, Transport::udp, family_);
        allocation_ = judge_allocation(samples_);
        judged_version_ = wire_.version();
    }
    sampler_.advance(wire_, *target_, allocation_, now);
    hairpin_.advance(wire_, mapping_, now);
    measure_ttl(now);
    if (config_.tcp) {
        tcp_.advance(wire_, *target_, now);
    }
}

// RFC 5780 §7.4. An alternate that shares address or port with the primary cannot tell one from the other.
void Measurement::learn_other() {
    if (target_->other) {
        return;
    }
    std::optional<net::Endpoint> other = tcp_.other(wire_);
    for (const auto& exchange : wire_.exchanges()) {
        if (exchange.answered() && !exchange.question.looped && exchange.question.to == target_->primary &&
            exchange.answer->other) {
            other = exchange.answer->other;
            break;
        }
    }
    if (!other || other->port == target_->primary.port) {
        return;
    }
    target_->second_port = net::Endpoint{.address = target_->primary.address, .port = other->port};
    if (other->address != target_->primary.address) {
        target_->other = other;
    }
}

void Measurement::measure_ttl(TimePoint now) {
    const auto filter = filtering();
    const auto likely = filter.value_or(NatBehavior::address_and_port_dependent);
    if (!ttl_.started() && sampler_.burst_done(wire_) && filtering_.probably_filtered(wire_, now) &&
        ttl_measurable(likely)) {
        ttl_.start(wire_, *target_, sampler_.sockets(), now);
    }
    ttl_.advance(wire_, *target_, family_, now);
    if (filter && ttl_.done(wire_) && (ttl_.started() || !ttl_measurable(*filter)) && sampler_.burst_done(wire_)) {
        for (const auto socket : sampler_.sockets()) {
            wire_.close(socket);
        }
    }
}

bool Measurement::ttl_measurable(NatBehavior filter) const {
    const auto mapping = mapping_.verdict(wire_);
    return (mapping == NatBehavior::none || mapping == NatBehavior::endpoint_independent) &&
           (filter == NatBehavior::address_dependent || filter == NatBehavior::address_and_port_dependent) &&
           target_->other && mapping_.other_lives(wire_) == true;
}

std::optional<bool> Measurement::udp_open() const {
    const bool heard = std::ranges::any_of(wire_.exchanges(), [&](const Exchange& exchange) {
        return exchange.answered() && wire_.transport(exchange.question.socket) == Transport::udp &&
               exchange.question.to.address.family() == family_ && !exchange.question.looped;
    });
    if (heard) {
        return true;
    }
    const bool given_up = target_ && (mapping_.done(wire_, *target_) || cut_short_);
    return given_up ? std::optional{false} : std::nullopt;
}

bool Measurement::translated() const {
    return mapping_.verdict(wire_) != NatBehavior::none;
}

std::optional<NatBehavior> Measurement::filtering() const {
    if (udp_open() == false) {
        return NatBehavior::unknown;
    }
    if (!target_->other) {
        return mapping_.done(wire_, *target_) ? std::optional{NatBehavior::unknown} : std::nullopt;
    }
    return judge_filtering(filtering_.evidence(wire_, *target_, mapping_), translated());
}

bool Measurement::known_enough(TimePoint now) const {
    if (now >= started_ + kFirstReport || !target_) {
        return true;
    }
    return mapping_.done(wire_, *target_) && sampler_.burst_done(wire_) && mapping_.reflexive(wire_).has_value();
}

bool Measurement::finished(TimePoint now) const {
    if (v6_ && !wire_.at(*v6_).done()) {
        return false;
    }
    if (!target_) {
        return true;
    }
    return mapping_.done(wire_, *target_) && filtering().has_value() && sampler_.burst_done(wire_) &&
           sampler_.done(wire_) && hairpin_.done(wire_) && ttl_.done(wire_) &&
           (!config_.tcp || tcp_.done(wire_, *target_, now));
}

void Measurement::announce(TimePoint now) {
    const bool done = finished(now);
    cut_short_ = !done && now >= started_ + kBudget;
    const bool first = !first_reported_ && (known_enough(now) || done || cut_short_);
    if (first || done || cut_short_ || reported_version_ != wire_.version()) {
        reported_version_ = wire_.version();
        refresh(now);
    }
    if (first) {
        first_reported_ = true;
        events_.emplace_back(FirstReport{});
    }
    if (done || cut_short_) {
        complete(now);
    }
}

void Measurement::complete(TimePoint now) {
    events_.emplace_back(Complete{});
    wire_.close_all();
    phase_ = Phase::over;
    if (config_.lifetime <= Duration{}) {
        return;
    }
    const bool nothing_to_expire =
        report_.udp.mapping == NatBehavior::none && report_.udp.filtering == NatBehavior::none;
    if (report_.udp.open != true || nothing_to_expire) {
        report_.notes.emplace_back(nothing_to_expire
                                       ? "There is neither a NAT nor a firewall, so there is no mapping to expire."
                                       : "UDP does not work, so the lifetime of mappings was not measured.");
        events_.emplace_back(LifetimeKnown{});
        return;
    }
    phase_ = Phase::lifetime;
    lifetime_.start(wire_, *target_, family_, {.now = now, .limit = config_.lifetime});
    advance_lifetime(now);
}

void Measurement::advance_lifetime(TimePoint now) {
    for (std::uint64_t version = wire_.version() + 1; version != wire_.version();) {
        version = wire_.version();
        lifetime_.advance(wire_, now);
        wire_.pump(now);
    }
    if (lifetime_.done()) {
        phase_ = Phase::over;
        report_.udp.lifetime = lifetime_.verdict();
        if (!lifetime_.note().empty()) {
            report_.notes.push_back(lifetime_.note());
        }
        events_.emplace_back(LifetimeKnown{});
    }
}

std::optional<Event> Measurement::poll_event() {
    if (events_.empty()) {
        return std::nullopt;
    }
    const auto front = events_.front();
    events_.pop_front();
    return front;
}

std::optional<TimePoint> Measurement::next_timeout() const {
    if (phase_ == Phase::over) {
        return std::nullopt;
    }
    auto next = wire_.next_timeout();
    if (phase_ == Phase::lifetime) {
        return earliest(next, lifetime_.next_timeout());
    }
    next = earliest(next, started_ + (first_reported_ ? kBudget : kFirstReport));
    if (config_.tcp) {
        next = earliest(next, tcp_.next_timeout(now_));
    }
    next = earliest(next, filtering_.next_timeout(wire_, now_));
    return earliest(next, sampler_.next_timeout());
}

}  // namespace pinhole::netcheck
