#include "rendezvous/core/punches.hpp"

#include "rendezvous/core/continuation.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::rendezvous {

namespace {

using net::PunchAct;
using net::PunchStep;
using net::Strategy;

/// From Go's leaving the server to its instant at a side at most: half a round trip, the wait for the other side, and
/// what TCP takes to repeat it on a bad link.
constexpr Duration kGoDelay = 10s;

std::optional<ScanGuard::Claim> claim_of(const net::PunchPlan& plan, const net::Address& target,
                                         const crypto::PeerId& prober, TimePoint now) {
    ScanGuard::Claim claim{.target = target, .prober = prober, .probes = net::max_probes(plan)};
    for (const auto& step : plan.steps) {
        if (step.act != PunchAct::check) {
            claim.over = std::max(claim.over, now + kGoDelay + step.start + step.budget);
        }
        if (step.act == PunchAct::scan) {
            const auto from = now + step.start;
            claim.from = claim.scans ? std::min(claim.from, from) : from;
            claim.until = std::max(claim.until, from + step.budget);
            claim.scans = true;
        }
    }
    return claim.probes == 0 ? std::nullopt : std::optional{claim};
}

/// How much later the probing may begin without a step beyond the bounds.
Duration patience_of(const PunchPlanPair& planned) {
    Duration last{};
    for (const auto& side : planned.sides) {
        for (const auto& step : side.steps) {
            last = step.act == PunchAct::check ? last : std::max(last, step.start);
        }
    }
    return net::kMaxPunchStart - last;
}

/// Of a step that is not carried out: peers name steps by their place, so it is not erased.
PunchStep check_instead(const PunchStep& step) {
    return {.strategy = step.strategy, .start = step.start, .budget = step.budget};
}

/// Takes later scans of a side out of its plan, or makes them smaller, until it sends no more than `left` probes. False
/// if that does not do: what opens and scans first is of use as a whole only.
bool cut(PunchPlanPair& planned, std::size_t who, std::uint32_t left) {
    auto& plan = planned.sides[who];
    if (net::max_probes(plan) <= left) {
        return true;
    }
    std::uint32_t used = 0;
    for (const auto& step : plan.steps) {
        used += step.act == PunchAct::open ? net::max_probes(step) : 0;
    }
    bool first = true;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        auto& step = plan.steps[i];
        if (step.act != PunchAct::scan) {
            continue;
        }
        const auto room = left - std::min(left, used);
        if (const auto all = net::max_probes(step); all > room) {
            if (first) {
                return false;
            }
            step.probes = static_cast<std::uint16_t>(step.shuffled ? room : room / 2);
        }
        used += net::max_probes(step);
        first = false;
        for (auto& link : planned.links) {
            if (link.opener != who && link.scan_step == i) {
                link.max_ports = std::min(link.max_ports, step.probes);
                auto& opening = planned.sides[link.opener].steps[link.open_step];
                opening = step.probes == 0 ? check_instead(opening) : opening;
            }
        }
        step = step.probes == 0 ? check_instead(step) : step;
    }
    std::erase_if(planned.links,
                  [](const PunchLink& link) { return link.kind == PunchLink::Kind::bracket && link.max_ports == 0; });
    return used <= left;
}

void delay(net::PunchPlan& plan, Duration wait) {
    for (auto& step : plan.steps) {
        if (step.act != PunchAct::check) {
            step.start += wait;
        }
    }
}

}  // namespace

std::array<net::PunchPlan, 2> Punches::begin(const Party& caller, const Party& callee, TimePoint now) {
    auto planned = plan(caller.plan, callee.plan, history_);
    if (plans_.size() >= config_.max_plans || sides_.contains(caller.side) || sides_.contains(callee.side)) {
        return checks_only(std::move(planned)).sides;
    }
    Plan entry{.sides = {caller.side, callee.side},
               .observed = {caller.plan.observed.unmapped(), callee.plan.observed.unmapped()},
               .rtt = {caller.plan.rtt.value_or(Duration{}), callee.plan.rtt.value_or(Duration{})},
               .plans = {},
               .links = {},
               .classes = planned.classes,
               .claims = {}};
    reserve(planned, entry, {caller.id, callee.id}, now);
    for (const auto& link : planned.links) {
        entry.links.push_back({.link = link});
    }
    entry.plans = planned.sides;
    const PlanKey key{++last_key_};
    sides_.emplace(caller.side, key);
    sides_.emplace(callee.side, key);
    plans_.emplace(key, std::move(entry));
    deadlines_.set(key, now + config_.linger);
    return std::move(planned.sides);
}

void Punches::reserve(PunchPlanPair& planned, Plan& plan, const std::array<crypto::PeerId, 2>& ids, TimePoint now) {
    std::vector<ScanGuard::Claim> claims;
    std::vector<std::size_t> claimants;
    for (const std::size_t who : {0U, 1U}) {
        if (!cut(planned, who, guard_.left(plan.observed[1 - who], now))) {
            planned = checks_only(std::move(planned));
            return;
        }
    }
    for (const std::size_t who : {0U, 1U}) {
        if (const auto claim = claim_of(planned.sides[who], plan.observed[1 - who], ids[who], now)) {
            claims.push_back(*claim);
            claimants.push_back(who);
        }
    }
    if (claims.empty()) {
        return;
    }
    const auto wait = guard_.reserve(claims, patience_of(planned), now);
    if (!wait) {
        planned = checks_only(std::move(planned));
        return;
    }
    for (std::size_t i = 0; i < claims.size(); ++i) {
        plan.claims[claimants[i]] = claims[i];
    }
    for (auto& side : planned.sides) {
        delay(side, *wait);
    }
}

void Punches::handle_samples(ConnectionId from, const signaling::PunchSamples& samples, TimePoint now) {
    const auto found = find({.connection = from, .call = samples.call});
    // Ports at another address than the one that is scanned are of no use.
    if (!found || samples.external.unmapped() != found->plan->second.observed[found->who]) {
        return;
    }
    auto& plan = found->plan->second;
    for (auto& link : plan.links) {
        const auto& known = link.link;
        if (link.answered) {
            continue;
        }
        if (known.kind == PunchLink::Kind::bracket && known.opener == found->who && known.open_step == samples.step) {
            answer_bracket(plan, link, samples);
        } else if (known.kind == PunchLink::Kind::count && known.opener == found->who &&
                   known.open_step == samples.step) {
            answer_count(plan, link, samples);
        } else if (known.kind == PunchLink::Kind::aim &&
                   (found->who == 0 ? known.open_step : known.scan_step) == samples.step) {
            link.samples[found->who] = Samples{.before = samples.before, .received = now};
            answer_aim(plan, link, now);
        }
    }
}

void Punches::answer_bracket(Plan& plan, Link& link, const signaling::PunchSamples& samples) {
    const auto& known = link.link;
    auto ranges = bracket(samples.before, samples.after, known.model[known.opener], known.max_ports);
    if (!ranges.empty()) {
        link.answered = true;
        scan(plan.sides[1 - known.opener], known.scan_step, std::move(ranges));
    }
}

void Punches::answer_count(Plan& plan, Link& link, const signaling::PunchSamples& samples) {
    const auto& known = link.link;
    if (const auto port = aim(samples.before, known.model[known.opener], {})) {
        link.answered = true;
        scan(plan.sides[1 - known.opener], known.scan_step, {{.first = *port, .last = *port}});
    }
}

void Punches::answer_aim(Plan& plan, Link& link, TimePoint now) {
    std::array<std::uint16_t, 2> ports{};
    for (const std::size_t who : {0U, 1U}) {
        const auto& samples = link.samples[who];
        if (!samples) {
            return;
        }
        // The sample was made a round trip before it came here, and its side begins half of one after we say so.
        const auto age = now - samples->received + plan.rtt[who] + plan.rtt[who] / 2;
        const auto port = aim(samples->before, link.link.model[who], age);
        if (!port) {
            return;
        }
        ports[who] = *port;
    }
    link.answered = true;
    scan(plan.sides[0], link.link.open_step, {{.first = ports[1], .last = ports[1]}});
    scan(plan.sides[1], link.link.scan_step, {{.first = ports[0], .last = ports[0]}});
}

void Punches::scan(const Side& to, std::size_t step, std::vector<net::PortRange> ranges) {
    deliveries_.push_back(
        {.to = to.connection,
         .message = signaling::PunchScan{
             .call = to.call, .step = static_cast<std::uint32_t>(step), .ranges = std::move(ranges)}});
}

void Punches::handle_outcome(ConnectionId from, const signaling::PunchOutcome& outcome, TimePoint now) {
    const auto found = find({.connection = from, .call = outcome.call});
    if (!found) {
        return;
    }
    auto& plan = found->plan->second;
    const Duration elapsed = std::chrono::milliseconds{outcome.elapsed_ms};
    if (auto claim = std::exchange(plan.claims[found->who], std::nullopt)) {
        std::uint32_t sent = 0;
        Duration last{};
        for (const auto& step : plan.plans[found->who].steps) {
            sent += net::probes_by(step, elapsed + 1ms);  // it was rounded down
            last = std::max(last, step.act == PunchAct::check ? Duration{} : step.start + step.budget);
        }
        // What a side did not send it says itself; the side that is probed has no voice in it.
        guard_.release(*claim, sent, now - std::max(elapsed - last, Duration{}));
    }
    // Both sides see the same outcome: one voice a call.
    if (found->who == 0 && !plan.recorded) {
        record(plan, outcome.strategy, elapsed);
    }
}

void Punches::record(Plan& plan, const std::optional<Strategy>& worked, Duration elapsed) {
    plan.recorded = true;
    std::map<Strategy, Duration> planned;  // until when
    for (const auto& step : plan.plans[0].steps) {
        auto& end = planned[step.strategy];
        end = std::max(end, step.start + step.budget);
    }
    for (const auto& [strategy, end] : planned) {
        // Of what runs at once only one can win; nothing is said of the others, nor of what was given up before its
        // end.
        if (worked ? strategy == *worked : elapsed >= end) {
            history_.record(PunchHistory::key(plan.classes[0], plan.classes[1], strategy), worked.has_value());
        }
    }
}

void Punches::handle_end(const Side& side) {
    if (const auto found = find(side)) {
        forget(found->plan);
    }
}

void Punches::handle_lost(ConnectionId connection) {
    for (auto next = sides_.lower_bound({.connection = connection, .call = {}});
         next != sides_.end() && next->first.connection == connection;
         next = sides_.lower_bound({.connection = connection, .call = {}})) {
        forget(plans_.find(next->second));
    }
}

void Punches::handle_timeout(TimePoint now) {
    while (const auto key = deadlines_.expire(now)) {
        forget(plans_.find(*key));
    }
}

std::optional<Calls::Delivery> Punches::poll_delivery() {
    if (deliveries_.empty()) {
        return std::nullopt;
    }
    auto delivery = std::move(deliveries_.front());
    deliveries_.pop_front();
    return delivery;
}

std::optional<Punches::Found> Punches::find(const Side& side) {
    const auto found = sides_.find(side);
    if (found == sides_.end()) {
        return std::nullopt;
    }
    const auto plan = plans_.find(found->second);
    return Found{.plan = plan, .who = plan->second.sides[0] == side ? 0U : 1U};
}

void Punches::forget(Iterator found) {
    const auto& plan = found->second;
    // What its sides probe stays counted, and their turns last: nobody said that they have stopped.
    for (const auto& side : plan.sides) {
        sides_.erase(side);
    }
    deadlines_.set(found->first, std::nullopt);
    plans_.erase(found);
}

}  // namespace pinhole::rendezvous
