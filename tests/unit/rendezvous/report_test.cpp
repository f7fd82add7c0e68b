// What peers report about their networks: the newest is kept with the connection, and no more often than is useful.
#include "tests/unit/rendezvous/world.hpp"

namespace pinhole::rendezvous {
namespace {

signaling::Report report(net::NatBehavior mapping) {
    net::NetReport measured;
    measured.udp.open = true;
    measured.udp.mapping = mapping;
    measured.local = {net::Address::v4({10, 0, 0, 2})};
    return {.report = measured};
}

TEST(Reports, TheNewestOfAConnectionIsKept) {
    World world;
    auto& peer = world.log_in(1);
    auto& other = world.log_in(1);
    EXPECT_EQ(world.server().report(peer.connection), nullptr);
    peer.send(report(net::NatBehavior::none));
    peer.send(report(net::NatBehavior::endpoint_independent));
    world.pump();
    const auto* kept = world.server().report(peer.connection);
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(*kept, report(net::NatBehavior::endpoint_independent).report);
    EXPECT_EQ(world.server().report(other.connection), nullptr) << "another instance, another network";
    EXPECT_EQ(world.server().stats().reports, 2U);
}

TEST(Reports, EachIsNewsOnce) {
    World world;
    auto& peer = world.log_in(1);
    EXPECT_EQ(world.server().poll_report(), std::nullopt);
    peer.send(report(net::NatBehavior::none));
    peer.send(report(net::NatBehavior::none));
    world.pump();
    EXPECT_EQ(world.server().poll_report(), peer.connection);
    EXPECT_EQ(world.server().peer(peer.connection), peer.id);
    EXPECT_EQ(world.server().poll_report(), std::nullopt);
}

TEST(Reports, GoWithTheConnection) {
    World world;
    auto& peer = world.log_in(1);
    peer.send(report(net::NatBehavior::none));
    world.pump();
    world.hang_up(peer);
    EXPECT_EQ(world.server().report(peer.connection), nullptr);
    EXPECT_EQ(world.server().peer(peer.connection), std::nullopt);
    EXPECT_EQ(world.server().poll_report(), std::nullopt);
    world.expect_empty();
}

TEST(Reports, TooManyAreDroppedAndCostNothingElse) {
    World world;
    auto& restless = world.log_in(1);
    for (int i = 0; i < 10; ++i) {
        restless.send(report(net::NatBehavior::none));
    }
    restless.send(report(net::NatBehavior::endpoint_independent));
    world.pump();
    EXPECT_FALSE(restless.closed) << "a laptop on a network that comes and goes";
    ASSERT_NE(world.server().report(restless.connection), nullptr);
    EXPECT_EQ(world.server().report(restless.connection)->udp.mapping, net::NatBehavior::none);

    world.advance(6s);
    restless.send(report(net::NatBehavior::endpoint_independent));
    world.pump();
    EXPECT_EQ(world.server().report(restless.connection)->udp.mapping, net::NatBehavior::endpoint_independent);
}

TEST(Reports, TenAMinuteAreFine) {
    World world;
    auto& busy = world.log_in(1);
    for (int i = 0; i < 60; ++i) {
        busy.send(report(net::NatBehavior::none));
        world.advance(6s);
    }
    EXPECT_FALSE(busy.closed);
}

TEST(Welcome, NamesTheOtherStunPortOfTheAddressThatThePeerCameTo) {
    World world;
    auto& without = world.log_in(1);
    EXPECT_EQ(without.one<signaling::Welcome>().second_stun_port, std::nullopt);
    auto& with = world.open_at(2, 3479);
    world.pump();
    EXPECT_EQ(with.one<signaling::Welcome>().second_stun_port, 3479);
}

}  // namespace
}  // namespace pinhole::rendezvous
