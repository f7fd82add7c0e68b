// From what the probes found to the report and its sentences.
#include "peer/netcheck/measurement.hpp"
#include "peer/netcheck/rate.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace pinhole::netcheck {

using net::NatBehavior;
using net::PortAllocation;

void Measurement::refresh(TimePoint now) {
    report_ = {};
    report_.local = config_.local;
    report_.rtt = wire_.rtt();
    if (target_) {
        refresh_udp();
        if (config_.tcp) {
            tcp_.report(wire_, config_.local, now, report_.tcp);
        }
    }
    refresh_v6();
    report_.notes = notes();
}

void Measurement::refresh_udp() {
    auto& udp = report_.udp;
    udp.open = udp_open();
    if (udp.open != true) {
        return;
    }
    udp.mapping = mapping_.verdict(wire_);
    udp.filtering = filtering().value_or(NatBehavior::unknown);
    udp.allocation = allocation_.kind;
    udp.delta = allocation_.delta;
    udp.block = allocation_.block;
    udp.reflexive = mapping_.reflexive(wire_);
    std::ranges::transform(samples_, std::back_inserter(udp.samples),
                           [](const PortSample& sample) { return sample.external.port; });
    if (!udp.reflexive && !samples_.empty()) {
        udp.reflexive = samples_.front().external;
    }
    if (udp.delta) {
        const auto own = own_mappings();
        // A hairpin packet takes a port of its own where each destination has one, and none where it is not forwarded.
        const bool unseen = udp.mapping != NatBehavior::endpoint_independent && hairpin_.verdict(wire_) != true;
        const auto disturbances = unseen ? hairpin_.begun(wire_) : std::vector<TimePoint>{};
        udp.rate = mapping_rate({.marks = samples_, .own = own, .disturbances = disturbances}, *udp.delta,
                                Sampler::kInterval / 2);
    }
    if (udp.mapping != NatBehavior::none) {
        udp.hairpin = hairpin_.verdict(wire_);
    }
    if (ttl_measurable(udp.filtering)) {
        udp.opening_ttl = ttl_.verdict(wire_);
    }
}

std::vector<PortSample> Measurement::own_mappings() const {
    auto own = tcp_.samples(wire_);
    own.insert(own.end(), samples_.begin(), samples_.end());
    // What came back in by a hairpin shows the port that it went out by.
    for (const auto& exchange : wire_.exchanges()) {
        if (exchange.question.looped && exchange.answered()) {
            own.push_back({.external = exchange.answer->reflexive, .sent_at = exchange.tries.front().at});
        }
    }
    return own;
}

void Measurement::refresh_v6() {
    if (family_ == net::Family::v6) {
        report_.ipv6 = report_.udp.open;
        report_.reflexive_v6 = report_.udp.reflexive;
    } else if (v6_) {
        const auto& asked = wire_.at(*v6_);
        if (asked.answered()) {
            report_.reflexive_v6 = asked.answer->reflexive;
        }
        if (asked.done() || cut_short_) {
            report_.ipv6 = asked.answered();
        }
    }
}

std::vector<std::string> Measurement::notes() const {
    std::vector<std::string> notes;
    if (!target_) {
        notes.emplace_back("No server is known, so nothing was measured.");
        return notes;
    }
    note_servers(notes);
    if (report_.udp.open == true) {
        note_filtering(notes);
        note_ports(notes);
    }
    if (report_.tcp.open == true) {
        notes.emplace_back("A server cannot connect to us unasked, so filtering of TCP was not measured.");
    }
    if (cut_short_) {
        notes.emplace_back("Not all answers came within the time that a measurement has.");
    }
    return notes;
}

void Measurement::note_servers(std::vector<std::string>& notes) const {
    if (report_.udp.open == false) {
        notes.emplace_back("The server did not answer over UDP: it is blocked here, or the server cannot be reached.");
    }
    if (report_.tcp.open == false) {
        notes.emplace_back("The server did not answer over TCP: it is blocked here, or the server cannot be reached.");
    }
    if (report_.ipv6 == false && family_ == net::Family::v4) {
        notes.emplace_back("The server did not answer over IPv6.");
    }
    if (report_.udp.open != true || !mapping_.reflexive(wire_)) {
        return;
    }
    if (!target_->other && mapping_.done(wire_, *target_)) {
        notes.emplace_back(
            "The server has one address, so whether mappings and filters depend on the address that one talks to was "
            "not measured.");
    } else if (mapping_.other_lives(wire_) == false) {
        notes.emplace_back(
            "The second address of the server did not answer, so whether mappings and filters depend on the address "
            "that one talks to was not measured.");
    }
}

void Measurement::note_filtering(std::vector<std::string>& notes) const {
    if (target_->other && filtering_.refused(wire_, *target_)) {
        notes.emplace_back(
            "The server does not answer from its other address on request, so filtering was not measured.");
    }
    const auto evidence = filtering_.evidence(wire_, *target_, mapping_);
    if (evidence.both == Heard::no && evidence.port == Heard::no && evidence.address == Heard::yes) {
        notes.emplace_back("The filter looks at the port alone that a packet comes from.");
    }
    const bool filtered = report_.udp.filtering == NatBehavior::address_dependent ||
                          report_.udp.filtering == NatBehavior::address_and_port_dependent;
    if (filtered && translated() && !ttl_measurable(report_.udp.filtering)) {
        notes.emplace_back(
            "Each destination sees another port, so the smallest TTL that opens the NAT was not measured.");
    }
}

void Measurement::note_ports(std::vector<std::string>& notes) const {
    if (mapping_.inconsistent(wire_)) {
        notes.emplace_back(
            "Two sockets were treated differently; the report tells what is most plausible. A port that was taken, or "
            "a "
            "NAT that was met by a packet from outside first, looks like this.");
    }
    if (const auto addresses = external_addresses(samples_); addresses.size() > 1) {
        std::string all;
        for (const auto& address : addresses) {
            all += (all.empty() ? "" : ", ") + address.text();
        }
        notes.push_back(fmt::format("The NAT has several external addresses: {}.", all));
    }
    if (sampler_.burst_done(wire_)) {
        std::size_t silent = 0;
        for (const auto& exchange : wire_.exchanges()) {
            const auto& question = exchange.question;
            silent += exchange.state == Exchange::State::silent && question.to == target_->primary &&
                              !question.change.change_ip && !question.change.change_port && !question.looped
                          ? 1U
                          : 0U;
        }
        if (silent > 1) {
            notes.push_back(fmt::format(
                "{} new sockets got no answer at all: the NAT may limit how many of them it serves.", silent));
        }
    }
}

}  // namespace pinhole::netcheck
