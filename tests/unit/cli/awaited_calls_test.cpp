#include "peer/shell/awaited_calls.hpp"

#include <gtest/gtest.h>

namespace pinhole::shell {
namespace {

AwaitedCalls::Caller caller(std::uint8_t who, std::uint8_t services = 1) {
    crypto::PeerId id{};
    id.bytes[0] = who;
    return {.id = id, .services = services};
}

TEST(AwaitedCalls, GoOnWithTheNextCallOfTheSameCaller) {
    AwaitedCalls awaited;
    awaited.add(SessionId{5}, caller(1), TimePoint{});
    EXPECT_FALSE(awaited.take(caller(2)));
    EXPECT_FALSE(awaited.take(caller(1, 2))) << "it calls for something else";
    EXPECT_EQ(awaited.take(caller(1)), SessionId{5});
    EXPECT_FALSE(awaited.take(caller(1)));
}

TEST(AwaitedCalls, HaveEndedWhenNoneComes) {
    AwaitedCalls awaited;
    awaited.add(SessionId{5}, caller(1), TimePoint{});
    awaited.add(SessionId{6}, caller(2), TimePoint{} + 1ms);
    EXPECT_EQ(awaited.next_timeout(), TimePoint{} + AwaitedCalls::kPatience);
    EXPECT_EQ(awaited.expire(TimePoint{} + AwaitedCalls::kPatience), SessionId{5});
    EXPECT_FALSE(awaited.expire(TimePoint{} + AwaitedCalls::kPatience));
    EXPECT_EQ(awaited.next_timeout(), TimePoint{} + 1ms + AwaitedCalls::kPatience);
    EXPECT_TRUE(awaited.drop(SessionId{6}));
    EXPECT_FALSE(awaited.drop(SessionId{6}));
    EXPECT_FALSE(awaited.next_timeout());
}

}  // namespace
}  // namespace pinhole::shell
