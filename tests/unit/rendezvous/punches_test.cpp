// Plans of calls: continued with samples, capped for every target and every prober, remembered by their outcome.
#include "rendezvous/core/punches.hpp"

#include "tests/unit/rendezvous/reports.hpp"
#include "tests/unit/rendezvous/world.hpp"

#include <algorithm>

#include <gmock/gmock.h>

namespace pinhole::rendezvous {
namespace {

using net::NatBehavior;
using net::PortAllocation;
using net::PunchAct;
using net::Strategy;
using signaling::Go;
using signaling::PunchOutcome;
using signaling::PunchSamples;
using signaling::PunchScan;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

net::NetReport easy(const char* address) {
    return report(*net::Address::parse(address), NatBehavior::endpoint_independent, PortAllocation::random);
}

net::NetReport hard(const char* address, PortAllocation allocation) {
    return report(*net::Address::parse(address), NatBehavior::address_and_port_dependent, allocation);
}

constexpr const char* kAlice = "198.51.100.1";
constexpr const char* kBob = "203.0.113.1";

/// Alice calls Bob; what each was told.
class Pair {
  public:
    Pair(World& world, const net::NetReport& alice_report, const net::NetReport& bob_report, std::uint8_t first = 1,
         const char* alice_at = "198.51.100.1:1", const char* bob_at = "203.0.113.1:1")
        : world_(world),
          alice(world.log_in(first, alice_at)),
          bob(world.log_in(static_cast<std::uint8_t>(first + 1), bob_at)) {
        alice.send(signaling::Report{.report = alice_report});
        bob.send(signaling::Report{.report = bob_report});
        call();
    }

    /// Once more, with the same reports.
    void call() {
        alice.inbox.clear();
        bob.inbox.clear();
        alice.send(call_to(bob, ++id_));
        world_.pump();
        bob.send(signaling::Answer{.call = bob.one<signaling::Incoming>().call, .handshake = {4}, .candidates = {}});
        world_.pump();
        alice_go = alice.one<Go>();
        bob_go = bob.one<Go>();
    }

  private:
    World& world_;
    std::uint64_t id_ = 0;

  public:
    Peer& alice;
    Peer& bob;
    Go alice_go;
    Go bob_go;
};

std::uint32_t first_open(const Go& go) {
    const auto found = std::ranges::find(go.plan.steps, PunchAct::open, &net::PunchStep::act);
    EXPECT_NE(found, go.plan.steps.end());
    return static_cast<std::uint32_t>(found - go.plan.steps.begin());
}

std::vector<net::PunchStep> scans(const Go& go) {
    std::vector<net::PunchStep> found;
    std::ranges::copy_if(go.plan.steps, std::back_inserter(found),
                         [](const auto& step) { return step.act == PunchAct::scan; });
    return found;
}

TEST(Punches, SamplesOfTheHardSideBecomeAScanOfTheOther) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::sequential)};
    const PunchSamples samples{.call = pair.bob_go.call,
                               .step = first_open(pair.bob_go),
                               .external = *net::Address::parse(kBob),
                               .before = {20'000},
                               .after = {20'017}};
    pair.bob.send(samples);
    pair.bob.send(samples);
    world.pump();
    const auto scan = pair.alice.one<PunchScan>();  // once, however often samples come
    EXPECT_EQ(scan.call, pair.alice_go.call);
    EXPECT_EQ(pair.alice_go.plan.steps.at(scan.step).act, PunchAct::scan);
    EXPECT_THAT(scan.ranges, ElementsAre(net::PortRange{.first = 20'001, .last = 20'016}));
    EXPECT_THAT(pair.bob.all<PunchScan>(), IsEmpty());
}

TEST(Punches, OnlyTheSideThatOpensHasItsSamplesUsed) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::sequential)};
    auto& stranger = world.log_in(9, "203.0.113.1:9");
    PunchSamples samples{.call = pair.bob_go.call,
                         .step = first_open(pair.bob_go),
                         .external = *net::Address::parse(kBob),
                         .before = {20'000},
                         .after = {20'017}};
    stranger.send(samples);
    samples.external = *net::Address::parse("192.0.2.66");
    pair.bob.send(samples);  // another address than the one that is scanned
    samples.external = *net::Address::parse(kBob);
    samples.step = 0;
    pair.bob.send(samples);  // no step that samples
    samples.call = pair.alice_go.call;
    samples.step = first_open(pair.bob_go);
    pair.alice.send(samples);
    world.pump();
    EXPECT_THAT(pair.alice.all<PunchScan>(), IsEmpty());
    EXPECT_THAT(pair.bob.all<PunchScan>(), IsEmpty());
    EXPECT_FALSE(pair.alice.closed) << "it may be a race";
}

TEST(Punches, TwoSequentialSidesAreToldWhereTheOtherWillBe) {
    World world;
    Pair pair{world, hard(kAlice, PortAllocation::sequential), hard(kBob, PortAllocation::sequential)};
    const auto step = first_open(pair.alice_go);
    pair.alice.send(PunchSamples{.call = pair.alice_go.call,
                                 .step = step,
                                 .external = *net::Address::parse(kAlice),
                                 .before = {20'000},
                                 .after = {}});
    world.pump();
    EXPECT_THAT(pair.bob.all<PunchScan>(), IsEmpty()) << "both start on fresh samples";
    pair.bob.send(PunchSamples{.call = pair.bob_go.call,
                               .step = first_open(pair.bob_go),
                               .external = *net::Address::parse(kBob),
                               .before = {30'000},
                               .after = {}});
    world.pump();
    EXPECT_THAT(pair.alice.one<PunchScan>().ranges, ElementsAre(net::PortRange{.first = 30'013, .last = 30'013}));
    EXPECT_THAT(pair.bob.one<PunchScan>().ranges, ElementsAre(net::PortRange{.first = 20'013, .last = 20'013}));
    EXPECT_EQ(pair.alice.one<PunchScan>().step, step);
}

TEST(Punches, TheOtherSideIsToldThePortThatWasCountedOut) {
    World world;
    const auto counted =
        report(*net::Address::parse(kAlice), NatBehavior::address_dependent, PortAllocation::sequential);
    Pair pair{world, counted, hard(kBob, PortAllocation::random)};
    pair.alice.send(PunchSamples{.call = pair.alice_go.call,
                                 .step = first_open(pair.alice_go),
                                 .external = *net::Address::parse(kAlice),
                                 .before = {20'000},
                                 .after = {20'002}});
    world.pump();
    EXPECT_THAT(pair.bob.one<PunchScan>().ranges, ElementsAre(net::PortRange{.first = 20'001, .last = 20'001}));
    EXPECT_EQ(pair.bob.one<PunchScan>().step, first_open(pair.bob_go));
    EXPECT_THAT(pair.alice.all<PunchScan>(), IsEmpty());
}

TEST(Punches, APeersWordAboutItsAddressIsNotTaken) {
    World world;
    auto lie = hard("192.0.2.66", PortAllocation::random);
    const Pair pair{world, easy(kAlice), lie};
    EXPECT_THAT(scans(pair.alice_go), IsEmpty());
    for (const auto& go : {pair.alice_go, pair.bob_go}) {
        EXPECT_TRUE(std::ranges::all_of(go.plan.steps, [](auto& step) { return step.act == PunchAct::check; }));
    }
}

TEST(Punches, ACandidateAtAVictimsAddressIsNoTarget) {
    World world;
    auto& alice = world.log_in(1, "198.51.100.1:1");
    auto& mallory = world.log_in(2, "203.0.113.1:1");
    alice.send(signaling::Report{.report = easy(kAlice)});
    mallory.send(signaling::Report{.report = hard(kBob, PortAllocation::random)});
    auto victim = candidate(7);
    victim.type = net::CandidateType::server_reflexive;
    victim.endpoint = from("192.0.2.66:443");
    alice.send(call_to(mallory));
    world.pump();
    mallory.send(
        signaling::Answer{.call = mallory.one<signaling::Incoming>().call, .handshake = {4}, .candidates = {victim}});
    world.pump();
    const auto go = alice.one<Go>();
    EXPECT_THAT(scans(go), SizeIs(2));
    for (const auto& step : go.plan.steps) {
        EXPECT_TRUE(step.act == PunchAct::check || step.target.address == *net::Address::parse(kBob));
    }
}

TEST(Punches, CallsBeyondThePlansThatAreKeptGetChecks) {
    Punches punches{{.max_plans = 1}};
    const auto alice = easy(kAlice);
    const auto bob = hard(kBob, PortAllocation::random);
    const auto begin = [&](std::uint64_t call, const char* bob_at) {
        auto moved = bob;
        moved.udp.reflexive->address = *net::Address::parse(bob_at);
        return punches.begin({.side = {.connection = {1}, .call = {call}},
                              .id = {},
                              .plan = {.report = &alice, .observed = *net::Address::parse(kAlice)}},
                             {.side = {.connection = {2}, .call = {call}},
                              .id = {},
                              .plan = {.report = &moved, .observed = moved.udp.reflexive->address}},
                             TimePoint{1h});
    };
    EXPECT_GT(net::max_probes(begin(1, kBob)[0]), 0U);
    EXPECT_EQ(net::max_probes(begin(2, "203.0.113.2")[0]), 0U);
    EXPECT_EQ(punches.guard().targets(), 2U) << "and nothing is reserved for them";
    punches.handle_end({.connection = {1}, .call = {1}});
    EXPECT_EQ(punches.size(), 0U);
}

TEST(Punches, ATargetIsProbedNoMoreThanTheCapInAMinute) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::random)};
    ASSERT_THAT(scans(pair.alice_go), SizeIs(2));
    pair.alice.send(PunchOutcome{.call = pair.alice_go.call, .strategy = std::nullopt, .elapsed_ms = 8000});
    world.advance(30s);
    pair.call();
    EXPECT_THAT(scans(pair.alice_go), IsEmpty()) << "its minute is not over";
    const Pair other{world, easy("198.51.100.7"), hard(kBob, PortAllocation::random), 5, "198.51.100.7:1"};
    EXPECT_THAT(scans(other.alice_go), IsEmpty()) << "over all calls";
    const Pair elsewhere{world, easy("198.51.100.8"), hard("203.0.113.8", PortAllocation::random),
                         7,     "198.51.100.8:1",     "203.0.113.8:1"};
    EXPECT_THAT(scans(elsewhere.alice_go), SizeIs(2)) << "another address, another cap";
    world.advance(30s);
    pair.call();
    EXPECT_THAT(scans(pair.alice_go), SizeIs(2));
}

TEST(Punches, ACallThatFailedMayBeTriedAgainAMinuteAfterItsLastProbe) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::random)};
    const auto last = scans(pair.alice_go).back();
    world.advance(10s);
    pair.alice.send(PunchOutcome{.call = pair.alice_go.call, .strategy = std::nullopt, .elapsed_ms = 10'000});
    world.advance(last.start + last.budget + 50s - 1ms);
    pair.call();
    EXPECT_THAT(scans(pair.alice_go), IsEmpty());
    world.advance(1ms);
    pair.call();
    EXPECT_THAT(scans(pair.alice_go), SizeIs(2));
}

TEST(Punches, WhatAScannerDidNotSendIsGivenBack) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::random)};
    for (int i = 0; i < 10; ++i) {
        SCOPED_TRACE(i);
        ASSERT_THAT(scans(pair.alice_go), SizeIs(2));
        const auto found = scans(pair.alice_go).front().start + 50ms;
        const auto elapsed =
            static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(found).count());
        pair.bob.send(PunchOutcome{.call = pair.bob_go.call, .strategy = Strategy::birthday, .elapsed_ms = elapsed});
        pair.alice.send(
            PunchOutcome{.call = pair.alice_go.call, .strategy = Strategy::birthday, .elapsed_ms = elapsed});
        world.advance(20s);
        pair.call();
    }
}

TEST(Punches, ACallThatWasGivenUpCostsWhatItHasSentAndTeachesNothing) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::random)};
    ASSERT_THAT(scans(pair.alice_go), SizeIs(2));
    pair.alice.send(PunchOutcome{.call = pair.alice_go.call, .strategy = std::nullopt, .elapsed_ms = 400});
    pair.alice.send(End{.call = pair.alice_go.call, .reason = EndReason::hangup});
    pair.bob.send(PunchOutcome{.call = pair.bob_go.call, .strategy = std::nullopt, .elapsed_ms = 400});
    world.pump();
    EXPECT_FALSE(world.server().history().changed());
    pair.call();
    EXPECT_THAT(scans(pair.alice_go), SizeIs(2));
}

TEST(Punches, WhatIsLeftOfACapIsUsedForAFirstRoundOrNotAtAll) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::random)};
    const auto first = scans(pair.alice_go);
    ASSERT_THAT(first, SizeIs(2));
    const auto spend = [&](std::int64_t probes) {
        const auto elapsed = first.front().start + probes * net::kScanInterval;
        pair.alice.send(PunchOutcome{.call = pair.alice_go.call,
                                     .strategy = Strategy::birthday,
                                     .elapsed_ms = static_cast<std::uint32_t>(
                                         std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count())});
        pair.bob.send(PunchOutcome{.call = pair.bob_go.call, .strategy = Strategy::birthday, .elapsed_ms = 0});
        world.advance(1s);
        pair.call();
    };
    spend(500);
    const auto second = scans(pair.alice_go);
    ASSERT_THAT(second, SizeIs(2));
    EXPECT_EQ(second.front().probes, first.front().probes);
    EXPECT_GT(second.back().probes, 500);
    EXPECT_LT(second.back().probes, 560);
    spend(700);
    EXPECT_THAT(scans(pair.alice_go), IsEmpty());
    EXPECT_TRUE(
        std::ranges::all_of(pair.bob_go.plan.steps, [](const auto& step) { return step.act == PunchAct::check; }));
}

TEST(Punches, ARoundThatNothingIsLeftForIsNotOpenedEither) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::sequential)};
    ASSERT_THAT(scans(pair.alice_go), SizeIs(2));
    ASSERT_EQ(std::ranges::count(pair.bob_go.plan.steps, PunchAct::open, &net::PunchStep::act), 2);
    // Only the first round's ports are left.
    pair.alice.send(PunchOutcome{.call = pair.alice_go.call, .strategy = Strategy::predict, .elapsed_ms = 3521});
    pair.bob.send(PunchOutcome{.call = pair.bob_go.call, .strategy = Strategy::predict, .elapsed_ms = 0});
    const auto steps = pair.alice_go.plan.steps.size();
    world.advance(1s);
    pair.call();
    auto left = scans(pair.alice_go);
    ASSERT_THAT(left, SizeIs(1));
    EXPECT_EQ(pair.alice_go.plan.steps.size(), steps) << "steps are named by their place";
    EXPECT_EQ(std::ranges::count(pair.bob_go.plan.steps, PunchAct::open, &net::PunchStep::act), 1);
}

TEST(Punches, TheSideThatIsScannedCannotGiveBackWhatOthersSpend) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::random)};
    pair.bob.send(PunchOutcome{.call = pair.bob_go.call, .strategy = Strategy::birthday, .elapsed_ms = 0});
    world.advance(10s);
    pair.call();
    EXPECT_THAT(scans(pair.alice_go), IsEmpty());
}

TEST(Punches, APeerScansForOneCallAtATime) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::sequential)};
    const auto first = scans(pair.alice_go);
    ASSERT_THAT(first, SizeIs(2));
    // The same prober, another target.
    auto& carol = world.log_in(3, "203.0.113.3:1");
    carol.send(signaling::Report{.report = hard("203.0.113.3", PortAllocation::random)});
    pair.alice.inbox.clear();
    pair.alice.send(call_to(carol, 77));
    world.pump();
    carol.send(signaling::Answer{.call = carol.one<signaling::Incoming>().call, .handshake = {4}, .candidates = {}});
    world.pump();
    const auto later = scans(pair.alice.one<Go>());
    ASSERT_THAT(later, SizeIs(2));
    EXPECT_GE(later.front().start, first.back().start + first.back().budget) << "it waits for its turn";
    EXPECT_LE(later.back().start, net::kMaxPunchStart);
}

TEST(Punches, AnOutcomeIsCountedOnceACall) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::random)};
    for (auto* peer : {&pair.alice, &pair.bob, &pair.alice}) {
        const auto call = peer == &pair.bob ? pair.bob_go.call : pair.alice_go.call;
        peer->send(PunchOutcome{.call = call, .strategy = Strategy::birthday, .elapsed_ms = 900});
        world.pump();
    }
    auto& history = world.server().history();
    const auto changed = history.poll_changed();
    ASSERT_TRUE(changed);
    EXPECT_EQ(changed->key, PunchHistory::key(net::NatClass::easy, net::NatClass::hard_random, Strategy::birthday));
    EXPECT_EQ(changed->tries, 1U);
    EXPECT_EQ(changed->successes, 1U);
    EXPECT_FALSE(history.poll_changed());
    pair.call();
    pair.alice.send(PunchOutcome{.call = pair.alice_go.call, .strategy = std::nullopt, .elapsed_ms = 8000});
    world.pump();
    int failed = 0;
    while (history.poll_changed()) {
        ++failed;
    }
    EXPECT_GE(failed, 2) << "nothing of what was planned has worked";
}

TEST(Punches, PlansGoWithTheirCalls) {
    World world;
    Pair pair{world, easy(kAlice), hard(kBob, PortAllocation::sequential)};
    pair.alice.send(End{.call = pair.alice_go.call, .reason = EndReason::hangup});
    pair.bob.send(PunchSamples{.call = pair.bob_go.call,
                               .step = first_open(pair.bob_go),
                               .external = *net::Address::parse(kBob),
                               .before = {20'000},
                               .after = {20'017}});
    world.pump();
    EXPECT_THAT(pair.alice.all<PunchScan>(), IsEmpty());
    pair.call();
    world.hang_up(pair.alice);
    pair.bob.send(PunchOutcome{.call = pair.bob_go.call, .strategy = std::nullopt, .elapsed_ms = 1});
    world.pump();
    world.hang_up(pair.bob);
    world.expect_empty();
}

TEST(Punches, APlanIsForgottenInTime) {
    Punches punches{{}};
    const auto alice = easy(kAlice);
    const auto bob = hard(kBob, PortAllocation::random);
    const auto at = [](const char* text) { return *net::Address::parse(text); };
    const auto plans = punches.begin(
        {.side = {.connection = {1}, .call = {1}}, .id = {}, .plan = {.report = &alice, .observed = at(kAlice)}},
        {.side = {.connection = {2}, .call = {2}}, .id = {}, .plan = {.report = &bob, .observed = at(kBob)}},
        TimePoint{1h});
    EXPECT_FALSE(plans[0].steps.empty());
    EXPECT_EQ(punches.size(), 1U);
    punches.handle_timeout(TimePoint{1h} + 60s);
    EXPECT_EQ(punches.size(), 0U);
    EXPECT_FALSE(punches.next_timeout());
}

}  // namespace
}  // namespace pinhole::rendezvous
