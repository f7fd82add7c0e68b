// The simulator itself: sockets of simulated hosts over the network model.
#include "tests/sim/world.hpp"

#include "tests/sim/nat_kinds.hpp"

#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

lab::Topology two_hosts(const lab::LinkConfig& line) {
    lab::Topology topology;
    topology.nats.push_back(nat_node(nat_config("home", {}), line));
    topology.hosts = {host_node("alice", "home"), server_node({.delay = 5ms}, 1)};
    return topology;
}

/// Everything that one side of a connection said, and how it ended.
struct Heard {
    Bytes bytes;
    bool connected = false;
    bool closed = false;

    [[nodiscard]] TcpHandler handler() {
        return {.connected = [this] { connected = true; },
                .received = [this](ByteView more) { bytes.insert(bytes.end(), more.begin(), more.end()); },
                .closed = [this] { closed = true; }};
    }
};

TEST(World, TcpCarriesEveryByteThroughLossInOrder) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(testing::Message() << "PINHOLE_SEED=" << seed);
        World world{two_hosts({.delay = 20ms, .jitter = 5ms, .loss = 0.2}), seed};
        auto& server = world.host("server");
        auto& alice = world.host("alice");
        Heard at_server;
        Heard at_alice;
        net::Endpoint observed;
        server.listen(80, [&](TcpId, const net::Endpoint&, const net::Endpoint& remote) {
            observed = remote;
            return at_server.handler();
        });
        const net::Endpoint to{.address = *server.source(net::Family::v4), .port = 80};
        const auto id = alice.connect(to, 0, at_alice.handler(), world.now());
        ASSERT_TRUE(id);
        Bytes sent(100'000);
        SeededRng{seed}.fill(sent);
        alice.write(*id, sent, world.now());
        ASSERT_TRUE(world.run([&] { return at_server.bytes.size() >= sent.size(); }, 1h));
        EXPECT_EQ(at_server.bytes, sent);
        EXPECT_TRUE(at_alice.connected);
        EXPECT_NE(observed.address, *alice.source(net::Family::v4)) << "the NAT's address is seen";
        alice.close_tcp(*id, world.now());
        EXPECT_TRUE(world.run([&] { return at_server.closed; }, 1h));
        EXPECT_FALSE(at_alice.closed) << "who closes is not told";
    }
}

TEST(World, ClosedPortRefusesAConnectionAndSilenceEndsItLater) {
    World world{two_hosts({.delay = 20ms}), 1};
    Heard refused;
    auto& alice = world.host("alice");
    const auto address = *world.host("server").source(net::Family::v4);
    ASSERT_TRUE(alice.connect({.address = address, .port = 81}, 0, refused.handler(), world.now()));
    EXPECT_TRUE(world.run([&] { return refused.closed; }, 100ms));
    EXPECT_FALSE(refused.connected);

    Heard lost;
    world.network().uplink("server").config().up = false;
    ASSERT_TRUE(alice.connect({.address = address, .port = 81}, 0, lost.handler(), world.now()));
    EXPECT_FALSE(world.run([&] { return lost.closed; }, 30s));
    EXPECT_TRUE(world.run([&] { return lost.closed; }, 10min));
}

TEST(World, OnePortTalksToSeveralServersButNotTwiceToOne) {
    World world{two_hosts({.delay = 20ms}), 1};
    auto& alice = world.host("alice");
    const auto address = *world.host("server").source(net::Family::v4);
    EXPECT_TRUE(alice.connect({.address = address, .port = 80}, 4000, {}, world.now()));
    EXPECT_TRUE(alice.connect({.address = address, .port = 81}, 4000, {}, world.now()));
    EXPECT_FALSE(alice.connect({.address = address, .port = 80}, 4000, {}, world.now()));
}

TEST(World, UdpPortsBelongToOneProgram) {
    World world{two_hosts({.delay = 20ms}), 1};
    auto& alice = world.host("alice");
    auto& server = world.host("server");
    std::vector<net::Endpoint> seen;
    ASSERT_TRUE(server.open_udp(53, [&](const net::Received& datagram) { seen.push_back(datagram.path.remote); }));
    EXPECT_FALSE(server.open_udp(53, {}));
    const net::Endpoint to{.address = *server.source(net::Family::v4), .port = 53};
    alice.send_udp({.local = {.address = *alice.source(net::Family::v4), .port = 4000}, .remote = to}, as_bytes("x"));
    world.run_for(1s);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].address, world.network().nat("home").external().front());
    server.close_udp(53);
    alice.send_udp({.local = {.address = *alice.source(net::Family::v4), .port = 4000}, .remote = to}, as_bytes("x"));
    world.run_for(1s);
    EXPECT_EQ(seen.size(), 1U);
}

TEST(World, WrongTopologyIsRefused) {
    lab::Topology topology;
    topology.hosts = {host_node("alice", "nowhere")};
    EXPECT_THROW((World{topology, 1}), std::invalid_argument);
}

}  // namespace
}  // namespace pinhole::sim
