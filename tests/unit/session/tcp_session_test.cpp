// Where UDP is blocked: connections over TCP, by the server's plan.
#include "tests/unit/session/world.hpp"

#include <gtest/gtest.h>

namespace pinhole::session {
namespace {

net::Transport transport_of(const Peer& peer) {
    return peer.last<PathInUse>()->addresses.transport;
}

/// Without UDP, and with a plan for TCP.
void without_udp(World& world) {
    world.udp_open = false;
    world.offer_tcp = true;
    world.tcp_start = 200ms;
}

/// Sends so much and says whether the other side has read it all, in order, after so long.
bool carries(World& world, std::size_t bytes, Duration time) {
    auto& transport = *world.alice.session->transport();
    const auto stream = transport.open_stream(transport::Priority::file);
    Bytes sent(bytes);
    world.alice.rng.fill(sent);
    const auto taken = stream ? transport.write(*stream, sent) : Result<std::size_t>{0};
    world.run(time);
    Bytes read(bytes);
    const auto count = world.bob.session->transport()->read(*stream, read);
    return taken == bytes && count == bytes && read == sent;
}

TEST(SessionOverTcp, ConnectsOverTcpWhereUdpIsBlocked) {
    World world;
    without_udp(world);
    world.alice_calls();
    world.run(190ms);
    EXPECT_EQ(world.alice.last<PathInUse>(), nullptr) << "not before its instant";
    world.run(2s);
    ASSERT_NE(world.alice.last<Connected>(), nullptr);
    ASSERT_NE(world.bob.last<Connected>(), nullptr);
    EXPECT_EQ(transport_of(world.alice), net::Transport::tcp);
    EXPECT_EQ(transport_of(world.bob), net::Transport::tcp);
    EXPECT_EQ(world.alice.last<PathInUse>()->strategy, "host");
    EXPECT_TRUE(carries(world, 300'000, 2s));
    EXPECT_EQ(world.largest, 1472U) << "a stream has no packets that could be too large";
    EXPECT_EQ(world.marked, 0U);
}

TEST(SessionOverTcp, OffersNoCandidateThatOnlyConnects) {
    World world;
    without_udp(world);
    world.alice_calls();
    world.run(100ms);
    for (const auto& candidate : world.last_connect.candidates) {
        EXPECT_NE(candidate.tcp_type, net::TcpType::active);
    }
    EXPECT_EQ(world.last_connect.candidates.size(), 2U);
}

TEST(SessionOverTcp, TriesNoTcpWithoutAPlanForIt) {
    World world;
    without_udp(world);
    world.tcp_start.reset();
    world.alice_calls();
    world.run(20s);
    ASSERT_NE(world.alice.last<Ended>(), nullptr);
    EXPECT_EQ(world.alice.last<Ended>()->error.code, make_error_code(Errc::no_path));
    EXPECT_EQ(world.alice.last<Ended>()->error.message().find("TCP"), std::string::npos);
}

TEST(SessionOverTcp, LeavesTcpForUdpThatComesLate) {
    World world;
    without_udp(world);
    world.alice_calls();
    world.run(400ms);
    ASSERT_NE(world.alice.last<Connected>(), nullptr);
    EXPECT_EQ(transport_of(world.alice), net::Transport::tcp);
    world.udp_open = true;
    EXPECT_TRUE(carries(world, 300'000, 3s));
    EXPECT_EQ(transport_of(world.alice), net::Transport::udp);
    EXPECT_EQ(transport_of(world.bob), net::Transport::udp);
}

TEST(SessionOverTcp, DoesNotTouchTcpWhereUdpWorks) {
    World world;
    world.offer_tcp = true;
    world.tcp_start = 1s;
    world.alice_calls();
    world.run(5s);
    ASSERT_NE(world.alice.last<Connected>(), nullptr);
    EXPECT_EQ(transport_of(world.alice), net::Transport::udp);
    const net::PathAddresses tcp{
        .local = world.alice.address, .remote = world.bob.address, .transport = net::Transport::tcp};
    EXPECT_FALSE(world.alice.session->uses(tcp));
    EXPECT_FALSE(world.bob.session->heard_on({.local = tcp.remote, .remote = tcp.local, .transport = tcp.transport}));
}

TEST(SessionOverTcp, GoesOnAfterItsConnectionBroke) {
    World world;
    without_udp(world);
    world.alice_calls();
    world.run(1s);
    ASSERT_NE(world.alice.last<Connected>(), nullptr);
    world.tcp_open = false;
    const auto path = world.alice.last<PathInUse>()->addresses;
    world.alice.session->handle_path_failed(path, world.now);
    world.bob.session->handle_path_failed({.local = path.remote, .remote = path.local, .transport = path.transport},
                                          world.now);
    world.run(300ms);
    world.tcp_open = true;
    EXPECT_TRUE(carries(world, 100'000, 5s));
    EXPECT_EQ(world.alice.last<Ended>(), nullptr);
    EXPECT_EQ(world.bob.last<Ended>(), nullptr);
}

}  // namespace
}  // namespace pinhole::session
