#include "peer/relay/turn_client.hpp"

#include "common/stun/channel_data.hpp"
#include "tests/unit/relay/turn_world.hpp"

#include <array>

#include <gtest/gtest.h>

namespace pinhole::relay {
namespace {

using testing::AllocatedWorld;
using testing::at;
using testing::FakeServer;
using testing::World;

const net::Endpoint kBob = at("192.0.2.7:7000");

std::error_code failure(const World& world) {
    const auto* failed = world.last<Failed>();
    return failed == nullptr ? std::error_code{} : failed->error.code;
}

TEST(TurnClient, AllocatesWithinTwoRoundTrips) {
    World world;
    world.client.allocate(world.now);
    world.run_for(40ms);
    ASSERT_NE(world.last<Allocated>(), nullptr);
    EXPECT_EQ(world.last<Allocated>()->relayed, std::vector{at("198.51.100.9:50000")});
    EXPECT_EQ(world.last<Allocated>()->reflexive, at("203.0.113.5:40000"));
    EXPECT_EQ(world.last<Allocated>()->rtt, 20ms);
}

TEST(TurnClient, NeedsOneRoundTripWithTheChallengeOfAnEarlierAllocation) {
    World world{{.challenge = Challenge{.realm = "lab", .nonce = "n1"}}};
    world.client.allocate(world.now);
    world.run_for(20ms);
    EXPECT_NE(world.last<Allocated>(), nullptr);
}

TEST(TurnClient, MeasuresWithoutAllocating) {
    World world{{.challenge = Challenge{.realm = "lab", .nonce = "n1"}}};
    world.client.measure(world.now);
    world.settle();
    ASSERT_NE(world.last<Challenged>(), nullptr);
    EXPECT_EQ(world.last<Challenged>()->rtt, 20ms);
    EXPECT_FALSE(world.server.allocated(world.now));
    world.client.allocate(world.now);
    world.run_for(20ms);
    EXPECT_NE(world.last<Allocated>(), nullptr);
}

TEST(TurnClient, AllocatesAtAServerThatAsksForNoCredentials) {
    EXPECT_TRUE(AllocatedWorld({}, {.challenges = false}).client.allocated());
}

TEST(TurnClient, FetchesANonceAgainWhenItHasGrownStale) {
    World world{{.challenge = Challenge{.realm = "lab", .nonce = "old"}}};
    world.client.allocate(world.now);
    world.settle();
    EXPECT_TRUE(world.client.allocated());
    world.server.nonce = "n2";
    EXPECT_TRUE(world.send(kBob, "hello"));
    world.settle();
    EXPECT_TRUE(world.server.permits(kBob.address, world.now));
    EXPECT_TRUE(world.client.allocated());
}

TEST(TurnClient, GivesUpOnCredentialsThatTheServerDoesNotTake) {
    World world{{.credentials = {.username = "mallory", .password = "x"}}};
    world.client.allocate(world.now);
    world.settle();
    EXPECT_EQ(failure(world), make_error_code(Errc::refused_credentials));
    EXPECT_LE(world.server.requests.size(), 3U);
}

TEST(TurnClient, GoesOnWithNewCredentialsWhenTheOldOnesAreRefused) {
    AllocatedWorld world;
    world.client.replace({.username = "2000003600:peer", .password = "newer"});
    world.server.settings.credentials = {.username = "2000003600:peer", .password = "newer"};
    world.client.verify(world.now);
    world.settle();
    EXPECT_TRUE(world.client.allocated());
    EXPECT_EQ(world.last<Failed>(), nullptr);
}

TEST(TurnClient, RepeatsRequestsOverUdpAndThenGivesUp) {
    World world;
    world.server.silent = true;
    world.client.allocate(world.now);
    world.run_for(7750ms - 1ms);
    EXPECT_EQ(world.server.requests.size(), 5U);
    EXPECT_EQ(world.last<Failed>(), nullptr);
    world.run_for(1ms);
    EXPECT_EQ(failure(world), make_error_code(Errc::no_answer));
    EXPECT_FALSE(world.client.next_timeout());
}

TEST(TurnClient, RepeatsNothingOverAStream) {
    World world{{.stream = true}};
    world.server.silent = true;
    world.client.allocate(world.now);
    world.run_for(10s);
    EXPECT_EQ(world.server.requests.size(), 1U);
    EXPECT_EQ(failure(world), make_error_code(Errc::no_answer));
}

TEST(TurnClient, IgnoresAnswersThatTheServerHasNotSigned) {
    World world;
    world.server.unsigned_answers = true;
    world.client.allocate(world.now);
    world.run_for(10s);
    EXPECT_EQ(world.last<Allocated>(), nullptr);
    EXPECT_EQ(failure(world), make_error_code(Errc::no_answer));
}

TEST(TurnClient, SaysWhyAServerDoesNotAllocate) {
    const std::map<std::uint16_t, Errc> reasons{
        {300, Errc::elsewhere},   {403, Errc::refused}, {437, Errc::port_in_use}, {440, Errc::unsupported},
        {442, Errc::unsupported}, {486, Errc::quota},   {500, Errc::refused},     {508, Errc::full}};
    for (const auto& [code, reason] : reasons) {
        SCOPED_TRACE(code);
        World world;
        world.server.errors[stun::kAllocate.value] = {code};
        world.client.allocate(world.now);
        world.settle();
        EXPECT_EQ(failure(world), make_error_code(reason));
    }
}

TEST(TurnClient, NamesTheAlternateServer) {
    World world;
    world.server.errors[stun::kAllocate.value] = {300};
    world.client.allocate(world.now);
    world.settle();
    EXPECT_EQ(world.last<Failed>()->alternate, at("198.51.100.77:3478"));
}

TEST(TurnClient, HasAnAddressOfEachFamily) {
    const std::vector both{at("198.51.100.9:50000"), at("[2001:db8::9]:50001")};
    AllocatedWorld world{{.families = Families::both}, {.relayed = both}};
    EXPECT_EQ(world.client.relayed(), both);
    EXPECT_TRUE(world.send(at("[2001:db8::77]:9"), "six"));
    EXPECT_TRUE(world.send(kBob, "four"));
}

TEST(TurnClient, TakesOneFamilyFromAServerThatDoesNotKnowTheOther) {
    World world{{.families = Families::both}};
    world.server.errors[stun::kAllocate.value] = {440};
    world.client.allocate(world.now);
    world.settle();
    EXPECT_TRUE(world.client.allocated());
    EXPECT_FALSE(world.send(at("[2001:db8::77]:9"), "six"));
}

TEST(TurnClient, SendsAtOnceAndByAChannelOnceItIsBound) {
    AllocatedWorld world;
    EXPECT_TRUE(world.send(kBob, "first"));
    world.settle();
    ASSERT_EQ(world.server.delivered.size(), 1U);
    EXPECT_FALSE(world.server.delivered[0].in_channel);
    EXPECT_TRUE(world.send(kBob, "second"));
    world.settle();
    ASSERT_EQ(world.server.delivered.size(), 2U);
    EXPECT_TRUE(world.server.delivered[1].in_channel);
    EXPECT_EQ(world.server.delivered[1].peer, kBob);
    EXPECT_EQ(as_text(world.server.delivered[1].payload), "second");
}

TEST(TurnClient, GivesNoChannelToPeersThatAreOnlyChecked) {
    AllocatedWorld world;
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(world.send(kBob, std::string_view{"\0\1check", 7}));
        world.settle();
    }
    EXPECT_EQ(world.server.count(stun::kChannelBind), 0U);
    EXPECT_EQ(world.server.count(stun::kCreatePermission), 1U);
    EXPECT_EQ(world.server.delivered.size(), 20U);
}

TEST(TurnClient, HandsOverWhatPeersSendWithAndWithoutAChannel) {
    AllocatedWorld world;
    world.client.permit(kBob, world.now);
    world.settle();
    world.peer_sends(kBob, "indication");
    world.settle();
    EXPECT_TRUE(world.send(kBob, "bind"));
    world.settle();
    world.peer_sends(kBob, "channel");
    world.settle();
    ASSERT_EQ(world.received.size(), 2U);
    EXPECT_EQ(world.received[0].first, (net::PathAddresses{.local = at("198.51.100.9:50000"), .remote = kBob}));
    EXPECT_EQ(world.received[0].second, "indication");
    EXPECT_EQ(world.received[1].second, "channel");
}

TEST(TurnClient, PadsChannelDataOnAStreamOnly) {
    for (const bool stream : {false, true}) {
        SCOPED_TRACE(stream);
        AllocatedWorld world{{.stream = stream}};
        EXPECT_TRUE(world.send(kBob, "bind"));
        world.settle();
        std::array<std::uint8_t, 64> buffer{};
        const auto message = world.client.wrap({.local = world.client.relayed()[0], .remote = kBob}, as_bytes("hello"),
                                               buffer, world.now);
        EXPECT_EQ(message.size(), stun::kChannelHeaderSize + (stream ? 8U : 5U));
    }
}

TEST(TurnClient, StopsSendingToAPeerThatTheServerForbids) {
    AllocatedWorld world;
    world.server.errors[stun::kCreatePermission.value] = {403};
    EXPECT_TRUE(world.send(kBob, std::string_view{"\0\1check", 7}));
    world.settle();
    EXPECT_FALSE(world.send(kBob, std::string_view{"\0\1check", 7}));
    world.settle();
    EXPECT_EQ(world.server.count(stun::kCreatePermission), 1U);
    world.run_for(5min);
    EXPECT_TRUE(world.send(kBob, std::string_view{"\0\1check", 7}));
    world.settle();
    EXPECT_TRUE(world.server.permits(kBob.address, world.now));
}

TEST(TurnClient, SendsOnWithoutTheChannelThatTheServerHasNoRoomFor) {
    AllocatedWorld world;
    world.server.errors[stun::kChannelBind.value] = {508};
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(world.send(kBob, "data"));
        world.settle();
    }
    EXPECT_EQ(world.server.delivered.size(), 5U);
    EXPECT_EQ(world.server.count(stun::kChannelBind), 1U);
}

TEST(TurnClient, RefusesToSendFromAnAddressThatIsNotItsOwn) {
    AllocatedWorld world;
    std::array<std::uint8_t, 64> buffer{};
    EXPECT_TRUE(world.client.wrap({.local = at("198.51.100.9:50001"), .remote = kBob}, as_bytes("x"), buffer, world.now)
                    .empty());
}

TEST(TurnClient, BoundsThePeersThatItAsksFor) {
    AllocatedWorld world;
    std::size_t taken = 0;
    for (unsigned i = 0; i < 1000; ++i) {
        const auto address = net::Address::v4({10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)});
        taken += world.send({.address = address, .port = 5000}, "data") ? 1 : 0;
        world.run_for(1ms);
    }
    EXPECT_EQ(taken, kMaxPeers);
    world.settle();
    EXPECT_EQ(world.client.permissions(), kMaxPeers);
    EXPECT_EQ(world.client.channels(), kMaxPeers);
}

TEST(TurnClient, GivesTheAllocationBack) {
    AllocatedWorld world;
    world.client.release(world.now);
    EXPECT_FALSE(world.client.allocated());
    EXPECT_FALSE(world.client.next_timeout());
    world.settle();
    EXPECT_FALSE(world.server.allocated(world.now));
    EXPECT_FALSE(world.send(kBob, "late"));
}

}  // namespace
}  // namespace pinhole::relay
