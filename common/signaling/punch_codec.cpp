#include "common/signaling/punch_codec.hpp"

#include "common/signaling/endpoint_codec.hpp"
#include "common/signaling/text.hpp"
#include "rendezvous.pb.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

namespace pinhole::signaling {

namespace {

namespace pb = rendezvous::v1;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

template <class T>
using Repeated = google::protobuf::RepeatedPtrField<T>;
using Numbers = google::protobuf::RepeatedField<std::uint32_t>;

constexpr std::uint32_t kMaxDelayUs = 10'000'000;
constexpr std::uint32_t kMaxPort = 65535;
constexpr std::uint32_t kMaxTtl = 255;

std::unexpected<Error> malformed(const char* what) {
    return fail(Errc::malformed, what);
}

std::unexpected<Error> too_large(const char* what) {
    return fail(Errc::too_large, what);
}

bool is_port(std::uint32_t port) {
    return port >= 1 && port <= kMaxPort;
}

// --- values to Protobuf ---

std::uint32_t count_ms(Duration duration) {
    return static_cast<std::uint32_t>(duration_cast<milliseconds>(std::max(duration, Duration{})).count());
}

void put(std::span<const net::PortRange> from, Repeated<pb::PortRange>& to) {
    for (const auto& range : from.first(std::min(from.size(), net::kMaxScanRanges))) {
        auto& out = *to.Add();
        out.set_first(range.first);
        out.set_last(range.last);
    }
}

void put(std::span<const std::uint16_t> from, Numbers& to) {
    for (const auto port : from.first(std::min(from.size(), net::kMaxPunchSamples))) {
        to.Add(port);
    }
}

void put(const net::PunchStep& from, pb::PunchStep& to) {
    to.set_strategy(static_cast<pb::PunchStrategy>(from.strategy));
    to.set_act(static_cast<pb::PunchAct>(from.act));
    to.set_start_ms(count_ms(from.start));
    to.set_budget_ms(count_ms(from.budget));
    to.set_sockets(from.sockets);
    to.set_sample(from.sample);
    to.set_first_ttl(from.first_ttl);
    if (from.act != net::PunchAct::check) {
        to.set_target(endpoint_blob(from.target));
    }
    put(from.ranges, *to.mutable_ranges());
    to.set_probes(from.probes);
    to.set_shuffled(from.shuffled);
}

// --- Protobuf to values ---

Status get(const Repeated<pb::PortRange>& from, std::vector<net::PortRange>& to) {
    if (std::cmp_greater(from.size(), net::kMaxScanRanges)) {
        return too_large("ranges of a scan");
    }
    for (const auto& range : from) {
        if (!is_port(range.first()) || !is_port(range.last()) || range.first() > range.last()) {
            return malformed("range of a scan");
        }
        to.push_back(
            {.first = static_cast<std::uint16_t>(range.first()), .last = static_cast<std::uint16_t>(range.last())});
    }
    return {};
}

Status get(const Numbers& from, std::vector<std::uint16_t>& to) {
    if (std::cmp_greater(from.size(), net::kMaxPunchSamples)) {
        return too_large("samples");
    }
    for (const auto port : from) {
        if (!is_port(port)) {
            return malformed("sample");
        }
        to.push_back(static_cast<std::uint16_t>(port));
    }
    return {};
}

/// A class that is not known here is none.
net::NatClass to_class(int number) {
    return number >= 0 && number <= static_cast<int>(net::NatClass::blocked) ? static_cast<net::NatClass>(number)
                                                                             : net::NatClass::unknown;
}

bool is_strategy(int number) {
    return number >= static_cast<int>(net::Strategy::host) && number <= static_cast<int>(net::Strategy::tcp);
}

/// What each act needs, and where its packets may go.
Status check_act(const pb::PunchStep& from, net::PunchStep& to) {
    if (to.act == net::PunchAct::check) {
        return from.target().empty() ? Status{} : malformed("target of a check");
    }
    const auto target = to_endpoint(from.target());
    if (!target || !is_unicast(target->address)) {
        return malformed("target of a step");
    }
    to.target = *target;
    if (to.act == net::PunchAct::open) {
        return to.sockets > 0 ? Status{} : malformed("sockets of a step");
    }
    return to.probes > 0 && target->port == 0 ? Status{} : malformed("probes of a step");
}

Result<net::PunchStep> to_step(const pb::PunchStep& from) {
    if (!is_strategy(from.strategy()) || from.act() < pb::PUNCH_ACT_CHECK || from.act() > pb::PUNCH_ACT_SCAN) {
        return malformed("step of a plan");
    }
    net::PunchStep step;
    step.strategy = static_cast<net::Strategy>(from.strategy());
    step.act = static_cast<net::PunchAct>(from.act());
    if (from.start_ms() > count_ms(net::kMaxPunchStart) || from.budget_ms() > count_ms(net::kMaxPunchBudget) ||
        from.sockets() > net::kMaxPunchSockets || from.probes() > net::kMaxScanProbes || from.first_ttl() > kMaxTtl) {
        return too_large("step of a plan");
    }
    step.start = milliseconds{from.start_ms()};
    step.budget = milliseconds{from.budget_ms()};
    step.sockets = static_cast<std::uint16_t>(from.sockets());
    step.sample = from.sample();
    step.first_ttl = static_cast<std::uint8_t>(from.first_ttl());
    step.probes = static_cast<std::uint16_t>(from.probes());
    step.shuffled = from.shuffled();
    if (auto status = get(from.ranges(), step.ranges); !status) {
        return std::unexpected(status.error());
    }
    if (auto status = check_act(from, step); !status) {
        return std::unexpected(status.error());
    }
    return step;
}

bool is_step(std::uint32_t index) {
    return index < net::kMaxPunchSteps;
}

}  // namespace

void put_go(const Go& from, pb::Go& to) {
    to.set_call(from.call.value);
    to.set_delay_us(from.delay_us);
    to.set_topology(from.plan.topology);
    to.set_own_class(static_cast<pb::NatClass>(from.plan.ours));
    to.set_other_class(static_cast<pb::NatClass>(from.plan.theirs));
    for (const auto& step : from.plan.steps) {
        put(step, *to.add_steps());
    }
}

void put_samples(const PunchSamples& from, pb::PunchSamples& to) {
    to.set_call(from.call.value);
    to.set_step(from.step);
    to.set_external(address_blob(from.external));
    put(from.before, *to.mutable_before());
    put(from.after, *to.mutable_after());
}

void put_outcome(const PunchOutcome& from, pb::PunchOutcome& to) {
    to.set_call(from.call.value);
    if (from.strategy) {
        to.set_strategy(static_cast<pb::PunchStrategy>(*from.strategy));
    }
    to.set_elapsed_ms(from.elapsed_ms);
}

void put_scan(const PunchScan& from, pb::PunchScan& to) {
    to.set_call(from.call.value);
    to.set_step(from.step);
    put(from.ranges, *to.mutable_ranges());
}

Result<Go> to_go(const pb::Go& from) {
    if (from.delay_us() > kMaxDelayUs || std::cmp_greater(from.steps_size(), net::kMaxPunchSteps)) {
        return too_large("go");
    }
    if (!is_text(from.topology())) {
        return malformed("go");
    }
    Go value{.call = {from.call()}, .delay_us = from.delay_us(), .plan = {.topology = from.topology(), .steps = {}}};
    for (const auto& item : from.steps()) {
        auto step = to_step(item);
        if (!step) {
            return std::unexpected(step.error());
        }
        value.plan.steps.push_back(*std::move(step));
    }
    value.plan.ours = to_class(from.own_class());
    value.plan.theirs = to_class(from.other_class());
    return value;
}

Result<PunchSamples> to_samples(const pb::PunchSamples& from) {
    const auto external = to_address(from.external());
    if (!external || !is_unicast(*external) || !is_step(from.step())) {
        return malformed("samples");
    }
    PunchSamples value{.call = {from.call()}, .step = from.step(), .external = *external, .before = {}, .after = {}};
    if (auto status = get(from.before(), value.before); !status) {
        return std::unexpected(status.error());
    }
    if (auto status = get(from.after(), value.after); !status) {
        return std::unexpected(status.error());
    }
    return value;
}

Result<PunchOutcome> to_outcome(const pb::PunchOutcome& from) {
    PunchOutcome value{.call = {from.call()}, .strategy = std::nullopt, .elapsed_ms = from.elapsed_ms()};
    if (from.strategy() != pb::PUNCH_STRATEGY_UNSPECIFIED) {
        if (!is_strategy(from.strategy())) {
            return malformed("strategy of an outcome");
        }
        value.strategy = static_cast<net::Strategy>(from.strategy());
    }
    return value;
}

Result<PunchScan> to_scan(const pb::PunchScan& from) {
    if (!is_step(from.step()) || from.ranges().empty()) {
        return malformed("scan");
    }
    PunchScan value{.call = {from.call()}, .step = from.step(), .ranges = {}};
    if (auto status = get(from.ranges(), value.ranges); !status) {
        return std::unexpected(status.error());
    }
    return value;
}

}  // namespace pinhole::signaling
