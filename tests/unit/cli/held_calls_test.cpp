#include "peer/shell/held_calls.hpp"

#include <gtest/gtest.h>

namespace pinhole::shell {
namespace {

signaling::Incoming incoming(std::uint64_t call) {
    return {.call = {call}, .from = {}, .handshake = {1, 2, 3}, .candidates = {}};
}

TEST(HeldCalls, WaitForALimitedTime) {
    HeldCalls held;
    TimePoint now{};
    EXPECT_FALSE(held.next_timeout());
    ASSERT_TRUE(held.hold(incoming(7), now));
    EXPECT_EQ(held.next_timeout(), now + HeldCalls::kPatience);
    EXPECT_FALSE(held.release(now + HeldCalls::kPatience - 1ms, false));
    const auto call = held.release(now + HeldCalls::kPatience, false);
    ASSERT_TRUE(call);
    EXPECT_EQ(call->incoming.call, signaling::CallId{7});
    EXPECT_FALSE(held.next_timeout());
}

TEST(HeldCalls, AreAllReleasedInTheirOrderWhenNothingIsToBeWaitedFor) {
    HeldCalls held;
    ASSERT_TRUE(held.hold(incoming(7), TimePoint{}));
    ASSERT_TRUE(held.hold(incoming(8), TimePoint{} + 1ms));
    EXPECT_EQ(held.release(TimePoint{} + 2ms, true)->incoming.call, signaling::CallId{7});
    EXPECT_EQ(held.release(TimePoint{} + 2ms, true)->incoming.call, signaling::CallId{8});
    EXPECT_FALSE(held.release(TimePoint{} + 2ms, true));
}

TEST(HeldCalls, KeepWhatIsSaidOfThem) {
    HeldCalls held;
    ASSERT_TRUE(held.hold(incoming(7), TimePoint{}));
    EXPECT_TRUE(held.handle_message(signaling::Trickle{.call = {7}, .candidates = {}, .last = false}));
    EXPECT_TRUE(held.handle_message(signaling::Trickle{.call = {7}, .candidates = {}, .last = true}));
    EXPECT_FALSE(held.handle_message(signaling::Trickle{.call = {8}, .candidates = {}, .last = true}));
    EXPECT_FALSE(held.handle_message(signaling::Ping{}));
    const auto call = held.release(TimePoint{}, true);
    ASSERT_EQ(call->later.size(), 2U);
    EXPECT_TRUE(std::get<signaling::Trickle>(call->later[1]).last);
}

TEST(HeldCalls, AreGoneWhenTheCallerEndsThem) {
    HeldCalls held;
    ASSERT_TRUE(held.hold(incoming(7), TimePoint{}));
    EXPECT_TRUE(held.handle_message(signaling::End{.call = {7}}));
    EXPECT_FALSE(held.release(TimePoint{} + 1h, true));
    EXPECT_FALSE(held.next_timeout());
}

TEST(HeldCalls, AreBoundedInNumberAndSize) {
    HeldCalls held;
    for (std::uint64_t call = 0; call < HeldCalls::kMaxCalls; ++call) {
        ASSERT_TRUE(held.hold(incoming(call), TimePoint{}));
    }
    EXPECT_FALSE(held.hold(incoming(1000), TimePoint{}));
    for (std::size_t i = 0; i < 2 * HeldCalls::kMaxMessages; ++i) {
        EXPECT_TRUE(held.handle_message(signaling::Trickle{.call = {0}, .candidates = {}, .last = false}));
    }
    EXPECT_EQ(held.release(TimePoint{}, true)->later.size(), HeldCalls::kMaxMessages);
}

}  // namespace
}  // namespace pinhole::shell
