// RFC 8656 §7 and §8 at the server.
#include "tests/unit/turn/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::turn {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace): the fixture of this folder
using testing::IsEmpty;
using testing::SizeIs;

Fill both(Fill first, Fill second) {
    return [=](MessageBuilder& builder) {
        first(builder);
        second(builder);
    };
}

Fill family(net::Family wanted) {
    return [=](MessageBuilder& builder) { builder.address_family(AttributeType::requested_address_family, wanted); };
}

Fill additional(net::Family wanted) {
    return [=](MessageBuilder& builder) { builder.address_family(AttributeType::additional_address_family, wanted); };
}

Fill even(bool next) {
    return [=](MessageBuilder& builder) { builder.even_port(next); };
}

Fill token(std::uint64_t value) {
    return [=](MessageBuilder& builder) { builder.u64(AttributeType::reservation_token, value); };
}

Fill raw(AttributeType type, Bytes value) {
    return [=](MessageBuilder& builder) { builder.attribute(type, value); };
}

TEST(TurnAllocate, AnswersAStrangerWithAChallengeAndNothingElse) {
    World world;
    const auto client = world.client();
    const auto reply = world.ask_once(client, stun::kAllocate, udp()).value();
    EXPECT_EQ(reply.error(), 401);
    EXPECT_EQ(reply.view().realm(), "pinhole");
    EXPECT_TRUE(reply.view().nonce());
    EXPECT_EQ(world.server.counts(), TurnCounts{});
    EXPECT_FALSE(world.server.next_timeout());
    EXPECT_THAT(world.openings, IsEmpty());
}

TEST(TurnAllocate, GivesAnAddressToWhoeverProvesWhoItIs) {
    World world;
    auto client = world.client();
    const auto reply = world.ask(client, stun::kAllocate, udp());
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(reply.view().xor_relayed_address(), endpoint("203.0.113.10:50000"));
    EXPECT_EQ(reply.view().xor_mapped_address(), client.tuple.path.remote);
    EXPECT_EQ(reply.view().lifetime(), 600s);
    EXPECT_TRUE(stun::verify_integrity(reply.view(), client.key()));
    EXPECT_EQ(world.server.counts().allocations, 1U);
    EXPECT_TRUE(world.server.has_allocation(client.tuple));
}

TEST(TurnAllocate, SentAgainIsAnsweredAgain) {
    World world;
    auto client = world.client();
    const auto id = world.transaction();
    const auto first = world.ask(client, stun::kAllocate, udp(), id);
    const auto second = world.ask(client, stun::kAllocate, udp(), id);
    EXPECT_EQ(first.bytes(), second.bytes());
    EXPECT_EQ(world.server.counts().relays, 1U);
}

TEST(TurnAllocate, SentAgainWhileItIsMadeWaitsForTheFirst) {
    World world;
    auto client = world.client();
    world.ask_once(client, stun::kAllocate, udp());
    world.answers_openings = false;
    const auto challenge = world.ask_once(client, stun::kAllocate, udp()).value();
    client.nonce = *challenge.view().nonce();
    client.realm = *challenge.view().realm();
    const auto id = world.transaction();
    EXPECT_FALSE(world.ask_once(client, stun::kAllocate, udp(), id));
    EXPECT_FALSE(world.ask_once(client, stun::kAllocate, udp(), id));
    EXPECT_EQ(world.ask_once(client, stun::kRefresh, nothing())->error(), 437);
    ASSERT_THAT(world.openings, SizeIs(1));
    world.open(world.openings[0]);
    world.drain();
    EXPECT_TRUE(world.take(client)->ok());
    EXPECT_FALSE(world.take(client));
}

TEST(TurnAllocate, ASecondOneOnTheSameTupleIsAMismatch) {
    World world;
    auto client = world.client();
    world.allocate(client);
    EXPECT_EQ(world.ask(client, stun::kAllocate, udp()).error(), 437);
    EXPECT_EQ(world.server.counts().allocations, 1U);
}

struct Case {
    std::string_view what;
    Fill fill;
    int error = 0;
};

TEST(TurnAllocate, RefusesWhatTheRfcRefuses) {
    using enum net::Family;
    const std::vector<Case> cases{
        {"no transport", nothing(), 400},
        {"broken transport", raw(AttributeType::requested_transport, {17}), 400},
        {"SCTP", [](MessageBuilder& builder) { builder.requested_transport(132); }, 442},
        {"TCP on UDP", tcp(), 400},
        {"broken lifetime", both(udp(), raw(AttributeType::lifetime, {1, 2})), 400},
        {"broken even port", both(udp(), raw(AttributeType::even_port, {0, 0})), 400},
        {"broken token", both(udp(), raw(AttributeType::reservation_token, {1, 2, 3, 4})), 400},
        {"token and even port", both(both(udp(), token(1)), even(false)), 400},
        {"token and family", both(both(udp(), token(1)), family(v4)), 400},
        {"token of nobody", both(udp(), token(1)), 508},
        {"unknown family", both(udp(), raw(AttributeType::requested_address_family, {3, 0, 0, 0})), 440},
        {"both families of both kinds", both(both(udp(), family(v4)), additional(v6)), 400},
        {"additional IPv4", both(udp(), additional(v4)), 400},
        {"a reserved port of two addresses", both(both(udp(), additional(v6)), even(true)), 400},
        {"unknown required", both(udp(), raw(AttributeType{0x7123}, {})), 420},
    };
    for (const auto& [what, fill, error] : cases) {
        SCOPED_TRACE(what);
        World world;
        auto client = world.client();
        const auto reply = world.ask(client, stun::kAllocate, fill);
        EXPECT_EQ(reply.error(), error);
        EXPECT_TRUE(stun::verify_integrity(reply.view(), client.key()));
        EXPECT_EQ(world.server.counts(), TurnCounts{});
        if (error == 420) {
            EXPECT_THAT(reply.view().unknown_attributes(), testing::ElementsAre(0x7123));
        }
    }
}

TEST(TurnAllocate, DontFragmentIsUnknownWhereTheShellCannot) {
    World world{{.config = {.dont_fragment = false}}};
    auto client = world.client();
    const auto reply =
        world.ask(client, stun::kAllocate, both(udp(), [](auto& b) { b.flag(AttributeType::dont_fragment); }));
    EXPECT_EQ(reply.error(), 420);
}

TEST(TurnAllocate, GivesTheFamilyThatIsAskedFor) {
    World world;
    auto client = world.client();
    const auto relayed = world.allocate(client, both(udp(), family(net::Family::v6)));
    EXPECT_EQ(relayed, endpoint("[2001:db8::10]:50000"));
    World v4_only{{.config = {.v6 = false}}};
    client = v4_only.client();
    EXPECT_EQ(v4_only.ask(client, stun::kAllocate, both(udp(), family(net::Family::v6))).error(), 440);
}

TEST(TurnAllocate, GivesBothFamiliesAtOnce) {
    World world;
    auto client = world.client();
    const auto reply = world.ask(client, stun::kAllocate, both(udp(), additional(net::Family::v6)));
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(world.server.counts().relays, 2U);
    EXPECT_EQ(world.server.counts().allocations, 1U);
    EXPECT_FALSE(reply.view().address_error_code());
    for (const auto& peer : {kPeer, kPeerV6}) {
        EXPECT_TRUE(world.ask(client, stun::kCreatePermission, to(peer)).ok());
        world.indicate(client, peer, "x");
    }
    ASSERT_THAT(world.to_peers, SizeIs(2));
    EXPECT_NE(world.to_peers[0].relay, world.to_peers[1].relay);
}

TEST(TurnAllocate, GivesOneFamilyAndSaysWhyNotTheOther) {
    World world{{.config = {.v6 = false}}};
    auto client = world.client();
    const auto reply = world.ask(client, stun::kAllocate, both(udp(), additional(net::Family::v6)));
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(reply.view().address_error_code()->family, net::Family::v6);
    EXPECT_EQ(reply.view().address_error_code()->error.code, 440);
    EXPECT_EQ(world.ask(client, stun::kCreatePermission, to(kPeerV6)).error(), 443);
}

TEST(TurnAllocate, GivesOneFamilyWhenTheOtherCannotBeOpened) {
    World world;
    auto client = world.client();
    world.answers_openings = false;
    const auto challenge = world.ask_once(client, stun::kAllocate, udp()).value();
    client.nonce = *challenge.view().nonce();
    client.realm = *challenge.view().realm();
    EXPECT_FALSE(world.ask_once(client, stun::kAllocate, both(udp(), additional(net::Family::v6))));
    ASSERT_THAT(world.openings, SizeIs(2));
    world.open(world.openings[0]);
    world.server.handle_relay_failed(world.openings[1].relay, world.now);
    world.drain();
    const auto reply = world.take(client).value();
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(reply.view().address_error_code()->error.code, 508);
}

TEST(TurnAllocate, SaysThatThereIsNoRoomWhenNothingCanBeOpened) {
    World world;
    auto client = world.client();
    world.answers_openings = false;
    const auto challenge = world.ask_once(client, stun::kAllocate, udp()).value();
    client.nonce = *challenge.view().nonce();
    client.realm = *challenge.view().realm();
    EXPECT_FALSE(world.ask_once(client, stun::kAllocate, both(udp(), even(true))));
    EXPECT_EQ(world.server.counts().relays, 2U);
    world.server.handle_relay_failed(world.openings[0].relay, world.now);
    world.drain();
    EXPECT_EQ(world.take(client)->error(), 508);
    EXPECT_EQ(world.server.counts(), TurnCounts{});
    EXPECT_THAT(world.closed_relays, IsEmpty());
}

TEST(TurnAllocate, ReservesTheNextPortForWhoeverHasTheToken) {
    World world;
    world.next_port = 50001;
    auto client = world.client();
    const auto reply = world.ask(client, stun::kAllocate, both(udp(), even(true)));
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(reply.view().xor_relayed_address()->port, 50002);
    const auto reserved = reply.view().reservation_token().value();
    EXPECT_EQ(world.server.counts().reservations, 1U);

    auto second = world.client(40001);
    EXPECT_EQ(world.allocate(second, both(udp(), token(reserved))).port, 50003);
    EXPECT_EQ(world.server.counts().reservations, 0U);
    auto third = world.client(40002);
    EXPECT_EQ(world.ask(third, stun::kAllocate, both(udp(), token(reserved))).error(), 508);
}

TEST(TurnAllocate, AReservationIsForTheSameUserAndThirtySeconds) {
    World world{{.users = {{.name = "user", .password = "password"}, {.name = "other", .password = "word"}}}};
    auto client = world.client();
    const auto reply = world.ask(client, stun::kAllocate, both(udp(), even(true)));
    const auto reserved = reply.view().reservation_token().value();
    auto other = world.client(40001);
    other.username = "other";
    other.password = "word";
    EXPECT_EQ(world.ask(other, stun::kAllocate, both(udp(), token(reserved))).error(), 508);
    world.pass(30s);
    EXPECT_EQ(world.server.counts().reservations, 0U);
    EXPECT_EQ(world.server.counts().relays, 1U);
    EXPECT_THAT(world.closed_relays, SizeIs(1));
    auto second = world.client(40002);
    EXPECT_EQ(world.ask(second, stun::kAllocate, both(udp(), token(reserved))).error(), 508);
}

TEST(TurnAllocate, WhatComesToAReservedPortIsDropped) {
    World world;
    auto client = world.client();
    const auto relayed = world.allocate(client, both(udp(), even(true)));
    world.from_peer({.address = relayed.address, .port = static_cast<std::uint16_t>(relayed.port + 1)}, kPeer, "x");
    EXPECT_FALSE(world.take(client));
    EXPECT_EQ(world.server.stats().not_permitted, 1U);
}

TEST(TurnAllocate, TheTimeThatAPortTakesCostsNoSecond) {
    TurnConfig config;
    config.lifetimes.allocation = config.lifetimes.max_allocation = 1s;
    World world{{.config = config}};
    auto client = world.client();
    world.answers_openings = false;
    const auto challenge = world.ask_once(client, stun::kAllocate, udp()).value();
    client.nonce = *challenge.view().nonce();
    client.realm = *challenge.view().realm();
    EXPECT_FALSE(world.ask_once(client, stun::kAllocate, udp()));
    ASSERT_THAT(world.openings, SizeIs(1));
    world.now += 1ms;
    world.open(world.openings[0]);
    world.drain();
    EXPECT_EQ(world.take(client).value().view().lifetime(), 1s);
}

TEST(TurnAllocate, LastsAsLongAsAskedWithinTheBounds) {
    for (const auto& [asked, given] :
         {std::pair{1, 600s}, {600, 600s}, {1200, 1200s}, {3600, 3600s}, {100000, 3600s}}) {
        World world;
        auto client = world.client();
        EXPECT_EQ(world.ask(client, stun::kAllocate, lasting(asked)).view().lifetime(), given);
        world.pass(given - 1s);
        EXPECT_EQ(world.server.counts().allocations, 1U);
        world.pass(1s);
        EXPECT_EQ(world.server.counts(), TurnCounts{});
        EXPECT_THAT(world.closed_relays, SizeIs(1));
    }
}

TEST(TurnRefresh, KeepsItAliveAndEndsIt) {
    World world;
    auto client = world.client();
    world.allocate(client);
    for (int i = 0; i < 10; ++i) {
        world.pass(599s);
        const auto reply = world.ask(client, stun::kRefresh, nothing());
        EXPECT_EQ(reply.view().lifetime(), 600s);
    }
    const auto end = [](MessageBuilder& builder) { builder.lifetime(std::chrono::seconds{0}); };
    const auto reply = world.ask(client, stun::kRefresh, end);
    EXPECT_TRUE(reply.ok());
    EXPECT_EQ(reply.view().lifetime(), 0s);
    EXPECT_EQ(world.server.counts(), TurnCounts{});
    EXPECT_EQ(world.ask(client, stun::kRefresh, end).error(), 437);
    EXPECT_FALSE(world.server.next_timeout());
}

TEST(TurnRefresh, OfAFamilyThatThereIsNotIsAMismatch) {
    World world;
    auto client = world.client();
    world.allocate(client);
    EXPECT_EQ(world.ask(client, stun::kRefresh, family(net::Family::v6)).error(), 443);
    EXPECT_TRUE(world.ask(client, stun::kRefresh, family(net::Family::v4)).ok());
}

TEST(TurnRefresh, EndsOneOfTwoFamilies) {
    World world;
    auto client = world.client();
    ASSERT_TRUE(world.ask(client, stun::kAllocate, both(udp(), additional(net::Family::v6))).ok());
    const auto end = [](MessageBuilder& builder) { builder.lifetime(std::chrono::seconds{0}); };
    EXPECT_TRUE(world.ask(client, stun::kRefresh, both(end, family(net::Family::v6))).ok());
    EXPECT_EQ(world.server.counts().relays, 1U);
    EXPECT_EQ(world.ask(client, stun::kCreatePermission, to(kPeerV6)).error(), 443);
    EXPECT_TRUE(world.ask(client, stun::kRefresh, both(end, family(net::Family::v4))).ok());
    EXPECT_EQ(world.server.counts(), TurnCounts{});
}

TEST(TurnAllocate, GoesWithTheStreamOfItsClient) {
    World world;
    auto client = world.client(40000, TurnTransport::tls);
    world.allocate(client);
    world.server.handle_client_closed(client.tuple, world.now);
    world.drain();
    EXPECT_EQ(world.server.counts(), TurnCounts{});
    EXPECT_THAT(world.closed_relays, SizeIs(1));
}

TEST(TurnLimits, OneUserCannotHaveAllAllocations) {
    TurnConfig config;
    config.limits.allocations_per_account = 3;
    World world{{.config = config}};
    for (std::uint16_t port = 1; port <= 3; ++port) {
        auto client = world.client(port);
        world.allocate(client);
    }
    auto client = world.client(4);
    EXPECT_EQ(world.ask(client, stun::kAllocate, udp()).error(), 486);
    EXPECT_EQ(world.server.counts().allocations, 3U);
    world.pass(600s);
    EXPECT_TRUE(world.ask(client, stun::kAllocate, udp()).ok());
}

TEST(TurnLimits, AReservationTakesAPlace) {
    TurnConfig config;
    config.limits.allocations_per_account = 3;
    World world{{.config = config}};
    auto client = world.client(1);
    world.allocate(client, both(udp(), even(true)));
    auto second = world.client(2);
    EXPECT_EQ(world.ask(second, stun::kAllocate, both(udp(), even(true))).error(), 486);
    world.allocate(second);
    world.pass(30s);
    auto third = world.client(3);
    world.allocate(third);
    auto fourth = world.client(4);
    EXPECT_EQ(world.ask(fourth, stun::kAllocate, udp()).error(), 486);
}

TEST(TurnLimits, OneSourceCannotHaveAllAllocations) {
    TurnConfig config;
    config.limits.allocations_per_source = 2;
    World world{{.config = config, .users = {{.name = "a", .password = "p"}, {.name = "b", .password = "p"}}}};
    for (std::uint16_t port = 1; port <= 3; ++port) {
        auto client = world.client(port);
        client.username = port == 1 ? "a" : "b";
        client.password = "p";
        EXPECT_EQ(world.ask(client, stun::kAllocate, udp()).error(), port == 3 ? 486 : 0);
    }
}

TEST(TurnLimits, AFullServerSaysSo) {
    TurnConfig config;
    config.limits.allocations = 2;
    World world{{.config = config}};
    for (std::uint16_t port = 1; port <= 3; ++port) {
        auto client = world.client(port);
        EXPECT_EQ(world.ask(client, stun::kAllocate, udp()).error(), port == 3 ? 508 : 0);
    }
}

}  // namespace
}  // namespace pinhole::turn
