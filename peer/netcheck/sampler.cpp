#include "peer/netcheck/sampler.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace pinhole::netcheck {

namespace {

/// A flow's first questions follow each other this closely; the answer to one that came later says nothing of when the
/// flow was made.
constexpr Duration kSameMoment = 10ms;

}  // namespace

std::vector<PortSample> collect_samples(const Wire& wire, Transport transport, net::Family family) {
    // A flow is made by the first packet of any question, whichever of them was answered. To a NAT it is the port that
    // counts, not the socket: the system may give a port again that was closed, and the mapping is still there.
    std::map<std::pair<std::uint16_t, net::Endpoint>, TimePoint> made;
    std::vector<const Exchange*> answered;
    for (const auto& exchange : wire.exchanges()) {
        const auto& question = exchange.question;
        if (exchange.tries.empty() || wire.transport(question.socket) != transport ||
            question.to.address.family() != family) {
            continue;
        }
        const auto [at, fresh] =
            made.try_emplace({wire.local(question.socket).port, question.to}, exchange.tries.front().at);
        at->second = std::min(at->second, exchange.tries.front().at);
        if (exchange.answered() && !question.looped) {
            answered.push_back(&exchange);
        }
    }
    std::vector<PortSample> samples;
    std::map<std::pair<std::uint16_t, net::Endpoint>, std::size_t> seen;
    for (const auto* exchange : answered) {
        const auto& question = exchange->question;
        const auto local_port = wire.local(question.socket).port;
        const auto begun = made.at({local_port, question.to});
        const PortSample sample{.external = exchange->answer->reflexive,
                                .local_port = local_port,
                                .sent_at = begun,
                                .exact = exchange->first_answered && exchange->tries.front().at - begun <= kSameMoment};
        const auto [at, fresh] = seen.try_emplace({local_port, sample.external}, samples.size());
        if (fresh) {
            samples.push_back(sample);
        } else if (auto& known = samples[at->second]; sample.sent_at < known.sent_at) {
            known.sent_at = sample.sent_at;
            known.exact = sample.exact;
        } else if (sample.sent_at == known.sent_at) {
            known.exact = known.exact || sample.exact;
        }
    }
    std::ranges::sort(samples, {}, &PortSample::sent_at);
    return samples;
}

void Sampler::start(Wire& wire, const Target& target, net::Family family, TimePoint now) {
    family_ = family;
    started_ = now;
    for (std::size_t i = 0; i < kBurstSockets; ++i) {
        sockets_.push_back(wire.open_udp(family));
        burst_.push_back(wire.ask({.socket = sockets_.back(), .to = target.primary}, now));
    }
}

bool Sampler::burst_done(const Wire& wire) const {
    return std::ranges::all_of(burst_, [&](ExchangeId id) { return wire.at(id).done(); });
}

bool Sampler::done(const Wire& wire) const {
    return finished_ && std::ranges::all_of(later_, [&](ExchangeId id) { return wire.at(id).done(); });
}

bool Sampler::wants_more(const Wire& wire, const AllocationVerdict& verdict, TimePoint now) const {
    using enum net::PortAllocation;
    const bool answered = std::ranges::any_of(burst_, [&](ExchangeId id) { return wire.at(id).answered(); });
    if (verdict.kind == preserving || !answered) {
        return false;
    }
    return later_.size() < kLater || (verdict.kind == sequential && now < started_ + kLastSample);
}

void Sampler::advance(Wire& wire, const Target& target, const AllocationVerdict& verdict, TimePoint now) {
    for (const auto id : later_) {
        if (wire.at(id).done()) {
            wire.close(wire.at(id).question.socket);
        }
    }
    if (finished_ || !burst_done(wire)) {
        return;
    }
    if (!wants_more(wire, verdict, now)) {
        next_.reset();
        // The last of the few may still change the verdict.
        finished_ = std::ranges::all_of(later_, [&](ExchangeId id) { return wire.at(id).done(); });
        return;
    }
    if (next_ && now < *next_) {
        return;
    }
    if (next_) {
        const auto socket = wire.open_udp(family_);
        later_.push_back(wire.ask({.socket = socket, .to = target.primary}, now));
    }
    next_ = now + kInterval;
}

}  // namespace pinhole::netcheck
