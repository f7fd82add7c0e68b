#include "tests/unit/rendezvous/world.hpp"

#include <gmock/gmock.h>

namespace pinhole::rendezvous {
namespace {

using testing::HasSubstr;
using testing::Optional;

void send_raw(Peer& peer, const Bytes& plaintext) {
    ASSERT_TRUE(peer.link.send(plaintext));
}

TEST(Abuse, FloodOfMessagesClosesOnlyThatConnection) {
    World world;
    auto& flooder = world.log_in(1);
    auto& other = world.log_in(1);
    for (int i = 0; i < 600; ++i) {
        flooder.send(signaling::Ping{.token = 1});
    }
    world.pump();
    EXPECT_THAT(flooder.closed, Optional(HasSubstr("flood")));
    EXPECT_FALSE(other.closed);
}

TEST(Abuse, SteadyRateBelowTheLimitIsFine) {
    World world;
    auto& busy = world.log_in(1);
    for (int i = 0; i < 2000; ++i) {
        busy.send(signaling::Ping{.token = 1});
        world.advance(10ms);
    }
    EXPECT_FALSE(busy.closed);
}

TEST(Abuse, FloodOfBytesClosesOnlyThatConnection) {
    World world;
    auto& flooder = world.log_in(1);
    auto& other = world.log_in(2);
    for (int i = 0; i < 40 && !flooder.closed; ++i) {
        const signaling::Connect big{
            .call = {1}, .to = other.id, .handshake = Bytes(limits::kMaxSessionHandshake), .candidates = {}};
        auto bytes = signaling::serialize(signaling::ToServer{big});
        // An unknown field of 60 KB (number 100, length-delimited) is legal Protobuf.
        const std::size_t padding = 60'000;
        for (const auto byte : {0xa2, 0x06, 0xe0, 0xd4, 0x03}) {
            bytes.push_back(static_cast<std::uint8_t>(byte));
        }
        bytes.resize(bytes.size() + padding);
        send_raw(flooder, bytes);
        flooder.send(End{.call = {1}, .reason = EndReason::hangup});
        world.pump();
    }
    EXPECT_THAT(flooder.closed, Optional(HasSubstr("flood")));
    EXPECT_FALSE(other.closed);
}

TEST(Abuse, MalformedMessageClosesOnlyThatConnection) {
    World world;
    auto& bad = world.log_in(1);
    auto& other = world.log_in(1);
    send_raw(bad, {0xff, 0xff, 0xff});
    world.pump();
    EXPECT_TRUE(bad.closed);
    EXPECT_FALSE(other.closed);
}

TEST(Abuse, UnknownKindOfMessageIsIgnored) {
    World world;
    auto& newer = world.log_in(1);
    send_raw(newer, {0xa2, 0x06, 0x01, 0x00});
    world.pump();
    EXPECT_FALSE(newer.closed);
}

TEST(Abuse, FrameThatDoesNotDecryptClosesOnlyThatConnection) {
    World world;
    auto& bad = world.log_in(1);
    auto& other = world.log_in(1);
    const Bytes frame(2 + 32, 0x00);
    auto forged = frame;
    forged[1] = 32;
    world.server().handle_bytes(bad.connection, forged, world.now());
    world.pump();
    EXPECT_THAT(bad.closed, Optional(HasSubstr("decrypt")));
    EXPECT_FALSE(other.closed);
}

TEST(Abuse, OversizedHandshakeFrameIsRefusedAtItsHeader) {
    World world;
    auto& bad = world.open(1);
    const Bytes bytes{0xc0, 'P', 'H', 1, 0xff, 0xff};
    world.server().handle_bytes(bad.connection, bytes, world.now());
    static_cast<void>(bad.link.poll_output());
    world.pump();
    EXPECT_TRUE(bad.closed);
}

TEST(Abuse, GarbageInsteadOfThePreambleIsRefused) {
    World world;
    auto& bad = world.open(1);
    world.server().handle_bytes(bad.connection, as_bytes("GET / HTTP/1.1\r\n"), world.now());
    static_cast<void>(bad.link.poll_output());
    world.pump();
    EXPECT_THAT(bad.closed, Optional(HasSubstr("pinhole")));
    world.expect_empty();
}

TEST(Abuse, CallersCannotFillTheQueueOfAPeerThatIsSlowToRead) {
    World world;
    auto& slow = world.log_in(1);
    auto& caller = world.log_in(2);
    world.server().pause_output(slow.connection);
    for (std::uint64_t id = 1; id <= 300; ++id) {
        auto call = call_to(slow, id);
        call.handshake.resize(limits::kMaxSessionHandshake);
        caller.send(call);
        caller.send(End{.call = {id}, .reason = EndReason::hangup});
        world.advance(20ms);
    }
    EXPECT_FALSE(slow.closed);
    EXPECT_FALSE(caller.closed);
    const auto ends = caller.all<End>();
    ASSERT_FALSE(ends.empty());
    EXPECT_EQ(ends.back().reason, EndReason::limit);
}

TEST(Abuse, OneNetworkCannotFloodIntroductions) {
    Config config;
    config.connects = {.per_second = 1, .burst = 4};
    World world{config};
    auto& callee = world.log_in(1, "192.0.2.1:1");
    auto& first = world.log_in(2, "198.51.100.1:1");
    auto& second = world.log_in(3, "198.51.100.2:1");
    auto& elsewhere = world.log_in(4, "203.0.113.1:1");
    for (std::uint64_t id = 1; id <= 3; ++id) {
        first.send(call_to(callee, id));
        second.send(call_to(callee, id));
    }
    elsewhere.send(call_to(callee));
    world.pump();
    EXPECT_EQ(callee.all<signaling::Incoming>().size(), 4U + 1U);
    EXPECT_EQ(first.all<End>().size() + second.all<End>().size(), 2U);
    EXPECT_EQ(second.all<End>().back().reason, EndReason::limit);
    EXPECT_FALSE(first.closed || second.closed) << "who shares a network with a flooder keeps the connection";
    EXPECT_EQ(world.server().stats().limited, 2U);

    world.advance(1s);
    second.send(call_to(callee, 9));
    world.pump();
    EXPECT_EQ(callee.all<signaling::Incoming>().size(), 6U);
}

TEST(Abuse, PeerThatAsksButDoesNotReadIsClosedAtTheBacklog) {
    World world;
    auto& deaf = world.log_in(1);
    world.server().pause_output(deaf.connection);
    for (std::uint64_t token = 1; token <= 20'000 && !deaf.closed; ++token) {
        deaf.send(signaling::Ping{.token = token | 1ULL << 63});
        world.advance(10ms);
    }
    EXPECT_THAT(deaf.closed, Optional(HasSubstr("does not read")));
}

TEST(Abuse, PausedOutputComesInOrderWhenResumed) {
    World world;
    auto& peer = world.log_in(1);
    world.server().pause_output(peer.connection);
    peer.send(signaling::Ping{.token = 1});
    peer.send(signaling::Ping{.token = 2});
    world.pump();
    EXPECT_TRUE(peer.all<signaling::Pong>().empty());
    world.server().resume_output(peer.connection);
    world.pump();
    ASSERT_EQ(peer.all<signaling::Pong>().size(), 2U);
    EXPECT_EQ(peer.all<signaling::Pong>()[1].token, 2U);
}

TEST(Admission, UnfinishedLoginsPerSourceAreBounded) {
    World world;
    std::vector<Peer*> idle;
    for (int i = 0; i < 32; ++i) {
        idle.push_back(&world.open(1, "198.51.100.1:1"));
        static_cast<void>(idle.back()->link.poll_output());
    }
    auto& refused = world.open(2, "198.51.100.1:2");
    auto& elsewhere = world.open(3, "198.51.100.2:2");
    world.pump();
    EXPECT_THAT(refused.closed, Optional(HasSubstr("unfinished")));
    EXPECT_FALSE(elsewhere.closed);

    world.advance(limits::kHandshakeTimeout);
    EXPECT_FALSE(world.log_in(2, "198.51.100.1:3").closed);
}

TEST(Admission, ConnectionsPerSourceAreBounded) {
    Config config;
    config.admission.max_per_source = 3;
    World world{config};
    for (std::uint8_t i = 1; i <= 3; ++i) {
        world.log_in(i, "[2001:db8::1]:1");
    }
    auto& same_network = world.open(4, "[2001:db8::2:3]:1");
    auto& other_network = world.open(5, "[2001:db8:0:1::1]:1");
    world.pump();
    EXPECT_TRUE(same_network.closed);
    EXPECT_FALSE(other_network.closed);
    EXPECT_EQ(world.server().stats().turned_away, 1U);
}

TEST(Admission, ConnectionsPerIpv6SiteAreBoundedToo) {
    Config config;
    config.admission.max_per_site = 3;
    World world{config};
    for (const auto* address : {"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", "[2001:db8:0:3::1]:1"}) {
        world.log_in(1, address);
    }
    auto& same_site = world.open(4, "[2001:db8:0:4::1]:1");
    auto& other_site = world.open(5, "[2001:db8:1::1]:1");
    world.pump();
    EXPECT_THAT(same_site.closed, Optional(HasSubstr("one site")));
    EXPECT_FALSE(other_site.closed);

    world.hang_up(*world.peers().front());
    EXPECT_FALSE(world.log_in(4, "[2001:db8:0:4::1]:1").closed);
}

TEST(Admission, UnfinishedLoginsPerIpv6SiteAreBoundedToo) {
    Config config;
    config.admission.max_logging_in_per_site = 2;
    World world{config};
    for (const auto* address : {"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"}) {
        static_cast<void>(world.open(1, address).link.poll_output());
    }
    auto& refused = world.open(2, "[2001:db8:0:3::1]:1");
    world.pump();
    EXPECT_THAT(refused.closed, Optional(HasSubstr("unfinished")));
    world.advance(limits::kHandshakeTimeout);
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(world.log_in(2, "[2001:db8:0:3::1]:1").closed) << "logins that finish do not count";
    }
}

TEST(Admission, Ipv4AddressesOfOneNetworkAreCountedApart) {
    Config config;
    config.admission.max_per_site = 1;
    World world{config};
    world.log_in(1, "198.51.100.1:1");
    EXPECT_FALSE(world.log_in(2, "198.51.100.2:1").closed);
}

TEST(Admission, ConnectionsInTotalAreBounded) {
    Config config;
    config.admission.max_connections = 2;
    World world{config};
    auto& first = world.log_in(1, "198.51.100.1:1");
    world.log_in(2, "198.51.100.2:1");
    auto& third = world.open(3, "198.51.100.3:1");
    world.pump();
    EXPECT_THAT(third.closed, Optional(HasSubstr("full")));

    world.hang_up(first);
    EXPECT_FALSE(world.log_in(3, "198.51.100.3:1").closed);
}

}  // namespace
}  // namespace pinhole::rendezvous
