#include "peer/session/retry_policy.hpp"

#include <gtest/gtest.h>

namespace pinhole::session {
namespace {

using Role = RetryPolicy::Role;

class RetryPolicyTest : public testing::Test {
  protected:
    /// Waits for the next attempt and places it.
    RetryPolicy::Attempt next_attempt() {
        const auto due = policy.next_timeout();
        EXPECT_TRUE(due);
        now = std::max(now, due.value_or(now));
        EXPECT_FALSE(policy.poll_attempt(now - 1ms)) << "too early";
        return policy.poll_attempt(now).value_or(RetryPolicy::Attempt{});
    }

    /// How long after its failure the next call is placed.
    Duration pause_after_failure() {
        policy.handle_failed(Role::caller, now);
        const auto failed = now;
        next_attempt();
        const auto pause = now - failed;
        now += 10s;
        return pause;
    }

    RetryPolicy policy;
    TimePoint now{1h};
};

TEST_F(RetryPolicyTest, TriesAtOnceThenAfterAMinuteThenEveryFive) {
    EXPECT_FALSE(policy.next_timeout());
    EXPECT_EQ(pause_after_failure(), Duration{});
    EXPECT_EQ(pause_after_failure(), 60s);
    EXPECT_EQ(pause_after_failure(), 5min);
    EXPECT_EQ(pause_after_failure(), 5min);
}

TEST_F(RetryPolicyTest, ChangesSomethingEachTime) {
    policy.handle_failed(Role::caller, now);
    const auto second = next_attempt();
    EXPECT_TRUE(second.fresh_port);
    EXPECT_TRUE(second.other_side_first);
    policy.handle_failed(Role::caller, now);
    const auto third = next_attempt();
    EXPECT_TRUE(third.fresh_port);
    EXPECT_FALSE(third.other_side_first);
}

TEST_F(RetryPolicyTest, AttemptsArePlacedOnce) {
    policy.handle_failed(Role::caller, now);
    next_attempt();
    EXPECT_FALSE(policy.poll_attempt(now + 1h));
    EXPECT_FALSE(policy.next_timeout());
}

TEST_F(RetryPolicyTest, BeginsAnewWhenTheNetworkHasChanged) {
    pause_after_failure();
    policy.handle_failed(Role::caller, now);
    now += 1s;
    policy.handle_network_changed(now);
    policy.handle_network_changed(now + 1s);
    EXPECT_EQ(policy.next_timeout(), now + 1s + RetryPolicy::kSettle) << "the last change of several counts";
    EXPECT_FALSE(next_attempt().fresh_port) << "all is new there";
    EXPECT_EQ(pause_after_failure(), Duration{});
    EXPECT_EQ(pause_after_failure(), 60s);
}

TEST_F(RetryPolicyTest, AChangeDuringACallCountsAfterIt) {
    pause_after_failure();
    policy.handle_failed(Role::caller, now);
    next_attempt();
    policy.handle_network_changed(now);
    EXPECT_FALSE(policy.next_timeout());
    policy.handle_failed(Role::caller, now + 9s);
    EXPECT_EQ(policy.next_timeout(), now + 9s + RetryPolicy::kSettle);
}

TEST_F(RetryPolicyTest, WhoWasCalledWaitsForTheOtherSideOrAnotherNetwork) {
    policy.handle_failed(Role::called, now);
    EXPECT_TRUE(policy.waiting());
    EXPECT_FALSE(policy.next_timeout());
    policy.handle_network_changed(now);
    EXPECT_EQ(policy.next_timeout(), now + RetryPolicy::kSettle);
}

TEST_F(RetryPolicyTest, NothingIsDueWithoutAFailureOrAfterASuccess) {
    policy.handle_network_changed(now);
    EXPECT_FALSE(policy.next_timeout());
    policy.handle_failed(Role::caller, now);
    policy.handle_over();
    EXPECT_FALSE(policy.waiting());
    EXPECT_FALSE(policy.next_timeout());
    policy.handle_network_changed(now);
    EXPECT_FALSE(policy.next_timeout());
}

}  // namespace
}  // namespace pinhole::session
