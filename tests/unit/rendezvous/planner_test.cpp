// The planner's table: what each pair of networks is to try, the same for both orders, and within the bounds.
#include "rendezvous/core/planner.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace pinhole::rendezvous {
namespace {

using net::NatBehavior;
using net::NatClass;
using net::PortAllocation;
using net::PunchAct;
using net::PunchStep;
using net::Strategy;
using testing::ElementsAre;

constexpr auto kEif = NatBehavior::endpoint_independent;
constexpr auto kAdf = NatBehavior::address_dependent;
constexpr auto kApdf = NatBehavior::address_and_port_dependent;

const net::Address kCaller = net::Address::v4({198, 51, 100, 1});
const net::Address kCallee = net::Address::v4({203, 0, 113, 1});

net::NetReport report(const net::Address& address, NatBehavior mapping, PortAllocation allocation,
                      NatBehavior filtering) {
    net::NetReport result;
    result.udp.open = true;
    result.udp.mapping = mapping;
    result.udp.allocation = allocation;
    result.udp.filtering = filtering;
    result.udp.reflexive = net::Endpoint{.address = address, .port = 40'000};
    if (allocation == PortAllocation::sequential) {
        result.udp.delta = 1;
        result.udp.rate = 20;
    }
    if (allocation == PortAllocation::block) {
        result.udp.block = net::PortRange{.first = 30'000, .last = 30'255};
    }
    return result;
}

/// "O", "E+", "E", "S", "C", "R", "B"; "?" has no report.
std::optional<net::NetReport> of_class(const std::string& name, const net::Address& address) {
    if (name == "?") {
        return std::nullopt;
    }
    if (name == "O") {
        return report(address, NatBehavior::none, PortAllocation::preserving, NatBehavior::none);
    }
    if (name == "E+") {
        return report(address, kEif, PortAllocation::preserving, kAdf);
    }
    if (name == "E") {
        return report(address, kEif, PortAllocation::random, kApdf);
    }
    if (name == "S") {
        return report(address, kApdf, PortAllocation::sequential, kApdf);
    }
    if (name == "C") {
        return report(address, kApdf, PortAllocation::block, kApdf);
    }
    auto result = report(address, kApdf, PortAllocation::random, kApdf);
    result.udp.open = name != "B";
    return result;
}

PunchPlanPair plan_of(const std::optional<net::NetReport>& caller, const std::optional<net::NetReport>& callee,
                      const PunchHistory& history = {}) {
    return plan({.report = caller ? &*caller : nullptr, .observed = kCaller},
                {.report = callee ? &*callee : nullptr, .observed = kCallee}, history);
}

PunchPlanPair plan_of(const std::string& caller, const std::string& callee, const PunchHistory& history = {}) {
    return plan_of(of_class(caller, kCaller), of_class(callee, kCallee), history);
}

std::string strategies(const net::PunchPlan& plan) {
    std::string result;
    for (const auto& name : net::strategy_names(plan)) {
        result += (result.empty() ? "" : " ") + name;
    }
    return result;
}

/// TCP comes behind everything else.
const PunchStep& last_udp(const net::PunchPlan& plan) {
    EXPECT_EQ(plan.steps.back().strategy, Strategy::tcp);
    return plan.steps.at(plan.steps.size() - 2);
}

std::size_t count(const net::PunchPlan& plan, PunchAct act) {
    return static_cast<std::size_t>(std::ranges::count(plan.steps, act, &net::PunchStep::act));
}

void expect_bounded(const net::PunchPlan& plan) {
    EXPECT_LE(plan.steps.size(), net::kMaxPunchSteps);
    EXPECT_LE(plan.topology.size(), 64U);
    for (const auto& step : plan.steps) {
        EXPECT_LE(step.start, net::kMaxPunchStart);
        EXPECT_LE(step.budget, net::kMaxPunchBudget);
        EXPECT_LE(step.sockets, net::kMaxPunchSockets);
        EXPECT_LE(step.probes, net::kMaxScanProbes);
        EXPECT_LE(step.ranges.size(), net::kMaxScanRanges);
        EXPECT_EQ(step.sockets > 0, step.act == PunchAct::open);
        EXPECT_EQ(step.probes > 0, step.act == PunchAct::scan);
    }
}

Duration tcp_start(const net::PunchPlan& plan) {
    return plan.steps.back().start;
}

struct Row {
    std::string a;
    std::string b;
    std::string strategies;
    std::string topology;
};

const std::vector<Row> kTable{
    {"O", "O", "host reverse udp tcp", "both sides are public"},
    {"O", "E+", "host reverse udp tcp", "one side is public"},
    {"O", "E", "host reverse udp tcp", "one side is public"},
    {"O", "S", "host reverse udp tcp", "one side is public"},
    {"O", "C", "host reverse udp tcp", "one side is public"},
    {"O", "R", "host reverse udp tcp", "one side is public"},
    {"O", "B", "host reverse tcp", "UDP is blocked at one side"},
    {"O", "?", "host reverse udp tcp", "one side is public"},
    {"E+", "E+", "host udp tcp", "two NATs"},
    {"E+", "E", "host udp tcp", "two NATs"},
    {"E+", "S", "host udp tcp", "two NATs"},
    {"E+", "C", "host udp tcp", "two NATs"},
    {"E+", "R", "host udp tcp", "two NATs"},
    {"E+", "B", "host tcp", "UDP is blocked at one side"},
    {"E+", "?", "host udp tcp", "different networks"},
    {"E", "E", "host udp tcp", "two NATs"},
    {"E", "S", "host udp predict tcp", "two NATs"},
    {"E", "C", "host udp predict tcp", "two NATs"},
    {"E", "R", "host udp birthday tcp", "two NATs"},
    {"E", "B", "host tcp", "UDP is blocked at one side"},
    {"E", "?", "host udp tcp", "different networks"},
    {"S", "S", "host udp predict tcp", "two NATs"},
    {"S", "C", "host udp predict tcp", "two NATs"},
    {"S", "R", "host udp tcp", "two NATs"},
    {"S", "B", "host tcp", "UDP is blocked at one side"},
    {"C", "C", "host udp predict tcp", "two NATs"},
    {"C", "R", "host udp tcp", "two NATs"},
    {"C", "B", "host tcp", "UDP is blocked at one side"},
    {"R", "R", "host udp tcp", "two NATs"},
    {"R", "B", "host tcp", "UDP is blocked at one side"},
    {"B", "B", "host tcp", "UDP is blocked at both sides"},
    {"?", "?", "host udp tcp", "different networks"},
    {"?", "B", "host tcp", "UDP is blocked at one side"},
};

TEST(Planner, EveryPairOfClassesHasItsStrategies) {
    for (const auto& row : kTable) {
        SCOPED_TRACE(row.a + " × " + row.b);
        const auto planned = plan_of(row.a, row.b);
        for (const auto& side : planned.sides) {
            EXPECT_EQ(strategies(side), row.strategies);
            EXPECT_EQ(side.topology, row.topology);
            expect_bounded(side);
        }
        EXPECT_EQ(planned.sides[0].ours, planned.classes[0]);
        EXPECT_EQ(planned.sides[0].theirs, planned.classes[1]);
        EXPECT_EQ(planned.sides[1].theirs, planned.classes[0]);
    }
}

TEST(Planner, WhoCallsDoesNotMatter) {
    for (const auto& row : kTable) {
        SCOPED_TRACE(row.a + " × " + row.b);
        const auto probing = plan_of(row.a, row.b);
        const auto turned = plan_of(row.b, row.a);
        for (const std::size_t who : {0U, 1U}) {
            EXPECT_EQ(count(probing.sides[who], PunchAct::open), count(turned.sides[1 - who], PunchAct::open));
            EXPECT_EQ(count(probing.sides[who], PunchAct::scan), count(turned.sides[1 - who], PunchAct::scan));
        }
    }
}

TEST(Planner, HardSidesArePlannedForByTheirFilters) {
    // Mapping by address or by port, sequential or random ports, filter E, A or P (NAT traversal research §1.2).
    const auto hard = [](const std::string& name, const net::Address& address) {
        return report(address, name[0] == 'A' ? kAdf : kApdf,
                      name[1] == 'S' ? PortAllocation::sequential : PortAllocation::random,
                      name[2] == 'E' ? kEif : (name[2] == 'A' ? kAdf : kApdf));
    };
    const auto last = [&](const std::string& a, const std::string& b) {
        return std::string{net::name(last_udp(plan_of(hard(a, kCaller), hard(b, kCallee)).sides[0]).strategy)};
    };
    // Open filter, and the other one looks at addresses only: the answer to a check gets in.
    EXPECT_EQ(last("ASE", "ARE"), "udp");
    EXPECT_EQ(last("PRE", "PRA"), "udp");
    // One side's ports can be found because its filter lets the whole address in.
    EXPECT_EQ(last("ASA", "ASA"), "predict");
    EXPECT_EQ(last("PSA", "PRA"), "predict");
    EXPECT_EQ(last("ASA", "PRP"), "predict");
    EXPECT_EQ(last("ARA", "PSP"), "birthday");
    EXPECT_EQ(last("ARE", "PRP"), "birthday");
    EXPECT_EQ(last("PRA", "PRA"), "birthday");
    // Only prediction of both, or nothing.
    EXPECT_EQ(last("PSA", "PSP"), "predict");
    EXPECT_EQ(last("ASP", "PRP"), "birthday") << "its one port can be counted out";
    EXPECT_EQ(last("ARP", "ASP"), "birthday");
    EXPECT_EQ(last("PSP", "PRA"), "udp");
    EXPECT_EQ(last("PRA", "PRP"), "udp");
    EXPECT_EQ(last("PRP", "PRP"), "udp");
}

TEST(Planner, TheHardSideOpensAndTheOtherScansWhatItSampled) {
    const auto planned = plan_of("E", "S");
    const auto& scans = planned.sides[0].steps;
    const auto& opens = planned.sides[1].steps;
    ASSERT_EQ(planned.links.size(), 2U);
    for (const auto& link : planned.links) {
        EXPECT_EQ(link.kind, PunchLink::Kind::bracket);
        EXPECT_EQ(link.opener, 1U);
        EXPECT_TRUE(opens.at(link.open_step).sample);
        EXPECT_EQ(opens.at(link.open_step).target, (net::Endpoint{.address = kCaller, .port = 40'000}));
        EXPECT_EQ(opens.at(link.open_step).first_ttl, 4);
        EXPECT_TRUE(scans.at(link.scan_step).ranges.empty()) << "they come when the samples are there";
        EXPECT_EQ(scans.at(link.scan_step).target, (net::Endpoint{.address = kCallee, .port = 0}));
    }
    EXPECT_EQ(opens.at(planned.links[0].open_step).start, 0s) << "plain checks cannot work";
    EXPECT_EQ(opens.at(planned.links[0].open_step).sockets, 16);
    EXPECT_EQ(opens.at(planned.links[1].open_step).sockets, 32);
    EXPECT_EQ(planned.links[0].max_ports, 256);
    EXPECT_GT(planned.links[1].max_ports, 256);
}

TEST(Planner, ABirthdayIsDoneWithinSixSeconds) {
    const auto planned = plan_of("R", "E");
    int probes = 0;
    for (const auto& step : planned.sides[1].steps) {
        EXPECT_LE(step.strategy == Strategy::tcp ? 0s : step.start + step.budget, 6s);
        probes += step.probes;
    }
    EXPECT_EQ(probes, net::kMaxScanProbes);
    EXPECT_EQ(last_udp(planned.sides[0]).sockets, net::kMaxPunchSockets);
}

TEST(Planner, ACountedPortScansFromItsOwnSocket) {
    const auto counted = report(kCaller, kAdf, PortAllocation::sequential, kApdf);
    const auto planned = plan_of(counted, of_class("R", kCallee));
    ASSERT_EQ(planned.links.size(), 2U);
    std::uint32_t probes = 0;
    for (const auto& link : planned.links) {
        EXPECT_EQ(link.kind, PunchLink::Kind::count);
        const auto& open = planned.sides[0].steps.at(link.open_step);
        EXPECT_EQ(open.sockets, 1);
        EXPECT_TRUE(open.sample);
        const auto& scan = planned.sides[0].steps.at(link.open_step + 1);
        EXPECT_EQ(scan.act, PunchAct::scan);
        EXPECT_EQ(scan.sockets, 1) << "not from the main socket";
        EXPECT_LE(scan.start + scan.budget, 6s);
        probes += scan.probes + 2;
        const auto& many = planned.sides[1].steps.at(link.scan_step);
        EXPECT_EQ(many.sockets, net::kMaxPunchSockets);
        EXPECT_EQ(many.target, (net::Endpoint{.address = kCaller, .port = 0})) << "it comes with the sample";
        EXPECT_GT(many.first_ttl, 0) << "a NAT that clashes must not hear us first";
    }
    EXPECT_LE(probes, net::kMaxScanProbes);
}

TEST(Planner, ABlockIsScannedAtOnceAndWhole) {
    const auto planned = plan_of("C", "E");
    const auto& scan = last_udp(planned.sides[1]);
    EXPECT_THAT(scan.ranges, ElementsAre(net::PortRange{.first = 30'000, .last = 30'255}));
    EXPECT_EQ(scan.probes, 256);
    auto wide = of_class("C", kCaller);
    wide->udp.block = net::PortRange{.first = 10'000, .last = 12'047};
    const auto widest = plan_of(wide, of_class("E", kCallee));
    EXPECT_EQ(count(widest.sides[1], PunchAct::scan), 1U) << "all that may be probed in a minute";
    EXPECT_LE(last_udp(widest.sides[1]).start + last_udp(widest.sides[1]).budget, 3s);
}

std::optional<net::NetReport> with_block(std::uint16_t width, const net::Address& address) {
    auto result = of_class("C", address);
    result->udp.block = net::PortRange{.first = 30'000, .last = static_cast<std::uint16_t>(30'000 + width - 1)};
    return result;
}

TEST(Planner, TwoBlocksAreFilledTowardOnePortOfEach) {
    const auto planned = plan_of("C", "C");
    ASSERT_EQ(planned.links.size(), 1U) << "then the blocks have no port left";
    EXPECT_EQ(planned.links[0].kind, PunchLink::Kind::aim);
    for (const std::size_t who : {0U, 1U}) {
        const auto& open = last_udp(planned.sides[who]);
        EXPECT_EQ(open.sockets, 240) << "a sixteenth is left to others";
        EXPECT_EQ(open.target.port, 0) << "it comes with the samples";
        EXPECT_EQ(planned.links[0].model[who].block, (net::PortRange{.first = 30'000, .last = 30'255}));
    }
}

TEST(Planner, ABlockIsFilledTowardWhereASequenceWillBe) {
    const auto planned = plan_of("C", "S");
    ASSERT_EQ(planned.links.size(), 1U);
    EXPECT_EQ(last_udp(planned.sides[0]).sockets, 240);
    EXPECT_EQ(last_udp(planned.sides[1]).sockets, 49);
    const auto wide = plan_of(with_block(512, kCaller), of_class("S", kCallee));
    EXPECT_EQ(wide.links.size(), 2U) << "half of it each time";
}

TEST(Planner, WideBlocksAreNotWorthTheProbes) {
    const auto last = [](const auto& caller, const auto& callee) {
        return std::string{net::name(last_udp(plan_of(caller, callee).sides[0]).strategy)};
    };
    EXPECT_EQ(last(with_block(320, kCaller), with_block(320, kCallee)), "predict");
    EXPECT_EQ(last(with_block(360, kCaller), with_block(360, kCallee)), "udp") << "two of three times two of three";
    EXPECT_EQ(last(with_block(512, kCaller), with_block(256, kCallee)), "udp");
    EXPECT_EQ(last(with_block(513, kCaller), of_class("S", kCallee)), "udp");
}

TEST(Planner, TwoSequentialSidesAimAtEachOther) {
    auto caller = of_class("S", kCaller);
    caller->udp.rate = 300;
    const auto planned = plan_of(caller, of_class("S", kCallee));
    ASSERT_EQ(planned.links.size(), 3U);
    for (const auto& link : planned.links) {
        EXPECT_EQ(link.kind, PunchLink::Kind::aim);
        const auto& mine = planned.sides[0].steps.at(link.open_step);
        const auto& other = planned.sides[1].steps.at(link.scan_step);
        EXPECT_EQ(mine.start, other.start);
        EXPECT_EQ(mine.target, (net::Endpoint{.address = kCallee, .port = 0})) << "it comes with the samples";
        EXPECT_TRUE(mine.sample && other.sample);
        EXPECT_EQ(mine.sockets, 128) << "4 · √150 + 180 + 25, cut down";
        EXPECT_EQ(other.sockets, 49) << "4 · √10 + 12 + 25";
    }
}

TEST(Planner, AnUnmeasuredMappingIsPlannedForBothWays) {
    auto guessed = of_class("S", kCallee);
    guessed->udp.mapping = NatBehavior::unknown;
    const auto planned = plan_of(of_class("E", kCaller), guessed);
    EXPECT_EQ(strategies(planned.sides[0]), "host udp predict tcp");
    EXPECT_EQ(planned.sides[0].steps.at(planned.links[0].scan_step).start, 300ms) << "plain checks go first";
    const auto hard = plan_of(of_class("R", kCaller), guessed);
    EXPECT_EQ(count(hard.sides[0], PunchAct::open), 1U) << "against a hard side the other one counts as easy";
    auto other = of_class("R", kCaller);
    other->udp.mapping = NatBehavior::unknown;
    const auto both = plan_of(other, guessed);
    for (const auto& side : both.sides) {
        EXPECT_EQ(count(side, PunchAct::open), 1U);
        EXPECT_EQ(count(side, PunchAct::scan), 1U) << "one round each way";
        expect_bounded(side);
    }
    auto preserving = guessed;
    preserving->udp.allocation = PortAllocation::preserving;
    EXPECT_EQ(plan_class(&*preserving), NatClass::easy);
}

TEST(Planner, OneAddressIsOneNat) {
    const auto one = of_class("R", kCaller);
    const auto two = of_class("E", kCaller);
    const auto planned = plan({.report = &*one, .observed = kCaller}, {.report = &*two, .observed = kCaller}, {});
    EXPECT_EQ(planned.sides[0].topology, "same NAT");
    EXPECT_EQ(strategies(planned.sides[0]), "host udp tcp") << "hairpin, or an address inside";
}

TEST(Planner, TheCandidateOfTheCallIsNewerThanTheReport) {
    const auto easy = of_class("E", kCaller);
    const auto hard = of_class("R", kCallee);
    const auto planned = plan({.report = &*easy,
                               .observed = kCaller,
                               .rtt = {},
                               .reflexive = net::Endpoint{.address = kCaller, .port = 1234}},
                              {.report = &*hard, .observed = kCallee}, {});
    EXPECT_EQ(last_udp(planned.sides[1]).target.port, 1234);
}

TEST(Planner, NothingIsProbedWhereTheServerDidNotSeeThePeer) {
    const auto easy = of_class("E", kCaller);
    const auto hard = of_class("R", kCallee);
    const auto victim = net::Address::v4({192, 0, 2, 66});
    // A report that names somebody else's address, on either side.
    auto lying = *hard;
    lying.udp.reflexive->address = victim;
    EXPECT_EQ(
        strategies(plan({.report = &*easy, .observed = kCaller}, {.report = &lying, .observed = kCallee}, {}).sides[0]),
        "host udp tcp");
    lying = *easy;
    lying.udp.reflexive->address = victim;
    EXPECT_EQ(
        strategies(plan({.report = &lying, .observed = kCaller}, {.report = &*hard, .observed = kCallee}, {}).sides[1]),
        "host udp tcp");
}

TEST(Planner, NoAddressOfAPrivateOrSpecialNetworkIsProbed) {
    for (const auto* text :
         {"10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "0.1.2.3",
          "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1"}) {
        SCOPED_TRACE(text);
        const auto address = *net::Address::parse(text);
        EXPECT_FALSE(is_scannable(address));
        const auto easy = of_class("E", kCaller);
        const auto hard = of_class("R", address);
        const auto planned = plan({.report = &*easy, .observed = kCaller}, {.report = &*hard, .observed = address}, {});
        EXPECT_EQ(strategies(planned.sides[0]), "host udp tcp");
    }
    EXPECT_TRUE(is_scannable(kCaller));
}

TEST(Planner, AMappedAddressIsTheSameAddress) {
    const auto easy = of_class("E", kCaller);
    const auto hard = of_class("R", kCallee);
    const auto mapped = *net::Address::parse("::ffff:203.0.113.1");
    const auto planned = plan({.report = &*easy, .observed = kCaller}, {.report = &*hard, .observed = mapped}, {});
    EXPECT_EQ(last_udp(planned.sides[0]).target.address, kCallee);
}

TEST(Planner, WhatNeverWorkedGoesLastAndIsNotDropped) {
    PunchHistory history;
    const auto host = PunchHistory::key(NatClass::easy, NatClass::easy, Strategy::host);
    for (std::uint32_t i = 0; i < PunchHistory::kMinTries - 1; ++i) {
        history.record(host, false);
    }
    EXPECT_EQ(strategies(plan_of("E", "E", history).sides[0]), "host udp tcp") << "19 tries say nothing";
    history.record(host, false);
    EXPECT_EQ(strategies(plan_of("E", "E", history).sides[0]), "udp host tcp");
    EXPECT_EQ(strategies(plan_of("E", "E+", history).sides[0]), "host udp tcp") << "other classes, other history";
    history.record(host, true);
    EXPECT_EQ(strategies(plan_of("E", "E", history).sides[0]), "host udp tcp") << "once in 21 is not never";
}

TEST(PunchHistory, ForgetsSlowlyAndTellsEachChangeOnce) {
    PunchHistory history;
    const auto key = PunchHistory::key(NatClass::hard_random, NatClass::easy, Strategy::birthday);
    EXPECT_EQ(key.lower, NatClass::easy) << "either order is the same";
    history.load({.key = key, .tries = PunchHistory::kMaxTries - 1, .successes = 4000});
    EXPECT_FALSE(history.poll_changed()) << "what was loaded is kept already";
    history.record(key, true);
    const auto changed = history.poll_changed();
    ASSERT_TRUE(changed);
    EXPECT_EQ(changed->tries, PunchHistory::kMaxTries / 2);
    EXPECT_EQ(changed->successes, 2000U);
    EXPECT_FALSE(history.poll_changed());
}

TEST(PunchHistory, IgnoresCountsThatCannotBe) {
    PunchHistory history;
    const auto key = PunchHistory::key(NatClass::easy, NatClass::easy, Strategy::udp);
    history.load({.key = key, .tries = 5, .successes = 6});
    history.load({.key = {.lower = static_cast<NatClass>(99), .higher = static_cast<NatClass>(99)}, .tries = 5});
    history.load({.key = {.lower = NatClass::easy, .higher = NatClass::easy, .strategy = static_cast<Strategy>(9)}});
    EXPECT_FALSE(history.find(key));
}

// --- TCP ---

TEST(PlannerTcp, BeginsAtOnceWhereUdpIsBlocked) {
    for (const std::string other : {"O", "E", "S", "R", "B", "?"}) {
        EXPECT_EQ(tcp_start(plan_of("B", other).sides[0]), 0s) << other;
        EXPECT_EQ(tcp_start(plan_of(other, "B").sides[1]), 0s) << other;
    }
}

TEST(PlannerTcp, ComesBehindPlainChecksAndTheirRoundTrips) {
    EXPECT_EQ(tcp_start(plan_of("E", "E").sides[0]), 1s);
    const auto easy = of_class("E", kCaller);
    const auto far = plan({.report = &*easy, .observed = kCaller, .rtt = 300ms},
                          {.report = &*easy, .observed = kCallee, .rtt = 200ms}, {});
    EXPECT_EQ(tcp_start(far.sides[0]), 1500ms);
    EXPECT_EQ(tcp_start(far.sides[1]), 1500ms) << "at the same instant";
}

TEST(PlannerTcp, ComesBehindAllThatPunches) {
    for (const std::string other : {"S", "C", "R"}) {
        const auto planned = plan_of("E", other);
        for (const auto& side : planned.sides) {
            for (const auto& step : side.steps) {
                const auto end = step.act == PunchAct::check ? Duration{} : step.start + step.budget;
                EXPECT_LE(std::min(end, net::kMaxPunchStart), tcp_start(side)) << other;
            }
        }
        EXPECT_EQ(tcp_start(planned.sides[0]), tcp_start(planned.sides[1]));
    }
}

TEST(PlannerTcp, WaitsForNothingThatWasTakenOutOfThePlan) {
    EXPECT_LE(tcp_start(checks_only(plan_of("E", "R")).sides[0]), 2s);
}

TEST(PlannerTcp, AHostWithoutANatIsReachedDirectlyThoughUdpIsBlockedThere) {
    auto open = of_class("B", kCaller);
    open->tcp.mapping = NatBehavior::none;
    EXPECT_EQ(strategies(plan_of(open, of_class("E", kCallee)).sides[0]), "host reverse tcp");
    EXPECT_EQ(strategies(plan_of(of_class("B", kCaller), open).sides[0]), "host reverse tcp");
}

}  // namespace
}  // namespace pinhole::rendezvous
