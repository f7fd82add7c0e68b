#include "tests/unit/rendezvous/world.hpp"

#include <gmock/gmock.h>

namespace pinhole::rendezvous {
namespace {

using testing::HasSubstr;
using testing::Optional;

TEST(Login, WelcomeTellsObservedAddressAndVersion) {
    World world;
    auto& peer = world.log_in(1, "203.0.113.7:4711");

    const auto welcome = peer.one<signaling::Welcome>();
    EXPECT_EQ(welcome.observed, from("203.0.113.7:4711"));
    EXPECT_EQ(welcome.version, signaling::kVersion);
    EXPECT_EQ(world.server().stats().identities, 1U);
    EXPECT_EQ(world.server().stats().logins, 1U);
}

TEST(Login, PeersAreToldOfTheRelaysAndAgainBeforeTheirCredentialsExpire) {
    World world;
    int made = 0;
    world.server().offer_relays(
        [&](const crypto::PeerId& peer) {
            ++made;
            EXPECT_EQ(peer, identity(1).id());
            return signaling::Relays{
                .relays = {{.udp = true, .username = std::to_string(made), .password = "p", .lifetime = 60s}}};
        },
        30s);
    auto& peer = world.log_in(1);
    EXPECT_EQ(peer.one<signaling::Relays>().relays.front().username, "1");
    EXPECT_TRUE(std::holds_alternative<signaling::Welcome>(peer.inbox.front()));
    world.advance(65s);
    ASSERT_EQ(peer.all<signaling::Relays>().size(), 3U);
    EXPECT_EQ(peer.all<signaling::Relays>().back().relays.front().username, "3");
    world.hang_up(peer);
    world.advance(120s);
    EXPECT_EQ(made, 3) << "who is gone needs none";
}

TEST(Login, NewerClientIsWelcomeToo) {
    World world;
    const auto who = identity(1);
    auto& peer = world.open_as(who.id(), who.noise_keys(), "203.0.113.7:4711", 77);
    world.pump();
    EXPECT_FALSE(peer.closed);
    EXPECT_EQ(peer.one<signaling::Welcome>().version, signaling::kVersion);
}

TEST(Login, VersionZeroIsRefused) {
    World world;
    const auto who = identity(1);
    auto& peer = world.open_as(who.id(), who.noise_keys(), "203.0.113.7:4711", 0);
    world.pump();
    EXPECT_TRUE(peer.closed);
    world.expect_empty();
}

TEST(Login, IdentityOfSomebodyElseIsRefused) {
    World world;
    auto& peer = world.open_as(identity(2).id(), identity(1).noise_keys(), "203.0.113.7:4711");
    world.pump();
    EXPECT_THAT(peer.closed, Optional(HasSubstr("identity")));
    EXPECT_TRUE(peer.inbox.empty());
    world.expect_empty();
}

TEST(Login, IdThatIsNoPointOfTheCurveIsRefused) {
    World world;
    crypto::PeerId nobody;
    nobody.bytes.fill(0xff);
    auto& peer = world.open_as(nobody, identity(1).noise_keys(), "203.0.113.7:4711");
    world.pump();
    EXPECT_TRUE(peer.closed);
    world.expect_empty();
}

TEST(Login, UnfinishedHandshakeIsClosedInTime) {
    World world;
    auto& peer = world.open(1);
    const auto first = peer.link.poll_output();
    world.server().handle_bytes(peer.connection, ByteView{first}.first(20), world.now());
    peer.reads = false;

    world.advance(limits::kHandshakeTimeout - 1ms);
    EXPECT_FALSE(peer.closed);
    world.advance(1ms);
    EXPECT_THAT(peer.closed, Optional(HasSubstr("login")));
    world.expect_empty();
}

TEST(Login, HandshakeByteByByteWorks) {
    World world;
    auto& peer = world.open(1);
    for (int round = 0; round < 3; ++round) {
        for (const auto byte : peer.link.poll_output()) {
            world.server().handle_bytes(peer.connection, ByteView{&byte, 1}, world.now());
        }
        world.pump();
    }
    EXPECT_EQ(peer.all<signaling::Welcome>().size(), 1U);
}

TEST(Keepalive, SilentPeerIsPingedThenNoticedWithin25Seconds) {
    World world;
    auto& peer = world.log_in(1);
    peer.answers_pings = false;
    const auto first = peer.last_ping;

    world.advance(limits::kSignalingPing);
    EXPECT_NE(peer.last_ping, first);
    world.advance(limits::kSignalingDead - limits::kSignalingPing - 1ms);
    EXPECT_FALSE(peer.closed);
    world.advance(1ms);
    EXPECT_THAT(peer.closed, Optional(HasSubstr("silent")));
    world.expect_empty();
}

TEST(Keepalive, PeerThatAnswersPingsStaysForever) {
    World world;
    auto& peer = world.log_in(1);
    world.advance(1h);
    EXPECT_FALSE(peer.closed);
}

TEST(Keepalive, PingIsAnswered) {
    World world;
    auto& peer = world.log_in(1);
    peer.send(signaling::Ping{.token = 99});
    world.pump();
    EXPECT_EQ(peer.one<signaling::Pong>().token, 99U);
}

TEST(Instances, SeventeenthReplacesTheOldest) {
    World world;
    auto& oldest = world.log_in(1);
    for (std::size_t i = 1; i < limits::kMaxConnectionsPerIdentity; ++i) {
        world.log_in(1);
    }
    EXPECT_FALSE(oldest.closed);

    auto& newest = world.log_in(1);

    EXPECT_THAT(oldest.closed, Optional(HasSubstr("too many times")));
    EXPECT_FALSE(newest.closed);
    EXPECT_EQ(world.server().stats().connections, limits::kMaxConnectionsPerIdentity);
    EXPECT_EQ(world.server().stats().identities, 1U);
}

}  // namespace
}  // namespace pinhole::rendezvous
