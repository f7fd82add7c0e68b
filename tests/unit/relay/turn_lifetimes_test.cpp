// What a client renews, when, and for whom: in virtual time, through every lifetime.
#include "peer/relay/errors.hpp"
#include "tests/unit/relay/turn_world.hpp"

#include <gtest/gtest.h>

namespace pinhole::relay {
namespace {

using testing::AllocatedWorld;
using testing::at;
using testing::World;

const net::Endpoint kBob = at("192.0.2.7:7000");
const net::Endpoint kCarol = at("192.0.2.8:7000");

TEST(TurnLifetimes, AnHourOfTrafficLosesNothing) {
    AllocatedWorld world;
    for (int second = 0; second < 3600; ++second) {
        EXPECT_TRUE(world.send(kBob, "data"));
        world.peer_sends(kBob, "back");
        world.run_for(1s);
        if (second % 600 == 0) {
            world.server.nonce += "x";  // RFC 8656 §5: a nonce is good for an hour at most
        }
    }
    EXPECT_EQ(world.server.dropped, 0);
    EXPECT_EQ(world.server.delivered.size(), 3600U);
    EXPECT_GE(world.received.size(), 3599U);  // the first came before the permission
    EXPECT_EQ(world.last<Failed>(), nullptr);
}

TEST(TurnLifetimes, AllocationsOfAFewSecondsAreRenewedInTime) {
    World world{{}, {.lifetime = 10s}};
    world.client.allocate(world.now);
    for (int second = 0; second < 700; ++second) {
        world.run_for(1s);
        ASSERT_TRUE(world.server.allocated(world.now)) << second;
    }
}

TEST(TurnLifetimes, ThePeerInUseIsRenewedAndTheOthersLapse) {
    AllocatedWorld world;
    world.client.permit(kCarol, world.now);
    EXPECT_TRUE(world.send(kCarol, "once"));
    for (int second = 0; second < 1300; ++second) {
        EXPECT_TRUE(world.send(kBob, "data"));
        world.run_for(1s);
    }
    EXPECT_TRUE(world.server.permits(kBob.address, world.now));
    EXPECT_TRUE(world.server.channel_of(kBob, world.now));
    EXPECT_FALSE(world.server.permits(kCarol.address, world.now));
    EXPECT_EQ(world.client.permissions(), 1U);
    EXPECT_EQ(world.client.channels(), 1U);
}

TEST(TurnLifetimes, AChannelsRenewalStandsForThatOfThePermission) {
    AllocatedWorld world;
    for (int second = 0; second < 3000; ++second) {
        EXPECT_TRUE(world.send(kBob, "data"));
        world.run_for(1s);
    }
    EXPECT_EQ(world.server.count(stun::kCreatePermission), 1U);
    EXPECT_LE(world.server.count(stun::kChannelBind), 14U);
}

TEST(TurnLifetimes, APeerComesBackAfterItsChannelHasLapsed) {
    AllocatedWorld world;
    EXPECT_TRUE(world.send(kBob, "before"));
    world.run_for(20min);
    EXPECT_EQ(world.client.channels(), 0U);
    EXPECT_TRUE(world.send(kBob, "after"));
    world.settle();
    EXPECT_TRUE(world.send(kBob, "more"));
    world.settle();
    EXPECT_EQ(world.server.dropped, 0);
    ASSERT_EQ(world.server.delivered.size(), 3U);
    EXPECT_TRUE(world.server.delivered[2].in_channel);
}

TEST(TurnLifetimes, AnIdleClientKeepsTheMappingOfItsNat) {
    AllocatedWorld world;
    const auto before = world.server.requests.size();
    world.run_for(5min);
    EXPECT_GE(world.server.requests.size() - before, 5U * 60 / 20);
    EXPECT_TRUE(world.server.allocated(world.now));
}

TEST(TurnLifetimes, ADeadServerIsNoticedSoonWhileSending) {
    AllocatedWorld world;
    world.server.silent = true;
    const auto died = world.now;
    while (world.last<Failed>() == nullptr && world.now - died < 1min) {
        static_cast<void>(world.send(kBob, "data"));
        world.run_for(100ms);
    }
    EXPECT_LE(world.now - died, 5s);
    EXPECT_EQ(world.last<Failed>()->error.code, make_error_code(Errc::no_answer));
}

TEST(TurnLifetimes, AServerThatDataComesFromIsNotDead) {
    AllocatedWorld world;
    EXPECT_TRUE(world.send(kBob, "data"));
    world.settle();
    world.server.silent = true;
    for (int second = 0; second < 30; ++second) {
        EXPECT_TRUE(world.send(kBob, "data"));
        world.peer_sends(kBob, "back");
        world.run_for(1s);
    }
    EXPECT_EQ(world.last<Failed>(), nullptr);
    world.server.silent = false;
    world.run_for(20s);
    EXPECT_TRUE(world.client.allocated());
}

TEST(TurnLifetimes, ADeadServerIsNoticedWhileIdle) {
    AllocatedWorld world;
    world.server.silent = true;
    world.run_for(25s);
    ASSERT_NE(world.last<Failed>(), nullptr);
}

TEST(TurnLifetimes, AServerThatHasForgottenUsIsNoticedWhenAsked) {
    AllocatedWorld world;
    world.server.forget();
    world.client.verify(world.now);
    world.settle();
    ASSERT_NE(world.last<Failed>(), nullptr);
    EXPECT_EQ(world.last<Failed>()->error.code, make_error_code(Errc::gone));
}

}  // namespace
}  // namespace pinhole::relay
