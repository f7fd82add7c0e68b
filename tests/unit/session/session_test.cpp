// Calls that come about, end, or are refused.
#include "tests/unit/session/world.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::session {
namespace {

TEST(Session, ConnectsAndCarriesAStream) {
    World world;
    world.alice_calls();
    world.run(2s);
    ASSERT_NE(world.alice.last<Connected>(), nullptr);
    ASSERT_NE(world.bob.last<Connected>(), nullptr);
    ASSERT_NE(world.alice.last<PathInUse>(), nullptr);
    EXPECT_EQ(world.alice.last<PathInUse>()->addresses.remote, world.bob.address);
    EXPECT_EQ(world.alice.last<PathInUse>()->strategy, "host");
    EXPECT_EQ(world.bob.last<Planned>()->topology, "test");

    auto& transport = *world.alice.session->transport();
    const auto stream = transport.open_stream(transport::Priority::chat);
    ASSERT_TRUE(stream);
    ASSERT_TRUE(transport.write(*stream, as_bytes("hello")));
    world.run(1s);
    std::array<std::uint8_t, 16> read{};
    const auto count = world.bob.session->transport()->read(*stream, read);
    ASSERT_TRUE(count);
    EXPECT_EQ(as_text(ByteView{read}.first(*count)), "hello");
}

TEST(Session, AnnouncesOnceWhatArrivesTogether) {
    World world;
    world.alice_calls();
    world.run(2s);
    auto& transport = *world.alice.session->transport();
    const auto stream = transport.open_stream(transport::Priority::file);
    ASSERT_TRUE(stream);
    const auto before = world.bob.session->transport()->stats().packets_received;
    ASSERT_EQ(transport.write(*stream, Bytes(200'000)).value(), 200'000U);
    world.run(1s);
    const auto packets = world.bob.session->transport()->stats().packets_received - before;
    const auto announced = std::ranges::count_if(world.bob.events, [](const Event& event) {
        const auto* told = std::get_if<transport::Event>(&event);
        return told != nullptr && std::holds_alternative<transport::Readable>(*told);
    });
    EXPECT_GE(announced, 1);
    EXPECT_GE(packets, 20U);
    EXPECT_LE(2 * announced, static_cast<std::ptrdiff_t>(packets));
    Bytes all(200'001);
    EXPECT_EQ(world.bob.session->transport()->read(*stream, all).value(), 200'000U);
}

TEST(Session, BothSidesEndWhenOneCloses) {
    World world;
    world.alice_calls();
    world.run(2s);
    world.alice.session->close(Goodbye::done, world.now);
    world.run(5s);
    ASSERT_NE(world.alice.last<Ended>(), nullptr);
    EXPECT_FALSE(world.alice.last<Ended>()->error.code);
    ASSERT_NE(world.bob.last<Ended>(), nullptr);
    EXPECT_EQ(world.bob.last<Ended>()->error.code, make_error_code(Errc::peer_closed));
    EXPECT_TRUE(world.alice.session->over());
    EXPECT_EQ(world.alice.session->next_timeout(), std::nullopt);
}

TEST(Session, TellsTheOtherSideThatItWasCancelled) {
    World world;
    world.alice_calls();
    world.run(2s);
    world.alice.session->close(Goodbye::cancelled, world.now);
    world.run(5s);
    ASSERT_NE(world.bob.last<Ended>(), nullptr);
    EXPECT_EQ(world.bob.last<Ended>()->error.code, make_error_code(Errc::peer_cancelled));
}

TEST(Session, OffersOnlyTheServicesThatBothTake) {
    World world;
    world.alice_calls(static_cast<std::uint8_t>(Service::chat));
    world.run(2s);
    EXPECT_EQ(world.bob.session->services(), static_cast<std::uint8_t>(Service::chat));
    EXPECT_EQ(world.alice.session->services(), static_cast<std::uint8_t>(Service::chat));
}

TEST(Session, SaysThatThereIsNoPathAndWhy) {
    World world;
    world.network_up = false;
    world.alice_calls();
    world.run(30s);
    ASSERT_NE(world.alice.last<Ended>(), nullptr);
    EXPECT_EQ(world.alice.last<Ended>()->error.code, make_error_code(Errc::no_path));
    EXPECT_THAT(world.alice.last<Ended>()->error.detail, testing::HasSubstr("firewall"));
    ASSERT_NE(world.bob.last<Ended>(), nullptr);
}

TEST(Session, NoticesASilentPeer) {
    World world;
    world.alice_calls();
    world.run(2s);
    world.network_up = false;
    world.run(16min);
    ASSERT_NE(world.alice.last<Ended>(), nullptr);
    EXPECT_EQ(world.alice.last<Ended>()->error.code, make_error_code(Errc::peer_lost));
}

TEST(Session, RefusesAnAnswerThatWasChangedOnTheWay) {
    World world;
    world.tamper_answer = true;
    world.alice_calls();
    world.run(2s);
    ASSERT_NE(world.alice.last<Ended>(), nullptr);
    EXPECT_EQ(world.alice.last<Ended>()->error.code, make_error_code(Errc::peer_identity));
}

TEST(Session, CorrectsAWrongClockOnce) {
    World world;
    world.alice.wall = {kWall.unix_ms - 3'600'000};
    world.alice_calls();
    world.run(2s);
    EXPECT_EQ(world.connects, 2);
    EXPECT_NE(world.alice.last<Connected>(), nullptr);
}

TEST(Session, IsNotFooledByAReplayedOffer) {
    World world;
    world.alice_calls();
    world.run(2s);
    const signaling::Incoming replay{
        .call = {78}, .from = world.alice.identity.id(), .handshake = world.last_connect.handshake, .candidates = {}};
    const auto read = read_fresh(replay, world.bob, world.guard);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().end.reason, signaling::EndReason::stale);
}

TEST(Session, RefusesACallerWhoIsNotWhoTheServerSays) {
    World world;
    world.alice_calls();
    world.run(2s);
    const signaling::Incoming forged{
        .call = {78}, .from = world.bob.identity.id(), .handshake = world.last_connect.handshake, .candidates = {}};
    ReplayGuard fresh;
    const auto read = read_fresh(forged, world.bob, fresh);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().end.reason, signaling::EndReason::bad);
}

TEST(Session, EndsWhenNobodyAnswers) {
    World world;
    world.alice.session = nullptr;
    SessionConfig config;
    config.identity = &world.alice.identity;
    config.remote = world.bob.identity.id();
    Session lonely{config, signaling::CallId{1}, {}, world.alice.rng};
    lonely.call(kWall, TimePoint{});
    ASSERT_TRUE(lonely.poll_signaling());
    ASSERT_EQ(lonely.next_timeout(), TimePoint{} + 35s);
    lonely.handle_timeout(TimePoint{} + 35s);
    const auto event = lonely.poll_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(std::get<Ended>(*event).error.code, make_error_code(Errc::no_answer));
}

}  // namespace
}  // namespace pinhole::session
