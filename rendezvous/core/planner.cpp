#include "rendezvous/core/planner.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <tuple>
#include <utility>

namespace pinhole::rendezvous {

namespace {

using net::NatBehavior;
using net::NatClass;
using net::PunchAct;
using net::PunchStep;
using net::Strategy;

/// Where only a guess says that plain checks will not do, they get a chance first.
constexpr Duration kHeadStart = 300ms;
constexpr Duration kMaxHeadStart = 1s;
constexpr Duration kCheckBudget = 5s;
/// Where UDP may work, TCP begins so much later and the round trips of both sides: by then simple checks are through.
constexpr Duration kTcpLead = 1s;
/// Of the probes, which try every TTL from 2 on: passes the routers of most homes and providers, and rarely reaches the
/// other side's.
constexpr std::uint8_t kUsualOpeningTtl = 4;
constexpr std::uint8_t kLargestOpeningTtl = 16;

// Bracket: the burst of the hard side lies between two samples, so any of its ports will do.
constexpr std::uint16_t kBracketSockets = 16;
constexpr std::uint16_t kBracketPorts = 256;
constexpr Duration kSecondBracket = 2500ms;
constexpr std::uint16_t kSecondBracketSockets = 32;
/// Each port is probed twice: with the first round, no more than kMaxScanProbes in all.
constexpr std::uint16_t kSecondBracketPorts = 768;
constexpr Duration kBracketBudget = 5s;

constexpr std::uint16_t kBlockSockets = 16;
constexpr Duration kBlockLead = 50ms;
constexpr Duration kBlockPause = 700ms;

// A block that is filled toward one endpoint has every port open for it; the last sixteenth is left to others.
/// So that two rounds of it, with their repeats, are no more than one address may get in a minute.
constexpr std::uint32_t kFillSockets = 240;
constexpr std::uint32_t kMaxFilledBlock = 512;
constexpr int kMaxFills = 2;
/// Less likely to meet is not worth the ports of a whole block.
constexpr double kMinFillChance = 0.5;
/// The burst and two repeats; what samples and answer take comes on top.
constexpr Duration kFillRound = 1200ms;

// 256 sockets and 1024 probes: 98.3 %; twice as many: 99.97 % (§1.4).
constexpr std::uint16_t kBirthdayProbes = 1024;
/// Two rounds of it, and what opens their sockets, are not more than one address may get in a minute.
constexpr std::uint16_t kCountedProbes = 1016;
/// The burst of all sockets takes so long.
constexpr Duration kBirthdayLead = 300ms;
constexpr Duration kBirthdayRound = 1500ms;
constexpr Duration kBirthdayBudget = 6s;
constexpr net::PortRange kAllPorts{.first = 1024, .last = 65535};

constexpr int kAimRounds = 3;
/// By then the first checks have taken their ports.
constexpr Duration kAimLead = 200ms;
constexpr Duration kAimRound = 2s;
/// From the sample to the burst: to the server and to both sides.
constexpr double kAimDelay = 0.5;
/// Half of the burst comes before the port that is aimed at: 300 ms of others' mappings.
constexpr double kLateBy = 0.6;

enum class Ports : std::uint8_t { known, sequential, block, random };

/// One side in the terms of the rules.
struct View {
    const PlanSide* side = nullptr;
    NatClass nat_class = NatClass::unknown;
    Ports ports = Ports::known;
    /// Its mapping was not measured: it may be easy after all.
    bool guessed = false;
    bool by_address = false;  ///< one port for each remote address
    bool weak_filter = false;
    bool open_filter = false;
    std::optional<net::Endpoint> reflexive{};
};

const net::ProtocolReport* udp_of(const PlanSide& side) {
    return side.report == nullptr ? nullptr : &side.report->udp;
}

Ports ports_of(NatClass nat_class) {
    switch (nat_class) {
        case NatClass::hard_sequential:
            return Ports::sequential;
        case NatClass::hard_block:
            return Ports::block;
        case NatClass::hard_random:
            return Ports::random;
        default:
            return Ports::known;
    }
}

View view(const PlanSide& side) {
    View result{.side = &side, .nat_class = plan_class(side.report)};
    result.ports = ports_of(result.nat_class);
    result.reflexive = side.reflexive;
    if (const auto* udp = udp_of(side)) {
        result.guessed = udp->mapping == NatBehavior::unknown && result.ports != Ports::known;
        result.by_address = udp->mapping == NatBehavior::address_dependent;
        result.open_filter = udp->filtering == NatBehavior::none || udp->filtering == NatBehavior::endpoint_independent;
        result.weak_filter = result.open_filter || udp->filtering == NatBehavior::address_dependent;
        if (!result.reflexive) {
            result.reflexive = udp->reflexive;
        }
        if (result.ports == Ports::block && !udp->block) {
            result.ports = Ports::random;
        }
    }
    return result;
}

/// Whoever connects over TCP gets in, unless a firewall of its own keeps them out.
bool public_over_tcp(const View& view) {
    return view.side->report != nullptr && view.side->report->tcp.mapping == NatBehavior::none;
}

bool public_host(const View& view) {
    const auto* udp = udp_of(*view.side);
    return udp != nullptr && udp->mapping == NatBehavior::none;
}

/// Plain checks between the reflexive addresses are certain to cross, or nobody can tell that they are not.
bool checks_suffice(const View& a, const View& b) {
    const auto easy = [](const View& known, const View& other) {
        return known.ports == Ports::known && (known.weak_filter || other.ports == Ports::known);
    };
    const auto lets_in = [](const View& one, const View& other) { return one.open_filter && other.weak_filter; };
    return easy(a, b) || easy(b, a) || lets_in(a, b) || lets_in(b, a);
}

/// `opener`'s fresh ports can be found by `scanner`'s probes, and the answer gets back in.
bool one_sided(const View& opener, const View& scanner) {
    if (opener.ports == Ports::known) {
        return false;
    }
    if (scanner.ports == Ports::known || scanner.guessed) {
        return true;
    }
    return opener.weak_filter && (opener.by_address || scanner.weak_filter);
}

/// Probes go only where the server itself saw this side come from (§4.1).
bool may_be_probed(const View& view) {
    return view.reflexive && net::is_scannable(view.side->observed.unmapped()) &&
           view.reflexive->address.unmapped() == view.side->observed.unmapped();
}

std::string topology(const View& a, const View& b) {
    const int blocked = (a.nat_class == NatClass::blocked ? 1 : 0) + (b.nat_class == NatClass::blocked ? 1 : 0);
    if (blocked > 0) {
        return blocked == 1 ? "UDP is blocked at one side" : "UDP is blocked at both sides";
    }
    if (a.side->observed.unmapped() == b.side->observed.unmapped()) {
        return "same NAT";
    }
    if (public_host(a) || public_host(b)) {
        return public_host(a) && public_host(b) ? "both sides are public" : "one side is public";
    }
    return a.nat_class == NatClass::unknown || b.nat_class == NatClass::unknown ? "different networks" : "two NATs";
}

class Planner {
  public:
    Planner(const View& caller, const View& callee, const PunchHistory& history)
        : views_{caller, callee}, history_(history) {
        result_.classes = {views_[0].nat_class, views_[1].nat_class};
    }

    PunchPlanPair run() && {
        const auto words = topology(views_[0], views_[1]);
        for (const std::size_t side : {0U, 1U}) {
            result_.sides[side].topology = words;
            result_.sides[side].ours = result_.classes[side];
            result_.sides[side].theirs = result_.classes[1 - side];
        }
        const bool blocked = views_[0].nat_class == NatClass::blocked || views_[1].nat_class == NatClass::blocked;
        const auto reachable = [&](const View& side) {
            return side.nat_class == NatClass::open || (blocked && public_over_tcp(side));
        };
        std::vector<Strategy> checks{Strategy::host};
        if (reachable(views_[0]) || reachable(views_[1])) {
            checks.push_back(Strategy::reverse);
        }
        if (!blocked) {
            checks.push_back(Strategy::udp);
        }
        in_order(checks);
        for (const auto strategy : checks) {
            add_check(strategy);
        }
        const bool apart = views_[0].side->observed.unmapped() != views_[1].side->observed.unmapped();
        if (!blocked && apart && may_be_probed(views_[0]) && may_be_probed(views_[1])) {
            punch();
        }
        add_tcp(blocked);
        return std::move(result_);
    }

  private:
    /// What never worked between such networks goes last.
    void in_order(std::vector<Strategy>& strategies) const {
        std::ranges::sort(strategies, {}, [&](Strategy strategy) { return std::pair{hopeless(strategy), strategy}; });
    }

    [[nodiscard]] bool hopeless(Strategy strategy) const {
        return history_.hopeless(PunchHistory::key(views_[0].nat_class, views_[1].nat_class, strategy));
    }

    void add_check(Strategy strategy) {
        for (auto& side : result_.sides) {
            side.steps.push_back({.strategy = strategy, .budget = kCheckBudget});
        }
    }

    /// TCP is worse than UDP and must not come before it where UDP may work: not before plain checks, nor before what
    /// punches.
    void add_tcp(bool at_once) {
        auto start = at_once ? Duration{} : kTcpLead + round_trips();
        for (const auto& side : result_.sides) {
            for (const auto& step : side.steps) {
                start = step.act == PunchAct::check ? start : std::max(start, step.start + step.budget);
            }
        }
        for (auto& side : result_.sides) {
            side.steps.push_back(
                {.strategy = Strategy::tcp, .start = std::min(start, net::kMaxPunchStart), .budget = kCheckBudget});
        }
    }

    void punch() {
        const auto& [a, b] = views_;
        if (checks_suffice(a, b)) {
            return;
        }
        std::vector<std::size_t> openers;
        for (const std::size_t opener : {0U, 1U}) {
            if (one_sided(views_[opener], views_[1 - opener])) {
                openers.push_back(opener);
            }
        }
        // One direction is enough, unless a guess may be wrong: the side whose ports are found with least effort opens.
        std::ranges::sort(openers, {}, [&](std::size_t opener) {
            const auto ports = views_[opener].ports;
            return std::tuple{hopeless(strategy_of(ports)), ports, opener};
        });
        if (!openers.empty()) {
            both_ways_ = a.guessed && b.guessed && openers.size() == 2;
            auto start = a.guessed || b.guessed ? head_start() : Duration{};
            for (const auto opener : std::span{openers}.first(both_ways_ ? 2 : 1)) {
                start = add_one_sided(opener, start);
            }
        } else if (a.ports != Ports::random && b.ports != Ports::random) {
            add_aimed();
        } else if (countable(a) || countable(b)) {
            add_counted_birthday(countable(a) ? 0 : 1);
        }
    }

    /// It shows one port to all of an address, and the ports go up one by one.
    static bool countable(const View& view) { return view.ports == Ports::sequential && view.by_address; }

    /// One socket, whose port is counted out, is as good as one whose port is known: a birthday against random ports.
    /// Two rounds with a socket each, because others may have taken the port between the sample and the socket.
    void add_counted_birthday(std::size_t counted) {
        const std::size_t other = 1 - counted;
        auto& steps = result_.sides[counted].steps;
        auto many = open_step(other, Strategy::birthday, {}, kBirthdayBudget);
        many.sockets = net::kMaxPunchSockets;
        many.target.port = 0;
        for (int i = 0; i < 2; ++i) {
            const auto start = kAimLead + i * kBirthdayRound;
            PunchLink link{.kind = PunchLink::Kind::count, .opener = counted, .open_step = steps.size()};
            link.scan_step = result_.sides[other].steps.size();
            link.model[counted] = {.delta = model(counted).delta, .sockets = 1};
            auto open = open_step(counted, Strategy::birthday, start, kBirthdayBudget - start);
            open.sockets = 1;
            open.sample = true;
            auto scan = scan_step(other, Strategy::birthday, start + kBirthdayLead + 2 * longest_rtt(), kBirthdayRound);
            scan.ranges = {kAllPorts};
            scan.probes = kCountedProbes;
            scan.shuffled = true;
            scan.sockets = 1;
            steps.push_back(std::move(open));
            steps.push_back(std::move(scan));
            result_.links.push_back(link);
        }
        result_.sides[other].steps.push_back(std::move(many));
    }

    /// Enough for a first round of checks to be answered.
    [[nodiscard]] Duration head_start() const { return kHeadStart + round_trips(); }

    [[nodiscard]] Duration round_trips() const {
        const auto rtt = [](const View& view) { return std::min(view.side->rtt.value_or(Duration{}), kMaxHeadStart); };
        return std::min(rtt(views_[0]) + rtt(views_[1]), kMaxHeadStart);
    }

    static Strategy strategy_of(Ports ports) { return ports == Ports::random ? Strategy::birthday : Strategy::predict; }

    static std::uint32_t width(const View& view) {
        const auto block = *udp_of(*view.side)->block;
        return static_cast<std::uint32_t>(block.last - block.first) + 1;
    }

    /// When the next one may start.
    Duration add_one_sided(std::size_t opener, Duration start) {
        switch (views_[opener].ports) {
            case Ports::sequential:
                return add_bracket(opener, start);
            case Ports::block:
                return add_block(opener, start);
            default:
                return add_birthday(opener, start);
        }
    }

    Duration add_bracket(std::size_t opener, Duration start) {
        const auto round = [&](Duration at, std::uint16_t sockets, std::uint16_t ports) {
            auto open = open_step(opener, Strategy::predict, at, kBracketBudget);
            open.sockets = sockets;
            open.sample = true;
            auto scan = scan_step(opener, Strategy::predict, at, kBracketBudget);
            scan.probes = ports;
            link(opener, std::move(open), std::move(scan), PunchLink::Kind::bracket);
        };
        round(start, kBracketSockets, kBracketPorts);
        if (both_ways_) {
            return start + kBracketBudget;
        }
        round(start + kSecondBracket, kSecondBracketSockets, kSecondBracketPorts);
        return start + kSecondBracket + kBracketBudget;
    }

    Duration add_block(std::size_t opener, Duration start) {
        const auto block = *udp_of(*views_[opener].side)->block;
        const auto ports = static_cast<std::uint16_t>(width(views_[opener]));
        const auto sweep = kBlockLead + ports * net::kScanInterval + kBlockPause;
        const auto round = [&](Duration at, std::uint16_t sockets) {
            auto open = open_step(opener, Strategy::predict, at, sweep + kBlockPause);
            open.sockets = sockets;
            auto scan = scan_step(opener, Strategy::predict, at + kBlockLead, sweep);
            scan.ranges = {block};
            scan.probes = ports;
            scan.shuffled = true;
            link(opener, std::move(open), std::move(scan), PunchLink::Kind::none);
        };
        round(start, kBlockSockets);
        if (both_ways_ || 2 * ports > net::kMaxScanProbes) {
            return start + sweep;
        }
        round(start + sweep, 2 * kBlockSockets);
        return start + 2 * sweep;
    }

    /// One set of sockets for both rounds: fresh ones would only fill the NAT's table.
    Duration add_birthday(std::size_t opener, Duration start) {
        auto open = open_step(opener, Strategy::birthday, start, kBirthdayBudget);
        open.sockets = net::kMaxPunchSockets;
        auto scan = scan_step(opener, Strategy::birthday, start + kBirthdayLead, kBirthdayRound);
        scan.ranges = {kAllPorts};
        scan.probes = kBirthdayProbes;
        scan.shuffled = true;
        auto again = scan;
        again.start += kBirthdayRound;
        link(opener, std::move(open), std::move(scan), PunchLink::Kind::none);
        if (!both_ways_) {
            result_.sides[1 - opener].steps.push_back(std::move(again));
        }
        return start + kBirthdayBudget;
    }

    /// Neither side's port is known: each opens a burst at the one port that the other's burst is most likely to have.
    void add_aimed() {
        const bool fills = views_[0].ports == Ports::block || views_[1].ports == Ports::block;
        const auto round = fills ? kFillRound + 2 * longest_rtt() : kAimRound;
        const int rounds = fills ? std::min(fill_rounds(views_[0]), fill_rounds(views_[1])) : kAimRounds;
        if (fills && fill_chance(rounds) < kMinFillChance) {
            return;
        }
        for (int i = 0; i < rounds; ++i) {
            PunchLink aim{.kind = PunchLink::Kind::aim};
            aim.open_step = result_.sides[0].steps.size();
            aim.scan_step = result_.sides[1].steps.size();
            for (const std::size_t side : {0U, 1U}) {
                auto open = open_step(side, Strategy::predict, kAimLead + i * round, round);
                aim.model[side] = model(side);
                open.sockets = aim.model[side].sockets;
                open.sample = true;
                // A burst that fills a block takes so long that its end is heard where the other side has just begun.
                open.first_ttl = fills ? open.first_ttl : 0;
                open.target.port = 0;
                result_.sides[side].steps.push_back(std::move(open));
            }
            result_.links.push_back(aim);
        }
    }

    [[nodiscard]] Duration longest_rtt() const {
        const auto rtt = [](const View& view) { return std::min(view.side->rtt.value_or(Duration{}), kMaxHeadStart); };
        return std::max(rtt(views_[0]), rtt(views_[1]));
    }

    static std::uint32_t fill_sockets(const View& view) {
        return std::min(kFillSockets, width(view) - width(view) / 16);
    }

    /// A NAT that gives each port to one mapping only has none left after so many.
    static int fill_rounds(const View& view) {
        if (view.ports != Ports::block) {
            return kMaxFills;
        }
        return std::clamp(static_cast<int>(width(view) / fill_sockets(view)), 1, kMaxFills);
    }

    /// That in one of the rounds both bursts have the ports that are aimed at.
    [[nodiscard]] double fill_chance(int rounds) const {
        double chance = rounds;
        for (const auto& view : views_) {
            if (view.ports == Ports::block) {
                chance *= width(view) > kMaxFilledBlock ? 0 : static_cast<double>(fill_sockets(view)) / width(view);
            }
        }
        return chance;
    }

    /// Enough for chance, and for so much other traffic as a lost packet of signaling or STUN makes us late for.
    [[nodiscard]] SequenceModel model(std::size_t side) const {
        const auto& udp = *udp_of(*views_[side].side);
        if (views_[side].ports == Ports::block) {
            return {.sockets = static_cast<std::uint16_t>(fill_sockets(views_[side])), .block = udp.block};
        }
        const auto rate = udp.rate.value_or(0);
        const auto sockets = std::clamp(4 * std::sqrt(rate * kAimDelay) + rate * kLateBy + 25, 25.0, 128.0);
        return {.delta = udp.delta.value_or(1), .rate = rate, .sockets = static_cast<std::uint16_t>(sockets)};
    }

    [[nodiscard]] PunchStep open_step(std::size_t opener, Strategy strategy, Duration start, Duration budget) const {
        const auto& other = views_[1 - opener];
        const auto* udp = udp_of(*views_[opener].side);
        const auto ttl = udp == nullptr ? std::nullopt : udp->opening_ttl;
        return {.strategy = strategy,
                .act = PunchAct::open,
                .start = start,
                .budget = budget,
                .first_ttl = std::min(ttl.value_or(kUsualOpeningTtl), kLargestOpeningTtl),
                .target = {.address = other.side->observed.unmapped(), .port = other.reflexive->port}};
    }

    /// Of the side that looks for the opener's ports.
    [[nodiscard]] PunchStep scan_step(std::size_t opener, Strategy strategy, Duration start, Duration budget) const {
        return {.strategy = strategy,
                .act = PunchAct::scan,
                .start = start,
                .budget = budget,
                .target = {.address = views_[opener].side->observed.unmapped(), .port = 0}};
    }

    void link(std::size_t opener, PunchStep open, PunchStep scan, PunchLink::Kind kind) {
        auto& opens = result_.sides[opener].steps;
        auto& scans = result_.sides[1 - opener].steps;
        PunchLink entry{.kind = kind, .opener = opener, .open_step = opens.size(), .scan_step = scans.size()};
        entry.max_ports = scan.probes;
        if (kind == PunchLink::Kind::bracket) {
            entry.model[opener] = model(opener);
            entry.model[opener].sockets = open.sockets;
        }
        opens.push_back(std::move(open));
        scans.push_back(std::move(scan));
        result_.links.push_back(entry);
    }

    std::array<View, 2> views_;
    const PunchHistory& history_;
    PunchPlanPair result_;
    /// Either side may turn out to be the hard one: one round each, so that both stay below the caps.
    bool both_ways_ = false;
};

}  // namespace

PunchPlanPair plan(const PlanSide& caller, const PlanSide& callee, const PunchHistory& history) {
    return Planner{view(caller), view(callee), history}.run();
}

PunchPlanPair checks_only(PunchPlanPair plans) {
    for (auto& side : plans.sides) {
        std::erase_if(side.steps, [](const PunchStep& step) { return step.act != PunchAct::check; });
        for (auto& step : side.steps) {
            step.start = std::min(step.start, kTcpLead + kMaxHeadStart);  // nothing is left that TCP waits for
        }
    }
    plans.links.clear();
    return plans;
}

NatClass plan_class(const net::NetReport* report) {
    if (report == nullptr) {
        return NatClass::unknown;
    }
    const auto measured = net::classify(*report);
    if (measured != NatClass::unknown || report->udp.open != true) {
        return measured;
    }
    // A server with one address cannot tell mappings by remote address from those that are independent of it.
    switch (report->udp.allocation) {
        case net::PortAllocation::preserving: {
            auto known = *report;
            known.udp.mapping = NatBehavior::endpoint_independent;
            return net::classify(known);
        }
        case net::PortAllocation::sequential:
            return NatClass::hard_sequential;
        case net::PortAllocation::block:
            return NatClass::hard_block;
        case net::PortAllocation::random:
            return NatClass::hard_random;
        case net::PortAllocation::unknown:
            break;
    }
    return NatClass::unknown;
}

}  // namespace pinhole::rendezvous
