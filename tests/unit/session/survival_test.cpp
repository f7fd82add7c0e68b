#include "peer/session/survival.hpp"

#include <gtest/gtest.h>

namespace pinhole::session {
namespace {

using signaling::EndReason;

constexpr TimePoint kStart{1h};

class SurvivalTest : public testing::Test {
  protected:
    SurvivalTest() { survival.handle_server(/*online=*/true, kStart - 10min); }

    void attempt(std::optional<EndReason> end, TimePoint now) {
        survival.handle_started(now);
        survival.handle_failed(end, now);
    }

    /// Nothing heard since kStart; each restart that is due ends like this at once. When it counts as gone.
    TimePoint gone_at(EndReason end) {
        survival.handle_silent(kStart, kStart + 1s);
        for (auto now = kStart + 1s; now < kStart + 1h; now = *survival.next_timeout()) {
            if (survival.lost(now)) {
                return now;
            }
            if (survival.due(now)) {
                attempt(end, now);
            } else {
                static_cast<void>(survival.poll_notice(now));
            }
        }
        return TimePoint::max();
    }

    Survival survival{{}};
};

TEST_F(SurvivalTest, WantsNothingWhileSomethingIsHeard) {
    EXPECT_FALSE(survival.due(kStart + 1h));
    EXPECT_FALSE(survival.lost(kStart + 1h));
    EXPECT_EQ(survival.next_timeout(), std::nullopt);
}

TEST_F(SurvivalTest, WhoHasLeftTheServerIsGoneAfterThirtySeconds) {
    EXPECT_EQ(gone_at(EndReason::offline), kStart + 30s);
}

TEST_F(SurvivalTest, WhoFellSilentOrDoesNotAnswerIsWaitedFor) {
    EXPECT_EQ(gone_at(EndReason::asleep), kStart + 15min);
}

TEST_F(SurvivalTest, WhoDoesNotHaveTheSessionAnyMoreIsGoneAtOnce) {
    EXPECT_EQ(gone_at(EndReason::unwanted), kStart + 1s);
}

TEST_F(SurvivalTest, AServerThatMayHaveBeenStartedMeanwhileDoesNotKnowWhoSleeps) {
    survival.handle_silent(kStart, kStart + 1s);
    survival.handle_server(/*online=*/false, kStart + 2s);
    EXPECT_FALSE(survival.due(kStart + 5s)) << "there is nobody to call through";
    survival.handle_server(/*online=*/true, kStart + 5s);
    EXPECT_FALSE(survival.due(kStart + 5s)) << "a call of the other side may be about to ring";
    EXPECT_TRUE(survival.due(kStart + 5s + Survival::kRing));
    attempt(EndReason::offline, kStart + 5s + Survival::kRing);
    EXPECT_FALSE(survival.lost(kStart + 14min));
}

TEST_F(SurvivalTest, RestartsFollowEachOtherEverMoreSlowly) {
    survival.handle_silent(kStart, kStart);
    TimePoint now = kStart;
    for (const auto pause : {1s, 2s, 4s, 5s, 5s}) {
        ASSERT_TRUE(survival.due(now));
        attempt(EndReason::asleep, now);
        EXPECT_FALSE(survival.due(now + pause - 1ms));
        now += pause;
    }
    survival.want_restart(Survival::Cause::moved, now - 4s);
    EXPECT_TRUE(survival.due(now - 4s)) << "another network is another chance";
}

TEST_F(SurvivalTest, SleepOfOurOwnCountsForNothing) {
    survival.handle_silent(kStart, kStart + 20min);
    survival.handle_woken(kStart + 20min);
    EXPECT_FALSE(survival.lost(kStart + 20min));
    EXPECT_TRUE(survival.due(kStart + 20min));
    EXPECT_TRUE(survival.lost(kStart + 35min));
}

TEST_F(SurvivalTest, SaysWhatIsTriedOnceAndWhenThatChanges) {
    survival.handle_silent(kStart, kStart + 200ms);
    EXPECT_EQ(survival.poll_notice(kStart + 500ms), std::nullopt) << "too short to worry anybody";
    EXPECT_EQ(survival.poll_notice(kStart + 1s), "other paths");
    attempt(EndReason::offline, kStart + 1s);
    EXPECT_EQ(survival.poll_notice(kStart + 2s), "to find the peer, which is not online");
    EXPECT_EQ(survival.poll_notice(kStart + 3s), std::nullopt);
    survival.handle_server(/*online=*/false, kStart + 4s);
    EXPECT_EQ(survival.poll_notice(kStart + 4s), "to reach the server");
    EXPECT_TRUE(survival.handle_heard(kStart + 5s));
    EXPECT_FALSE(survival.handle_heard(kStart + 5s));
    EXPECT_EQ(survival.poll_notice(kStart + 6s), std::nullopt);
}

TEST_F(SurvivalTest, RestartsThatFailAlthoughSomethingIsHeardEnd) {
    survival.want_restart(Survival::Cause::path_died, kStart);
    auto now = kStart;
    int attempts = 0;
    for (; survival.due(now) && attempts < 100; ++attempts) {
        attempt(std::nullopt, now);
        now += 5s;
    }
    EXPECT_EQ(attempts, 6);
}

TEST_F(SurvivalTest, OnADetourABetterPathIsLookedForEverMoreSeldom) {
    survival.handle_path(/*relayed=*/true, /*ours=*/true, kStart);
    auto now = kStart;
    for (const auto pause : {15s, 30s, 60s, 120s, 240s, 480s, 900s, 900s}) {
        EXPECT_FALSE(survival.due(now + pause - 1ms)) << pause.count();
        now += pause;
        ASSERT_TRUE(survival.due(now)) << pause.count();
        survival.handle_started(now);
        survival.handle_failed(std::nullopt, now);
    }
    survival.handle_path(/*relayed=*/false, /*ours=*/true, now);
    EXPECT_EQ(survival.next_timeout(), std::nullopt);
}

TEST_F(SurvivalTest, APathThatFlapsIsNotLookedForAtOnce) {
    for (const bool ours : {true, false}) {
        Survival side{{}};
        side.handle_server(/*online=*/true, kStart);
        auto now = kStart;
        for (const bool at_once : {true, false, false}) {
            side.handle_path(/*relayed=*/false, ours, now);
            now += at_once ? 2min : 2s;
            side.handle_path(/*relayed=*/true, ours, now);
            side.want_restart(Survival::Cause::path_died, now);
            EXPECT_EQ(side.due(now), at_once);
            if (at_once) {
                side.handle_started(now);
                side.handle_done(now);
            }
            now += 6s;
        }
    }
}

TEST_F(SurvivalTest, TheFirstPathThatDiesIsLookedForAtOnceHoweverShortItsLife) {
    survival.handle_path(/*relayed=*/false, /*ours=*/true, kStart);
    survival.handle_path(/*relayed=*/true, /*ours=*/true, kStart + 1s);
    survival.want_restart(Survival::Cause::path_died, kStart + 1s);
    EXPECT_TRUE(survival.due(kStart + 1s));
    survival.handle_started(kStart + 1s);
    survival.handle_done(kStart + 2s);
    EXPECT_FALSE(survival.due(kStart + 15s));
    EXPECT_TRUE(survival.due(kStart + 16s));
}

TEST_F(SurvivalTest, APathThatDiesSoonAfterItWasTakenIsTakenMoreSeldom) {
    auto now = kStart;
    for (const auto pause : {15s, 15s, 30s, 60s, 120s}) {
        survival.handle_path(/*relayed=*/true, /*ours=*/true, now);
        EXPECT_FALSE(survival.due(now + pause - 1ms));
        EXPECT_TRUE(survival.due(now + pause));
        now += pause;
        survival.handle_path(/*relayed=*/false, /*ours=*/true, now);
        now += 2s;
    }
    now += 1min;
    survival.handle_path(/*relayed=*/true, /*ours=*/true, now);
    EXPECT_TRUE(survival.due(now + 15s)) << "that one had lasted";
}

}  // namespace
}  // namespace pinhole::session
