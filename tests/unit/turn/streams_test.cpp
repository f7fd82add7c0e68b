// RFC 6062 at the server.
#include "tests/unit/turn/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::turn {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace): the fixture of this folder
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Fill connection(std::uint32_t id) {
    return [=](MessageBuilder& builder) { builder.u32(AttributeType::connection_id, id); };
}

/// A client with a relayed TCP address, and its second connection.
struct Relayed {
    World world;
    Client control;
    Client data;
    net::Endpoint relayed;

    explicit Relayed(const Setup& setup = {})
        : world(setup), control(world.client(40000, TurnTransport::tcp)), relayed(world.allocate(control, tcp())) {
        data = control;
        data.tuple.path.remote.port = 40001;
    }

    [[nodiscard]] RelayId relay() const { return world.relays.at(relayed); }

    /// A Connect that waits for the shell.
    StreamId connect(const net::Endpoint& peer) {
        EXPECT_FALSE(world.ask_once(control, stun::kConnect, to(peer)));
        return world.connects.back().stream;
    }

    /// The connection's name for the client.
    std::uint32_t connected(StreamId stream) {
        world.server.handle_peer_connected(stream, world.now);
        world.drain();
        return world.take(control)->view().connection_id().value();
    }

    std::optional<StreamId> accept(const net::Endpoint& peer) {
        const auto stream = world.server.handle_peer_accepted(relay(), peer, world.now);
        world.drain();
        return stream;
    }
};

TEST(TurnStreams, ConnectToAPeerAndCarry) {
    Relayed at;
    const auto stream = at.connect(kPeer);
    EXPECT_EQ(at.world.connects[0].peer, kPeer);
    EXPECT_EQ(at.world.connects[0].relay, at.relay());
    const auto id = at.connected(stream);
    const auto reply = at.world.ask(at.data, stun::kConnectionBind, connection(id));
    EXPECT_TRUE(reply.ok());
    EXPECT_TRUE(stun::verify_integrity(reply.view(), at.data.key()));
    ASSERT_THAT(at.world.pairs, SizeIs(1));
    EXPECT_EQ(at.world.pairs[0].stream, stream);
    EXPECT_EQ(at.world.pairs[0].client, at.data.tuple);
    EXPECT_EQ(at.world.server.allow_stream_bytes(stream, 1000, at.world.now), 1000U);
    at.world.pass(500s);
    EXPECT_EQ(at.world.server.counts().streams, 1U);
    at.world.server.handle_stream_closed(stream, at.world.now);
    EXPECT_EQ(at.world.server.counts().streams, 0U);
    EXPECT_EQ(at.world.server.allow_stream_bytes(stream, 1000, at.world.now), 0U);
}

TEST(TurnStreams, APeerConnects) {
    Relayed at;
    EXPECT_FALSE(at.accept(kPeer));
    ASSERT_TRUE(at.world.ask(at.control, stun::kCreatePermission, to(kPeer)).ok());
    const auto stream = at.accept(kPeer);
    ASSERT_TRUE(stream);
    const auto attempt = at.world.take(at.control).value();
    EXPECT_EQ(attempt.view().message_class(), MessageClass::indication);
    EXPECT_EQ(attempt.view().method(), stun::kConnectionAttempt);
    EXPECT_EQ(attempt.view().xor_peer_address(), kPeer);
    const auto id = attempt.view().connection_id().value();
    EXPECT_TRUE(at.world.ask(at.data, stun::kConnectionBind, connection(id)).ok());
    EXPECT_EQ(at.world.pairs.at(0).stream, *stream);
}

TEST(TurnStreams, TwoClientsOfOneRelayMeet) {
    Relayed at;
    auto other = at.world.client(50000, TurnTransport::tls);
    const auto other_relayed = at.world.allocate(other, tcp());
    ASSERT_TRUE(at.world.ask(other, stun::kCreatePermission, to(at.relayed)).ok());
    const auto stream = at.connect(other_relayed);
    const auto accepted =
        at.world.server.handle_peer_accepted(at.world.relays.at(other_relayed), at.relayed, at.world.now);
    ASSERT_TRUE(accepted);
    at.world.drain();
    const auto id = at.connected(stream);
    const auto other_id = at.world.take(other)->view().connection_id().value();
    EXPECT_NE(id, other_id);
    auto other_data = other;
    other_data.tuple.path.remote.port = 50001;
    EXPECT_TRUE(at.world.ask(at.data, stun::kConnectionBind, connection(id)).ok());
    EXPECT_TRUE(at.world.ask(other_data, stun::kConnectionBind, connection(other_id)).ok());
    EXPECT_THAT(at.world.pairs, SizeIs(2));
}

TEST(TurnStreams, APeerThatDoesNotAnswerIsAFailure) {
    Relayed at;
    const auto stream = at.connect(kPeer);
    at.world.server.handle_peer_failed(stream, at.world.now);
    at.world.drain();
    EXPECT_EQ(at.world.take(at.control)->error(), 447);
    EXPECT_THAT(at.world.closed_streams, IsEmpty());

    const auto slow = at.connect(kPeer);
    at.world.pass(30s);
    EXPECT_EQ(at.world.take(at.control)->error(), 447);
    EXPECT_THAT(at.world.closed_streams, ElementsAre(slow));
    EXPECT_EQ(at.world.server.counts().streams, 0U);
    // The shell may say so too late.
    at.world.server.handle_peer_connected(slow, at.world.now);
    at.world.drain();
    EXPECT_FALSE(at.world.take(at.control));
}

TEST(TurnStreams, ThatNobodyTakesAreClosedAfterThirtySeconds) {
    Relayed at;
    ASSERT_TRUE(at.world.ask(at.control, stun::kCreatePermission, to(kOtherPeer)).ok());
    const auto made = at.connect(kPeer);
    const auto id = at.connected(made);
    const auto accepted = at.accept(kOtherPeer);
    at.world.pass(30s - 1ns);
    EXPECT_EQ(at.world.server.counts().streams, 2U);
    at.world.pass(1ns);
    EXPECT_EQ(at.world.server.counts().streams, 0U);
    EXPECT_THAT(at.world.closed_streams, testing::UnorderedElementsAre(made, *accepted));
    EXPECT_EQ(at.world.ask(at.data, stun::kConnectionBind, connection(id)).error(), 400);
}

TEST(TurnStreams, GoWithTheirAllocation) {
    Relayed at;
    const auto waiting = at.connect(kPeer);
    (void)at.connected(waiting);
    const auto paired = at.connect(kOtherPeer);
    const auto id = at.connected(paired);
    ASSERT_TRUE(at.world.ask(at.data, stun::kConnectionBind, connection(id)).ok());
    const auto connecting = at.connect(endpoint("198.51.100.9:1"));
    at.world.server.handle_client_closed(at.control.tuple, at.world.now);
    at.world.drain();
    EXPECT_THAT(at.world.closed_streams, testing::UnorderedElementsAre(waiting, paired, connecting));
    EXPECT_EQ(at.world.server.counts(), TurnCounts{});
    EXPECT_FALSE(at.world.server.next_timeout());
}

TEST(TurnStreams, ConnectOnceToOnePeer) {
    Relayed at;
    const auto stream = at.connect(kPeer);
    EXPECT_EQ(at.world.ask(at.control, stun::kConnect, to(kPeer)).error(), 446);
    (void)at.connected(stream);
    EXPECT_EQ(at.world.ask(at.control, stun::kConnect, to(kPeer)).error(), 446);
    at.world.server.handle_stream_closed(stream, at.world.now);
    (void)at.connect(kPeer);
}

TEST(TurnStreams, AreBoundByTheirOwnerOnceAndOnAStream) {
    World world{{.users = {{.name = "user", .password = "password"}, {.name = "other", .password = "word"}}}};
    auto control = world.client(40000, TurnTransport::tcp);
    world.allocate(control, tcp());
    EXPECT_FALSE(world.ask_once(control, stun::kConnect, to(kPeer)));
    world.server.handle_peer_connected(world.connects[0].stream, world.now);
    world.drain();
    const auto id = world.take(control)->view().connection_id().value();
    auto other = world.client(40001, TurnTransport::tcp);
    other.username = "other";
    other.password = "word";
    EXPECT_EQ(world.ask(other, stun::kConnectionBind, connection(id)).error(), 441);
    auto datagrams = world.client(40002);
    EXPECT_EQ(world.ask(datagrams, stun::kConnectionBind, connection(id)).error(), 400);
    EXPECT_EQ(world.ask(control, stun::kConnectionBind, connection(id)).error(), 437);
    auto data = world.client(40003, TurnTransport::tcp);
    EXPECT_EQ(world.ask(data, stun::kConnectionBind, nothing()).error(), 400);
    EXPECT_EQ(world.ask(data, stun::kConnectionBind, connection(id + 1)).error(), 400);
    EXPECT_TRUE(world.ask(data, stun::kConnectionBind, connection(id)).ok());
    auto again = world.client(40004, TurnTransport::tcp);
    EXPECT_EQ(world.ask(again, stun::kConnectionBind, connection(id)).error(), 400);
}

TEST(TurnStreams, AllocationsAreMadeOnStreamsAndWithoutWhatIsOfUdp) {
    World world;
    const std::array<Fill, 3> fills{[](auto& b) { b.even_port(false); },
                                    [](auto& b) { b.flag(AttributeType::dont_fragment); },
                                    [](auto& b) { b.u64(AttributeType::reservation_token, 1); }};
    for (const auto& fill : fills) {
        auto client = world.client(40000, TurnTransport::tcp);
        EXPECT_EQ(world.ask(client, stun::kAllocate, [&](auto& b) { tcp()(b), fill(b); }).error(), 400);
    }
    World without{{.config = {.tcp_relays = false}}};
    auto client = without.client(40000, TurnTransport::tcp);
    EXPECT_EQ(without.ask(client, stun::kAllocate, tcp()).error(), 442);
    EXPECT_TRUE(without.ask(client, stun::kAllocate, udp()).ok());
    EXPECT_EQ(without.ask(client, stun::kConnect, to(kPeer)).error(), 400);
}

TEST(TurnStreams, AndDatagramsDoNotMix) {
    Relayed at;
    EXPECT_EQ(at.world.ask(at.control, stun::kChannelBind, channel(0x4000, kPeer)).error(), 400);
    ASSERT_TRUE(at.world.ask(at.control, stun::kCreatePermission, to(kPeer)).ok());
    at.world.indicate(at.control, kPeer, "x");
    at.world.from_peer(at.relayed, kPeer, "x");
    EXPECT_THAT(at.world.to_peers, IsEmpty());
    EXPECT_FALSE(at.world.take(at.control));
    auto client = at.world.client(1, TurnTransport::tcp);
    at.world.allocate(client);
    EXPECT_EQ(at.world.ask(client, stun::kConnect, to(kPeer)).error(), 400);
}

TEST(TurnStreams, AreBounded) {
    TurnConfig config;
    config.limits.streams = 2;
    Relayed at{{.config = config}};
    (void)at.connect(kPeer);
    (void)at.connect(kOtherPeer);
    EXPECT_EQ(at.world.ask(at.control, stun::kConnect, to(endpoint("198.51.100.9:1"))).error(), 508);
    ASSERT_TRUE(at.world.ask(at.control, stun::kCreatePermission, to(kPeer)).ok());
    EXPECT_FALSE(at.accept(kPeer));
}

TEST(TurnStreams, ShareTheBandwidthOfTheirUser) {
    TurnConfig config;
    config.limits.account_bytes_per_second = 1'000'000;
    Relayed at{{.config = config}};
    const auto stream = at.connect(kPeer);
    const auto id = at.connected(stream);
    EXPECT_EQ(at.world.server.allow_stream_bytes(stream, 100, at.world.now), 0U);
    ASSERT_TRUE(at.world.ask(at.data, stun::kConnectionBind, connection(id)).ok());
    at.world.pass(60s);
    std::size_t passed = 0;
    for (int i = 0; i < 1000; ++i) {
        at.world.pass(1ms);
        passed += at.world.server.allow_stream_bytes(stream, 65536, at.world.now);
    }
    EXPECT_NEAR(static_cast<double>(passed), 3'000'000.0, 70'000.0);
}

}  // namespace
}  // namespace pinhole::turn
