#include "tests/unit/rendezvous/world.hpp"

#include <gmock/gmock.h>

namespace pinhole::rendezvous {
namespace {

using signaling::Answer;
using signaling::Answered;
using signaling::Go;
using signaling::Incoming;
using signaling::Trickle;

void answer(Peer& callee, const Incoming& incoming) {
    callee.send(Answer{.call = incoming.call, .handshake = {9, 8}, .candidates = {candidate(2)}});
}

void decline(Peer& callee, EndReason reason, std::int64_t detail_ms = 0) {
    callee.send(End{.call = callee.one<Incoming>().call, .reason = reason, .detail_ms = detail_ms});
}

/// One caller, three instances of one callee.
class CallTest : public testing::Test {
  protected:
    CallTest()
        : alice(world.log_in(1, "198.51.100.1:1")),
          bob(world.log_in(2, "203.0.113.1:1")),
          bob2(world.log_in(2, "203.0.113.2:1")),
          bob3(world.log_in(2, "203.0.113.3:1")) {}

    void call() {
        alice.send(call_to(bob));
        world.pump();
    }

    World world;
    Peer& alice;
    Peer& bob;
    Peer& bob2;
    Peer& bob3;
};

TEST(AsleepTest, WhoFellSilentIsToldApartFromWhoHasLeft) {
    World world;
    auto& alice = world.log_in(1, "198.51.100.1:1");
    auto& sleeper = world.log_in(2, "203.0.113.1:1");
    auto& leaver = world.log_in(3, "203.0.113.2:1");
    const auto verdict = [&](const Peer& callee) {
        alice.inbox.clear();
        alice.send(call_to(callee));
        world.pump();
        return alice.one<End>().reason;
    };
    world.hang_up(leaver);
    EXPECT_EQ(verdict(leaver), EndReason::offline);
    sleeper.answers_pings = false;
    world.advance(30s);
    ASSERT_TRUE(sleeper.closed);
    EXPECT_EQ(verdict(sleeper), EndReason::asleep);
    auto& awake = world.log_in(2, "203.0.113.3:1");
    world.hang_up(awake);
    EXPECT_EQ(verdict(sleeper), EndReason::offline) << "it came back and left";
    auto& again = world.log_in(2, "203.0.113.3:1");
    again.answers_pings = false;
    world.advance(30s);
    EXPECT_EQ(verdict(sleeper), EndReason::asleep);
    world.advance(15min);
    EXPECT_EQ(verdict(sleeper), EndReason::offline) << "nobody sleeps for ever";
}

TEST_F(CallTest, RingsAllInstancesWithWhatTheCallerSent) {
    call();
    for (const auto* callee : {&bob, &bob2, &bob3}) {
        const auto incoming = callee->one<Incoming>();
        EXPECT_EQ(incoming.from, alice.id);
        EXPECT_EQ(incoming.handshake, (Bytes{1, 2, 3}));
        EXPECT_EQ(incoming.candidates, std::vector{candidate(1)});
    }
    EXPECT_EQ(bob.one<Incoming>().call, bob2.one<Incoming>().call);
}

TEST_F(CallTest, RingsAgainOnTheConnectionThatTheCalleeMakesNext) {
    call();
    alice.send(Trickle{.call = {1}, .candidates = {candidate(10)}, .last = true});
    world.pump();
    auto& again = world.log_in(2, "203.0.113.9:9");
    const auto incoming = again.one<Incoming>();
    EXPECT_EQ(incoming.call, bob.one<Incoming>().call) << "by this a peer knows what it has had already";
    EXPECT_EQ(incoming.from, alice.id);
    EXPECT_EQ(incoming.handshake, (Bytes{1, 2, 3}));
    EXPECT_EQ(incoming.candidates, std::vector{candidate(1)});
    EXPECT_EQ(again.one<Trickle>().candidates, std::vector{candidate(10)});
    EXPECT_EQ(again.one<Trickle>().call, incoming.call);

    answer(again, incoming);
    world.pump();
    EXPECT_EQ(alice.one<Answered>().call, CallId{1});
    EXPECT_EQ(again.one<Go>().call, incoming.call);
    EXPECT_EQ(bob.one<End>().reason, EndReason::elsewhere);
    alice.send(Trickle{.call = {1}, .candidates = {candidate(11)}});
    world.pump();
    EXPECT_EQ(again.all<Trickle>().size(), 2U);
}

TEST_F(CallTest, TheFirstAnswerWinsWhicheverConnectionItComesBy) {
    call();
    auto& again = world.log_in(2, "203.0.113.9:9");
    answer(bob, bob.one<Incoming>());
    world.pump();
    EXPECT_EQ(again.one<End>().reason, EndReason::elsewhere);
    answer(again, again.one<Incoming>());
    world.pump();
    EXPECT_EQ(alice.all<Answered>().size(), 1U);
}

TEST_F(CallTest, NothingRingsAgainOnceItIsAnsweredOrOver) {
    call();
    answer(bob, bob.one<Incoming>());
    alice.send(call_to(bob, 2));
    world.pump();
    alice.send(End{.call = {2}, .reason = EndReason::hangup});
    world.pump();
    EXPECT_TRUE(world.log_in(2, "203.0.113.9:9").all<Incoming>().empty());
}

TEST_F(CallTest, NothingRingsAgainForOthersOrForTheCaller) {
    call();
    EXPECT_TRUE(world.log_in(3, "203.0.113.9:9").all<Incoming>().empty());
    EXPECT_TRUE(world.log_in(1, "198.51.100.9:9").all<Incoming>().empty());
}

TEST_F(CallTest, AConnectionThatComesLateCannotBeFloodedEither) {
    auto& carol = world.log_in(3);
    auto& dave = world.log_in(4);
    for (std::uint64_t id = 1; id <= limits::kMaxCallsPerConnection; ++id) {
        carol.send(call_to(alice, id));
    }
    world.pump();
    auto& again = world.log_in(1, "198.51.100.9:9");
    EXPECT_EQ(again.all<Incoming>().size(), limits::kMaxCallsPerConnection);
    dave.send(call_to(alice));
    world.pump();
    EXPECT_EQ(dave.one<End>().reason, EndReason::limit);
}

TEST_F(CallTest, FirstAnswerWinsAndTheOthersStopRinging) {
    call();
    answer(bob2, bob2.one<Incoming>());
    world.pump();
    answer(bob, bob.one<Incoming>());
    world.pump();

    const auto answered = alice.one<Answered>();
    EXPECT_EQ(answered.call, CallId{1});
    EXPECT_EQ(answered.handshake, (Bytes{9, 8}));
    EXPECT_EQ(answered.candidates, std::vector{candidate(2)});
    EXPECT_EQ(bob.one<End>().reason, EndReason::elsewhere);
    EXPECT_EQ(bob3.one<End>().reason, EndReason::elsewhere);
    EXPECT_TRUE(bob2.all<End>().empty());
    EXPECT_EQ(alice.one<Go>().call, CallId{1});
    EXPECT_EQ(bob2.one<Go>().call, bob2.one<Incoming>().call);
    EXPECT_TRUE(bob.all<Go>().empty());
    EXPECT_EQ(world.server().stats().introduced, 1U);
}

TEST_F(CallTest, AnsweredComesBeforeGo) {
    call();
    answer(bob, bob.one<Incoming>());
    world.pump();
    ASSERT_EQ(alice.inbox.size(), 3U);
    EXPECT_TRUE(std::holds_alternative<Answered>(alice.inbox[1]));
    EXPECT_TRUE(std::holds_alternative<Go>(alice.inbox[2]));
}

TEST_F(CallTest, NobodyOnlineIsOffline) {
    alice.send(signaling::Connect{.call = {5}, .to = identity(9).id(), .handshake = {1}, .candidates = {}});
    world.pump();
    const auto end = alice.one<End>();
    EXPECT_EQ(end.call, CallId{5});
    EXPECT_EQ(end.reason, EndReason::offline);
    EXPECT_EQ(world.server().stats().calls, 0U);
}

TEST_F(CallTest, OwnOtherMachineRingsButNotTheCallingConnection) {
    bob.send(call_to(bob));
    world.pump();
    EXPECT_TRUE(bob.all<Incoming>().empty());
    EXPECT_EQ(bob2.one<Incoming>().from, bob.id);

    alice.send(call_to(alice));
    world.pump();
    EXPECT_EQ(alice.one<End>().reason, EndReason::offline);
}

TEST_F(CallTest, TellsTheMostInformativeRefusalOnceAllHaveDeclined) {
    call();
    decline(bob, EndReason::unwanted);
    decline(bob2, EndReason::stale, 1234);
    world.pump();
    EXPECT_TRUE(alice.all<End>().empty());

    decline(bob3, EndReason::refused);
    world.pump();

    const auto end = alice.one<End>();
    EXPECT_EQ(end.reason, EndReason::stale);
    EXPECT_EQ(end.detail_ms, 1234);
    EXPECT_EQ(world.server().stats().calls, 0U);
}

TEST_F(CallTest, AnInstanceThatVanishesCountsAsDeclined) {
    call();
    world.hang_up(bob);
    decline(bob2, EndReason::unwanted);
    world.hang_up(bob3);
    world.pump();
    EXPECT_EQ(alice.one<End>().reason, EndReason::unwanted);
}

TEST_F(CallTest, AllInstancesVanishedIsLost) {
    call();
    world.hang_up(bob);
    world.hang_up(bob2);
    world.hang_up(bob3);
    EXPECT_EQ(alice.one<End>().reason, EndReason::lost);
}

TEST_F(CallTest, CallerHangingUpStopsTheRinging) {
    call();
    alice.send(End{.call = {1}, .reason = EndReason::hangup});
    world.pump();
    EXPECT_EQ(bob.one<End>().reason, EndReason::hangup);
    EXPECT_EQ(bob2.one<End>().reason, EndReason::hangup);
    EXPECT_TRUE(alice.all<End>().empty());
    EXPECT_EQ(world.server().stats().calls, 0U);

    answer(bob, bob.one<Incoming>());
    world.pump();
    EXPECT_TRUE(alice.all<Answered>().empty());
}

TEST_F(CallTest, CallerVanishingBeforeTheAnswerIsLost) {
    call();
    world.hang_up(alice);
    EXPECT_EQ(bob.one<End>().reason, EndReason::lost);
    EXPECT_EQ(bob3.one<End>().reason, EndReason::lost);
    EXPECT_EQ(world.server().stats().calls, 0U);
}

TEST_F(CallTest, ASideVanishingAfterGoDisturbsNobody) {
    call();
    answer(bob, bob.one<Incoming>());
    world.pump();
    world.hang_up(alice);
    EXPECT_TRUE(bob.all<End>().empty());
    world.hang_up(bob);
    EXPECT_EQ(world.server().stats().calls, 0U);
}

TEST_F(CallTest, EndAfterGoReachesTheOtherSide) {
    call();
    answer(bob, bob.one<Incoming>());
    world.pump();
    bob.send(End{.call = bob.one<Incoming>().call, .reason = EndReason::hangup});
    world.pump();
    EXPECT_EQ(alice.one<End>().reason, EndReason::hangup);
    EXPECT_EQ(alice.one<End>().call, CallId{1});
    EXPECT_EQ(world.server().stats().calls, 0U);
}

TEST_F(CallTest, CandidatesTrickleBothWays) {
    call();
    alice.send(Trickle{.call = {1}, .candidates = {candidate(10)}});
    world.pump();
    EXPECT_EQ(bob.one<Trickle>().candidates, std::vector{candidate(10)});
    EXPECT_EQ(bob.one<Trickle>().call, bob.one<Incoming>().call);
    EXPECT_EQ(bob3.one<Trickle>().candidates, std::vector{candidate(10)});

    answer(bob, bob.one<Incoming>());
    bob.send(Trickle{.call = bob.one<Incoming>().call, .candidates = {candidate(20)}, .last = true});
    world.pump();
    EXPECT_EQ(alice.one<Trickle>().candidates, std::vector{candidate(20)});
    EXPECT_EQ(alice.one<Trickle>().call, CallId{1});
    EXPECT_TRUE(alice.one<Trickle>().last);

    alice.send(Trickle{.call = {1}, .candidates = {}, .last = true});
    world.pump();
    EXPECT_EQ(bob.all<Trickle>().size(), 2U);
    EXPECT_EQ(bob3.all<Trickle>().size(), 1U);
}

TEST_F(CallTest, TrickledCandidatesAreBoundedPerSide) {
    call();
    answer(bob, bob.one<Incoming>());
    for (int i = 0; i < 200; ++i) {
        alice.send(Trickle{.call = {1}, .candidates = {candidate(1)}});
    }
    world.pump();
    EXPECT_EQ(bob.all<Trickle>().size(), 4 * limits::kMaxCandidates);
    EXPECT_FALSE(alice.closed);
}

TEST_F(CallTest, OnlyTheInstanceThatAnsweredIsHeard) {
    call();
    bob2.send(Trickle{.call = bob2.one<Incoming>().call, .candidates = {candidate(20)}});
    world.pump();
    EXPECT_TRUE(alice.all<Trickle>().empty());
}

TEST_F(CallTest, RingingEndsAfterHalfAMinute) {
    call();
    decline(bob2, EndReason::unwanted);
    world.advance(30s - 1ms);
    EXPECT_TRUE(alice.all<End>().empty());
    world.advance(1ms);
    EXPECT_EQ(alice.one<End>().reason, EndReason::unwanted);
    EXPECT_EQ(bob.one<End>().reason, EndReason::timeout);
    EXPECT_EQ(world.server().stats().calls, 0U);
}

TEST_F(CallTest, SilenceOfAllInstancesIsTimeout) {
    call();
    world.advance(30s);
    EXPECT_EQ(alice.one<End>().reason, EndReason::timeout);
}

TEST_F(CallTest, AnsweredCallIsForgottenAfterAMinuteWithoutAWord) {
    call();
    answer(bob, bob.one<Incoming>());
    world.advance(60s - 1ms);
    EXPECT_EQ(world.server().stats().calls, 1U);
    world.advance(2ms);
    EXPECT_EQ(world.server().stats().calls, 0U);
    EXPECT_TRUE(alice.all<End>().empty());
    EXPECT_TRUE(bob.all<End>().empty());
}

TEST_F(CallTest, CallsBeyondTheLimitEndAtOnce) {
    for (std::uint64_t id = 1; id <= limits::kMaxCallsPerConnection + 1; ++id) {
        alice.send(call_to(bob, id));
    }
    world.pump();
    const auto end = alice.one<End>();
    EXPECT_EQ(end.reason, EndReason::limit);
    EXPECT_EQ(end.call, CallId{limits::kMaxCallsPerConnection + 1});
    EXPECT_EQ(bob.all<Incoming>().size(), limits::kMaxCallsPerConnection);
}

TEST_F(CallTest, CalleeWithTooManyCallsIsNotRungAgain) {
    auto& carol = world.log_in(3);
    for (std::uint64_t id = 1; id <= limits::kMaxCallsPerConnection; ++id) {
        carol.send(call_to(bob, id));
    }
    world.pump();
    call();
    EXPECT_EQ(alice.one<End>().reason, EndReason::limit);
    EXPECT_EQ(bob.all<Incoming>().size(), limits::kMaxCallsPerConnection);
}

TEST_F(CallTest, UsingACallIdTwiceCostsTheConnection) {
    call();
    call();
    EXPECT_TRUE(alice.closed);
    EXPECT_EQ(bob.one<End>().reason, EndReason::lost);
}

TEST_F(CallTest, MessagesOfUnknownCallsAreIgnored) {
    alice.send(Answer{.call = {7}, .handshake = {1}, .candidates = {}});
    alice.send(Trickle{.call = {7}, .candidates = {}});
    alice.send(End{.call = {7}, .reason = EndReason::hangup});
    world.pump();
    EXPECT_FALSE(alice.closed);
    EXPECT_EQ(alice.inbox.size(), 1U);
}

TEST_F(CallTest, CallerCannotAnswerItself) {
    call();
    alice.send(Answer{.call = {1}, .handshake = {1}, .candidates = {}});
    world.pump();
    EXPECT_TRUE(alice.all<Answered>().empty());
    EXPECT_TRUE(bob.all<End>().empty());
}

TEST(Go, BothSidesStartAtOneInstant) {
    World world;
    auto& near = world.open(1, "198.51.100.1:1");
    near.answers_pings = false;
    auto& far = world.open(2, "203.0.113.1:1");
    far.answers_pings = false;
    world.pump();
    world.advance(20ms);
    world.answer_ping(near);
    world.advance(80ms);
    world.answer_ping(far);

    near.send(call_to(far));
    world.pump();
    answer(far, far.one<Incoming>());
    world.pump();

    EXPECT_EQ(near.one<Go>().delay_us, 40'000U);
    EXPECT_EQ(far.one<Go>().delay_us, 0U);
    EXPECT_EQ(near.one<Go>().plan.topology, "different networks");
    EXPECT_THAT(net::strategy_names(near.one<Go>().plan), testing::ElementsAre("host", "udp", "tcp"));
}

TEST(Go, OneObservedAddressMeansOneNat) {
    World world;
    auto& alice = world.log_in(1, "198.51.100.1:1");
    auto& bob = world.log_in(2, "198.51.100.1:2");
    alice.send(call_to(bob));
    world.pump();
    answer(bob, bob.one<Incoming>());
    world.pump();
    EXPECT_EQ(alice.one<Go>().plan.topology, "same NAT");
}

}  // namespace
}  // namespace pinhole::rendezvous
