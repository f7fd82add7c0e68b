// RFC 8656 §9 to §12 at the server: permissions, channels, datagrams, both ways.
#include "tests/unit/turn/peers_of_a_stranger.hpp"
#include "tests/unit/turn/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::turn {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace): the fixture of this folder
using testing::IsEmpty;
using testing::SizeIs;

Fill two(const net::Endpoint& first, const net::Endpoint& second) {
    return [=](MessageBuilder& builder) {
        builder.address(AttributeType::xor_peer_address, first).address(AttributeType::xor_peer_address, second);
    };
}

Fill dual() {
    return [](MessageBuilder& builder) {
        builder.requested_transport(stun::kTransportUdp)
            .address_family(AttributeType::additional_address_family, net::Family::v6);
    };
}

/// A world with one client that has an allocation.
struct Relayed {
    World world;
    Client client;
    net::Endpoint relayed;

    explicit Relayed(const Setup& setup = {}, TurnTransport transport = TurnTransport::udp)
        : world(setup), client(world.client(40000, transport)), relayed(world.allocate(client)) {}

    Reply permit(const net::Endpoint& peer) { return world.ask(client, stun::kCreatePermission, to(peer)); }

    Reply bind(std::uint16_t number, const net::Endpoint& peer) {
        return world.ask(client, stun::kChannelBind, channel(number, peer));
    }

    /// What the peer got, and whether.
    bool sends(const net::Endpoint& peer) {
        world.to_peers.clear();
        world.indicate(client, peer, "x");
        return world.to_peers.size() == 1;
    }

    bool hears(const net::Endpoint& peer) {
        world.from_peer(relayed, peer, "x");
        return world.take(client).has_value();
    }
};

TEST(TurnPermission, OpensBothWaysForAnAddressAndFiveMinutes) {
    Relayed at;
    EXPECT_FALSE(at.sends(kPeer) || at.hears(kPeer));
    EXPECT_TRUE(at.permit(kPeer).ok());
    EXPECT_TRUE(at.sends(kPeer) && at.hears(kPeer));
    // Any port of it; no other address.
    const net::Endpoint other_port{.address = kPeer.address, .port = 9};
    EXPECT_TRUE(at.sends(other_port) && at.hears(other_port));
    EXPECT_FALSE(at.sends(kOtherPeer) || at.hears(kOtherPeer));
    at.world.pass(300s - 1ns);
    EXPECT_TRUE(at.sends(kPeer) && at.hears(kPeer));
    at.world.pass(1ns);
    EXPECT_FALSE(at.sends(kPeer) || at.hears(kPeer));
    EXPECT_EQ(at.world.server.counts().permissions, 0U);
}

TEST(TurnPermission, IsRefreshed) {
    Relayed at;
    for (int i = 0; i < 4; ++i) {
        EXPECT_TRUE(at.permit(kPeer).ok());
        at.world.pass(100s);
    }
    at.world.pass(100s);
    EXPECT_TRUE(at.hears(kPeer));
    EXPECT_EQ(at.world.server.counts().permissions, 1U);
}

TEST(TurnPermission, OfSeveralIsForAllOrNone) {
    Relayed at;
    EXPECT_EQ(at.world.ask(at.client, stun::kCreatePermission, two(kPeer, endpoint("127.0.0.1:1"))).error(), 403);
    EXPECT_EQ(at.world.ask(at.client, stun::kCreatePermission, two(kPeer, kPeerV6)).error(), 443);
    EXPECT_FALSE(at.hears(kPeer));
    EXPECT_TRUE(at.world.ask(at.client, stun::kCreatePermission, two(kPeer, kOtherPeer)).ok());
    EXPECT_TRUE(at.hears(kPeer) && at.hears(kOtherPeer));
}

TEST(TurnPermission, ForNobodyIsABadRequest) {
    Relayed at;
    EXPECT_EQ(at.world.ask(at.client, stun::kCreatePermission, nothing()).error(), 400);
    const auto broken = [](auto& builder) { builder.attribute(AttributeType::xor_peer_address, Bytes{0, 1, 2}); };
    EXPECT_EQ(at.world.ask(at.client, stun::kCreatePermission, broken).error(), 400);
}

TEST(TurnPermission, IsBounded) {
    TurnConfig config;
    config.limits.permissions = 2;
    Relayed at{{.config = config}};
    EXPECT_EQ(at.world.ask(at.client, stun::kCreatePermission, two(kPeer, kOtherPeer)).error(), 0);
    EXPECT_EQ(at.permit(endpoint("198.51.100.9:1")).error(), 508);
    EXPECT_EQ(at.bind(0x4000, endpoint("198.51.100.9:1")).error(), 508);
    EXPECT_TRUE(at.permit(kPeer).ok());
    EXPECT_EQ(at.world.server.counts().channels, 0U);
}

TEST(TurnPermission, WithoutAllocationIsAMismatch) {
    World world;
    auto client = world.client();
    for (const auto method : {stun::kRefresh, stun::kCreatePermission, stun::kChannelBind, stun::kConnect}) {
        EXPECT_EQ(world.ask(client, method, channel(0x4000, kPeer)).error(), 437);
    }
    EXPECT_EQ(world.server.counts(), TurnCounts{});
}

TEST(TurnChannel, CarriesBothWays) {
    for (const auto transport : {TurnTransport::udp, TurnTransport::tcp}) {
        Relayed at{{}, transport};
        ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
        at.world.on_channel(at.client, 0x4000, "hello");
        ASSERT_THAT(at.world.to_peers, SizeIs(1));
        EXPECT_EQ(as_text(at.world.to_peers[0].payload), "hello");
        EXPECT_EQ(at.world.to_peers[0].peer, kPeer);
        at.world.from_peer(at.relayed, kPeer, "world");
        const auto& inbox = at.world.to_clients[at.client.tuple];
        ASSERT_THAT(inbox, SizeIs(1));
        EXPECT_EQ(inbox[0].size(), transport == TurnTransport::udp ? 9U : 12U);
        const auto data = stun::parse_channel_data(inbox[0]).value();
        EXPECT_EQ(data.channel, 0x4000);
        EXPECT_EQ(as_text(data.payload), "world");
    }
}

TEST(TurnChannel, MakesAPermission) {
    Relayed at;
    ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
    const net::Endpoint other_port{.address = kPeer.address, .port = 9};
    EXPECT_TRUE(at.hears(other_port));
    EXPECT_EQ(at.world.server.counts().permissions, 1U);
}

TEST(TurnChannel, OutlivesItsPermissionOnTheWayOutOnly) {
    Relayed at;
    ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
    at.world.pass(300s);
    at.world.on_channel(at.client, 0x4000, "x");
    EXPECT_THAT(at.world.to_peers, SizeIs(1));
    EXPECT_FALSE(at.hears(kPeer));
    EXPECT_TRUE(at.permit(kPeer).ok());
    EXPECT_TRUE(at.world.to_clients[at.client.tuple].empty());
    at.world.from_peer(at.relayed, kPeer, "x");
    EXPECT_TRUE(stun::parse_channel_data(at.world.to_clients[at.client.tuple].at(0)));
}

TEST(TurnChannel, EndsAfterTenMinutesAndRestsForFive) {
    Relayed at;
    ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
    at.world.pass(599s);
    EXPECT_TRUE(at.world.ask(at.client, stun::kRefresh, lasting(3600)).ok());
    at.world.on_channel(at.client, 0x4000, "x");
    EXPECT_THAT(at.world.to_peers, SizeIs(1));
    at.world.pass(1s);
    at.world.on_channel(at.client, 0x4000, "x");
    EXPECT_THAT(at.world.to_peers, SizeIs(1));
    EXPECT_EQ(at.bind(0x4000, kOtherPeer).error(), 400);
    EXPECT_EQ(at.bind(0x4001, kPeer).error(), 400);
    at.world.pass(299s);
    EXPECT_EQ(at.bind(0x4000, kOtherPeer).error(), 400);
    at.world.pass(1s);
    EXPECT_TRUE(at.bind(0x4000, kOtherPeer).ok());
    EXPECT_TRUE(at.bind(0x4001, kPeer).ok());
}

TEST(TurnChannel, MayBeBoundAgainToTheSamePeerWhileItRests) {
    Relayed at;
    ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
    at.world.pass(599s);
    ASSERT_TRUE(at.world.ask(at.client, stun::kRefresh, lasting(3600)).ok());
    at.world.pass(100s);
    EXPECT_TRUE(at.bind(0x4000, kPeer).ok());
    at.world.on_channel(at.client, 0x4000, "x");
    EXPECT_THAT(at.world.to_peers, SizeIs(1));
}

TEST(TurnChannel, IsRefreshed) {
    Relayed at;
    ASSERT_TRUE(at.world.ask(at.client, stun::kRefresh, lasting(3600)).ok());
    for (int i = 0; i < 6; ++i) {
        ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
        at.world.pass(500s);
        at.world.on_channel(at.client, 0x4000, "x");
    }
    EXPECT_THAT(at.world.to_peers, SizeIs(6));
    EXPECT_EQ(at.world.server.counts().channels, 1U);
}

TEST(TurnChannel, IsOneNumberForOnePeer) {
    Relayed at;
    ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
    EXPECT_EQ(at.bind(0x4000, kOtherPeer).error(), 400);
    EXPECT_EQ(at.bind(0x4001, kPeer).error(), 400);
    const net::Endpoint other_port{.address = kPeer.address, .port = 9};
    EXPECT_TRUE(at.bind(0x4001, other_port).ok());
    EXPECT_EQ(at.world.server.counts().channels, 2U);
}

TEST(TurnChannel, HasANumberThatRfc8656Left) {
    Relayed at;
    for (const auto number : std::initializer_list<std::uint16_t>{0, 0x3fff, 0x8000, 0xffff}) {
        EXPECT_EQ(at.bind(number, kPeer).error(), 400) << number;
    }
    EXPECT_EQ(at.world.ask(at.client, stun::kChannelBind, to(kPeer)).error(), 400);
    EXPECT_EQ(at.world.ask(at.client, stun::kChannelBind, [](auto& b) { b.channel_number(0x4000); }).error(), 400);
    EXPECT_TRUE(at.bind(0x4fff, kPeer).ok());
    EXPECT_EQ(at.bind(0x4000, kPeerV6).error(), 443);
}

// Coturn took the last one of several (NAT traversal research §4.1).
TEST(TurnChannel, IsOfTheFirstPeerThatIsNamed) {
    Relayed at;
    const auto named_twice = [](auto& b) {
        channel(0x4000, kPeer)(b);
        b.channel_number(0x4001).address(AttributeType::xor_peer_address, endpoint("127.0.0.1:22"));
    };
    ASSERT_TRUE(at.world.ask(at.client, stun::kChannelBind, named_twice).ok());
    at.world.on_channel(at.client, 0x4000, "x");
    at.world.on_channel(at.client, 0x4001, "x");
    ASSERT_THAT(at.world.to_peers, SizeIs(1));
    EXPECT_EQ(at.world.to_peers[0].peer, kPeer);
}

TEST(TurnChannel, IsBounded) {
    TurnConfig config;
    config.limits.channels = 2;
    Relayed at{{.config = config}};
    EXPECT_TRUE(at.bind(0x4000, kPeer).ok());
    EXPECT_TRUE(at.bind(0x4001, kOtherPeer).ok());
    EXPECT_EQ(at.bind(0x4002, endpoint("198.51.100.9:1")).error(), 508);
    EXPECT_TRUE(at.bind(0x4000, kPeer).ok());
}

TEST(TurnChannel, FindsItsWayAmongMany) {
    Relayed at;
    for (int i = 63; i >= 0; --i) {
        const net::Endpoint peer{.address = net::Address::v4({198, 51, 100, static_cast<std::uint8_t>(i * 37 % 64)}),
                                 .port = static_cast<std::uint16_t>(i + 1)};
        ASSERT_TRUE(at.bind(static_cast<std::uint16_t>(0x4000 + i * 11 % 64), peer).ok());
    }
    for (int i = 0; i < 64; ++i) {
        const net::Endpoint peer{.address = net::Address::v4({198, 51, 100, static_cast<std::uint8_t>(i * 37 % 64)}),
                                 .port = static_cast<std::uint16_t>(i + 1)};
        const auto number = static_cast<std::uint16_t>(0x4000 + i * 11 % 64);
        at.world.to_peers.clear();
        at.world.on_channel(at.client, number, "x");
        EXPECT_EQ(at.world.to_peers.at(0).peer, peer);
        const auto back = at.world.server.forward_peer(at.world.relays.at(at.relayed), peer, 1, at.world.now);
        EXPECT_EQ(back.channel, number);
    }
}

TEST(TurnChannel, DataOfAnUnboundOneIsDropped) {
    Relayed at;
    ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
    at.world.on_channel(at.client, 0x4001, "x");
    at.world.send(at.client, Bytes{0x40, 0, 0, 9, 1});
    EXPECT_THAT(at.world.to_peers, IsEmpty());
    EXPECT_EQ(at.world.server.stats().not_permitted, 1U);
    EXPECT_EQ(at.world.server.stats().malformed, 1U);
}

TEST(TurnSend, CarriesDataAndDontFragment) {
    Relayed at;
    ASSERT_TRUE(at.permit(kPeer).ok());
    at.world.send(at.client, MessageBuilder{MessageClass::indication, stun::kSend, at.world.transaction()}
                                 .address(AttributeType::xor_peer_address, kPeer)
                                 .address(AttributeType::xor_peer_address, kOtherPeer)
                                 .flag(AttributeType::dont_fragment)
                                 .text(AttributeType::data, "")
                                 .finish());
    ASSERT_THAT(at.world.to_peers, SizeIs(1));
    EXPECT_EQ(at.world.to_peers[0].peer, kPeer);
    EXPECT_TRUE(at.world.to_peers[0].dont_fragment);
    EXPECT_THAT(at.world.to_peers[0].payload, IsEmpty());
}

TEST(TurnSend, WithoutPeerOrDataOrWithTheUnknownIsDropped) {
    Relayed at;
    ASSERT_TRUE(at.permit(kPeer).ok());
    const std::array<Fill, 3> fills{to(kPeer), [](auto& b) { b.text(AttributeType::data, "x"); },
                                    [](auto& b) {
                                        to(kPeer)(b);
                                        b.text(AttributeType::data, "x").attribute(AttributeType{0x7123}, {});
                                    }};
    for (const auto& fill : fills) {
        MessageBuilder builder{MessageClass::indication, stun::kSend, at.world.transaction()};
        fill(builder);
        at.world.send(at.client, builder.finish());
    }
    EXPECT_THAT(at.world.to_peers, IsEmpty());
    EXPECT_FALSE(at.world.take(at.client));
}

TEST(TurnData, NamesThePeer) {
    Relayed at;
    ASSERT_TRUE(at.permit(kPeer).ok());
    at.world.from_peer(at.relayed, kPeer, "data");
    const auto reply = at.world.take(at.client).value();
    EXPECT_EQ(reply.view().message_class(), MessageClass::indication);
    EXPECT_EQ(reply.view().method(), stun::kData);
    EXPECT_EQ(reply.view().xor_peer_address(), kPeer);
    EXPECT_EQ(as_text(reply.view().data().value()), "data");
}

TEST(TurnData, TellsErrorsOfTheNetwork) {
    Relayed at;
    const auto relay = at.world.relays.at(at.relayed);
    const auto hit = [&](const net::Endpoint& peer, const stun::IcmpError& error) {
        at.world.server.handle_icmp(relay, peer, error, at.world.now);
        at.world.drain();
        return at.world.take(at.client);
    };
    EXPECT_FALSE(hit(kPeer, {.type = 3, .code = 3}));
    ASSERT_TRUE(at.permit(kPeer).ok());
    const auto reply = hit(kPeer, {.type = 3, .code = 4, .data = 1280}).value();
    EXPECT_EQ(reply.view().icmp()->type, 3);
    EXPECT_EQ(reply.view().icmp()->data, 1280U);
    EXPECT_EQ(reply.view().xor_peer_address(), kPeer);
    EXPECT_FALSE(reply.view().data());
    EXPECT_FALSE(hit(kPeer, {.type = 8}));
    EXPECT_FALSE(hit(kOtherPeer, {.type = 3}));
}

// Every way in, every spelling (NAT traversal research §4.1).
TEST(TurnPeers, AreRefusedAtEveryEntry) {
    World world;
    auto client = world.client();
    ASSERT_TRUE(world.ask(client, stun::kAllocate, dual()).ok());
    auto stream = world.client(40000, TurnTransport::tcp);
    ASSERT_TRUE(world
                    .ask(stream, stun::kAllocate,
                         [](auto& b) {
                             b.requested_transport(stun::kTransportTcp)
                                 .address_family(AttributeType::additional_address_family, net::Family::v6);
                         })
                    .ok());
    const auto before = world.server.counts();
    for (const auto* text : kRefusedPeers) {
        SCOPED_TRACE(text);
        const net::Endpoint peer{.address = address(text), .port = 50000};
        EXPECT_EQ(world.ask(client, stun::kCreatePermission, to(peer)).error(), 403);
        EXPECT_EQ(world.ask(client, stun::kChannelBind, channel(0x4000, peer)).error(), 403);
        EXPECT_EQ(world.ask(stream, stun::kConnect, to(peer)).error(), 403);
        world.indicate(client, peer, "x");
    }
    EXPECT_EQ(world.server.counts(), before);
    EXPECT_THAT(world.to_peers, IsEmpty());
    EXPECT_THAT(world.connects, IsEmpty());
}

TEST(TurnPeers, ThatArePermittedPassEveryEntry) {
    World world;
    auto client = world.client();
    ASSERT_TRUE(world.ask(client, stun::kAllocate, dual()).ok());
    std::uint16_t number = 0x4000;
    for (const auto* text : kPermittedPeers) {
        SCOPED_TRACE(text);
        const net::Endpoint peer{.address = address(text), .port = 1};
        EXPECT_TRUE(world.ask(client, stun::kCreatePermission, to(peer)).ok());
        EXPECT_TRUE(world.ask(client, stun::kChannelBind, channel(number++, peer)).ok());
        world.indicate(client, peer, "x");
    }
    EXPECT_THAT(world.to_peers, SizeIs(kPermittedPeers.size()));
}

TEST(TurnPeers, OurOwnServicesAreRefusedAtEveryEntry) {
    World world;
    auto client = world.client();
    world.allocate(client);
    auto stream = world.client(40000, TurnTransport::tcp);
    world.allocate(stream, tcp());
    // A permission names no port: relayed addresses of the server are behind it too.
    ASSERT_TRUE(world.ask(client, stun::kCreatePermission, to(kServer)).ok());
    for (const auto port : std::initializer_list<std::uint16_t>{22, 443, 3478, 5349, 49151}) {
        const net::Endpoint service{.address = kServer.address, .port = port};
        EXPECT_EQ(world.ask(client, stun::kChannelBind, channel(0x4000, service)).error(), 403);
        EXPECT_EQ(world.ask(stream, stun::kConnect, to(service)).error(), 403);
        world.indicate(client, service, "x");
    }
    EXPECT_THAT(world.to_peers, IsEmpty());
    EXPECT_THAT(world.connects, IsEmpty());
}

TEST(TurnPeers, TwoClientsOfOneRelayMeet) {
    World world;
    auto one = world.client(40000);
    auto other = world.client(40001);
    const auto relayed = world.allocate(one);
    const auto other_relayed = world.allocate(other);
    ASSERT_TRUE(world.ask(one, stun::kChannelBind, channel(0x4000, other_relayed)).ok());
    ASSERT_TRUE(world.ask(other, stun::kChannelBind, channel(0x4000, relayed)).ok());
    world.on_channel(one, 0x4000, "hello");
    ASSERT_THAT(world.to_peers, SizeIs(1));
    world.from_peer(world.to_peers[0].peer, relayed, "hello");
    EXPECT_TRUE(stun::parse_channel_data(world.to_clients[other.tuple].at(0)));
}

TEST(TurnForward, AnswersLikeTheSlowWay) {
    Relayed at;
    const auto relay = at.world.relays.at(at.relayed);
    ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
    ASSERT_TRUE(at.permit(kOtherPeer).ok());
    const auto bytes = stun::channel_message({.channel = 0x4000, .payload = as_bytes("hello")}, false);
    const auto out = at.world.server.forward_client(at.client.tuple, bytes, at.world.now);
    EXPECT_EQ(out.verdict, Forward::send);
    EXPECT_EQ(out.relay, relay);
    EXPECT_EQ(*out.peer, kPeer);
    EXPECT_EQ(as_text(out.payload), "hello");
    const auto in = at.world.server.forward_peer(relay, kPeer, 5, at.world.now);
    EXPECT_EQ(in.verdict, Forward::send);
    EXPECT_EQ(*in.client, at.client.tuple);
    EXPECT_EQ(in.channel, 0x4000);
    EXPECT_EQ(at.world.server.forward_peer(relay, kOtherPeer, 5, at.world.now).verdict, Forward::slow);
    EXPECT_EQ(at.world.server.forward_peer(relay, endpoint("198.51.100.9:1"), 5, at.world.now).verdict, Forward::drop);
    EXPECT_EQ(at.world.server.forward_client(at.client.tuple, Bytes{0, 1}, at.world.now).verdict, Forward::slow);
    EXPECT_EQ(at.world.server.forward_client(at.world.client(1).tuple, bytes, at.world.now).verdict, Forward::drop);
    EXPECT_FALSE(at.world.server.poll_output());
}

TEST(TurnForward, EndsWithTheAllocationAlsoWhenTheTimerIsLate) {
    Relayed at;
    const auto relay = at.world.relays.at(at.relayed);
    at.world.pass(400s);
    ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
    const auto bytes = stun::channel_message({.channel = 0x4000, .payload = as_bytes("hello")}, false);
    const auto late = at.world.now + 200s;
    EXPECT_EQ(at.world.server.forward_client(at.client.tuple, bytes, late - 1ns).verdict, Forward::send);
    EXPECT_EQ(at.world.server.forward_client(at.client.tuple, bytes, late).verdict, Forward::drop);
    EXPECT_EQ(at.world.server.forward_peer(relay, kPeer, 5, late).verdict, Forward::drop);
}

TEST(TurnBandwidth, OfOneUserIsBounded) {
    TurnConfig config;
    config.limits.account_bytes_per_second = 1'000'000;
    Relayed at{{.config = config}};
    ASSERT_TRUE(at.bind(0x4000, kPeer).ok());
    const std::string data(1000, 'x');
    at.world.pass(60s);
    int sent = 0;
    for (int i = 0; i < 10'000; ++i) {
        at.world.pass(100us);
        at.world.to_peers.clear();
        at.world.on_channel(at.client, 0x4000, data);
        sent += static_cast<int>(at.world.to_peers.size());
    }
    // Two seconds of burst and one that passed.
    EXPECT_NEAR(sent, 3000, 2);
    EXPECT_EQ(at.world.server.stats().over_bandwidth, 10'000U - static_cast<unsigned>(sent));
    at.world.from_peer(at.relayed, kPeer, data);
    EXPECT_TRUE(at.world.to_clients[at.client.tuple].empty());
}

TEST(TurnBandwidth, ComingAgainAddsNothing) {
    TurnConfig config;
    config.limits.account_bytes_per_second = 1'000'000;
    World world{{.config = config}};
    std::size_t sent = 0;
    const std::string data(1000, 'x');
    for (std::uint16_t round = 1; round <= 10; ++round) {
        auto client = world.client(round);
        world.allocate(client);
        ASSERT_TRUE(world.ask(client, stun::kChannelBind, channel(0x4000, kPeer)).ok());
        for (int i = 0; i < 5000; ++i) {
            world.on_channel(client, 0x4000, data);
        }
        ASSERT_TRUE(world.ask(client, stun::kRefresh, [](auto& b) { b.lifetime(std::chrono::seconds{0}); }).ok());
        sent += world.to_peers.size();
        world.to_peers.clear();
    }
    EXPECT_LE(sent, 10U * 263);
}

TEST(TurnBandwidth, OfAllTogetherIsBounded) {
    TurnConfig config;
    config.limits.bytes_per_second = 100'000;
    World world{{.config = config}};
    for (std::uint16_t port = 1; port <= 10; ++port) {
        auto client = world.client(port);
        world.allocate(client);
        ASSERT_TRUE(world.ask(client, stun::kChannelBind, channel(0x4000, kPeer)).ok());
        for (int i = 0; i < 100; ++i) {
            world.on_channel(client, 0x4000, std::string(1000, 'x'));
        }
    }
    EXPECT_THAT(world.to_peers, SizeIs(200));
}

}  // namespace
}  // namespace pinhole::turn
