// What happens to the network while whole peers transfer: NATs that reboot or forget, lines that go down, servers that
// go away. And networks of more than two NATs. The transfer goes on wherever the peer can make it.
#include "peer/session/errors.hpp"
#include "tests/sim/connect_world.hpp"

#include <map>

#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

constexpr std::uint64_t kLong = 3'000'000;

/// About 25 s of transfer at this rate and size; every line alike.
constexpr lab::LinkConfig kLine{.delay = 20ms, .loss = 0.01, .bytes_per_second = 250'000};

lab::Topology two_homes(const NatKind& a, const std::optional<NatKind>& b) {
    lab::Topology topology;
    topology.nats.push_back(nat_node(nat_config("na", a), kLine));
    topology.hosts.push_back(host_node("alice", "na"));
    if (b) {
        topology.nats.push_back(nat_node(nat_config("nb", *b), kLine));
        topology.hosts.push_back(host_node("bob", "nb"));
    } else {
        topology.hosts.push_back(host_node("bob", lab::kInternet, kLine));
    }
    topology.hosts.push_back(server_node({.delay = 5ms}, 1));
    return topology;
}

constexpr NatKind kHome{};
constexpr NatKind kAddressFilter{.filtering = Dependence::address_dependent};

/// Logs in, connects and runs until a second after the first bytes.
std::unique_ptr<ConnectWorld> transferring(const lab::Topology& topology, std::uint64_t seed) {
    auto world = std::make_unique<ConnectWorld>(topology, seed, PeerOptions{.server = {}, .bytes = kLong});
    EXPECT_TRUE(world->log_in());
    world->alice.call(world->bob.id());
    EXPECT_TRUE(world->world.run([&] { return world->alice.connected() && world->bob.connected(); }, 20s));
    world->world.run_for(1s);
    EXPECT_FALSE(world->alice.exchanged());
    return world;
}

class Interrupted : public testing::TestWithParam<std::uint64_t> {};

INSTANTIATE_TEST_SUITE_P(Interruptions, Interrupted, testing::Range<std::uint64_t>(1, 6));

TEST_P(Interrupted, RebootOfOneNatIsSurvivedIfTheOtherSideLetsTheNewPortIn) {
    for (const auto& other : {std::optional<NatKind>{}, std::optional{kAddressFilter}}) {
        auto peers = transferring(two_homes(kHome, other), GetParam());
        peers->world.network().nat("na").rebind(peers->world.now());
        EXPECT_TRUE(peers->finish(60s)) << (other ? other->text() : "public");
        EXPECT_FALSE(peers->bob.corrupted());
    }
}

TEST_P(Interrupted, ForgottenMappingsComeBackWithTheNextPackets) {
    auto peers = transferring(two_homes(kHome, kHome), GetParam());
    for (int i = 0; i < 5; ++i) {
        peers->world.network().nat(i % 2 == 0 ? "na" : "nb").expire_all();
        peers->world.run_for(1s);
    }
    EXPECT_TRUE(peers->finish(60s));
}

TEST_P(Interrupted, LineThatIsDownForTenSecondsIsWaitedFor) {
    auto peers = transferring(two_homes(kHome, kHome), GetParam());
    auto& network = peers->world.network();
    network.uplink("na").config().up = false;
    network.downlink("na").config().up = false;
    peers->world.run_for(10s);
    network.uplink("na").config().up = true;
    network.downlink("na").config().up = true;
    EXPECT_TRUE(peers->finish(60s));
}

TEST_P(Interrupted, ServerIsNotNeededOnceConnected) {
    auto peers = transferring(two_homes(kHome, kHome), GetParam());
    peers->world.network().uplink("server").config().up = false;
    peers->world.network().downlink("server").config().up = false;
    EXPECT_TRUE(peers->finish(60s));
    peers->world.run_for(60s);
    EXPECT_FALSE(peers->alice.online());
    EXPECT_FALSE(peers->bob.ended()) << "keepalives hold the mappings of a quiet connection";
}

TEST_P(Interrupted, QuietConnectionOutlivesShortMappings) {
    auto topology = two_homes(kHome, kHome);
    for (auto& nat : topology.nats) {
        nat.nat.udp_timeout = 30s;
    }
    ConnectWorld peers{topology, GetParam()};
    ASSERT_TRUE(peers.log_in());
    ASSERT_EQ(peers.connect().outcome, Outcome::direct);
    peers.world.run_for(10min);
    EXPECT_FALSE(peers.alice.ended());
    EXPECT_FALSE(peers.bob.ended());
}

TEST_P(Interrupted, PeersMeasureTheirNetworksAndTellTheServerWhileTheyCall) {
    const NatKind sequential{.mapping = Dependence::address_and_port_dependent, .allocation = Allocation::sequential};
    auto topology = two_homes(sequential, kAddressFilter);
    topology.hosts.back() = server_node({.delay = 5ms});
    ConnectWorld peers{topology, GetParam(), {.server = {}, .measure_after = 100ms}};
    ASSERT_TRUE(peers.log_in());
    peers.world.run_for(200ms);
    EXPECT_EQ(peers.connect().outcome, Outcome::direct);
    peers.world.run_for(10s);
    auto& server = peers.server.core();
    std::map<crypto::PeerId, net::NetReport> reports;
    while (const auto connection = server.poll_report()) {
        reports.emplace(*server.peer(*connection), *server.report(*connection));
    }
    ASSERT_EQ(reports.size(), 2U);
    EXPECT_EQ(net::classify(reports.at(peers.alice.id())), net::NatClass::hard_sequential);
    EXPECT_EQ(net::classify(reports.at(peers.bob.id())), net::NatClass::easy_address);
    EXPECT_TRUE(peers.alice.netcheck()->complete_after());
}

TEST_P(Interrupted, GoodbyeReachesTheOtherSideAndTheNextCallWorks) {
    ConnectWorld peers{two_homes(kHome, kAddressFilter), GetParam()};
    ASSERT_TRUE(peers.log_in());
    for (int call = 0; call < 3; ++call) {
        ASSERT_EQ(peers.connect().outcome, Outcome::direct);
        peers.alice.hang_up();
        EXPECT_TRUE(peers.world.run([&] { return peers.alice.ended() && peers.bob.ended(); }, 5s));
        EXPECT_FALSE(peers.alice.last<session::Ended>()->error.code);
        EXPECT_EQ(peers.bob.last<session::Ended>()->error.code, make_error_code(session::Errc::peer_closed));
    }
}

TEST_P(Interrupted, PeersComeBackToAServerThatWasAway) {
    ConnectWorld peers{two_homes(kHome, kHome), GetParam()};
    ASSERT_TRUE(peers.log_in());
    auto& network = peers.world.network();
    network.uplink("server").config().up = false;
    network.downlink("server").config().up = false;
    ASSERT_TRUE(peers.world.run([&] { return !peers.alice.online() && !peers.bob.online(); }, 60s));
    network.uplink("server").config().up = true;
    network.downlink("server").config().up = true;
    ASSERT_TRUE(peers.world.run([&] { return peers.alice.online() && peers.bob.online(); }, 120s));
    EXPECT_EQ(peers.connect().outcome, Outcome::direct);
}

TEST_P(Interrupted, HostThatIsPluggedInElsewhereGoesOn) {
    auto topology = two_homes(kHome, std::nullopt);
    topology.nats.push_back(nat_node(nat_config("cafe", {.allocation = Allocation::random}), kLine));
    auto peers = transferring(topology, GetParam());
    const auto before = peers->alice.local();
    EXPECT_NE(peers->world.move("alice", "cafe"), before.address);
    EXPECT_TRUE(peers->finish(60s));
    EXPECT_FALSE(peers->bob.corrupted());
    EXPECT_EQ(peers->bob.last<session::PathInUse>()->addresses.remote.address,
              peers->world.network().nat("cafe").external().front());
}

TEST_P(Interrupted, IPv6IsUsedThroughFirewallsWhereIPv4HasNoWay) {
    const NatKind hard{.mapping = Dependence::address_and_port_dependent, .allocation = Allocation::random};
    for (const bool ipv6 : {true, false}) {
        auto topology = two_homes(hard, hard);
        for (std::size_t i = 0; ipv6 && i < 2; ++i) {
            topology.nats[i].lan_v6 = net::Address::any(net::Family::v6);
            topology.hosts[i].addresses.push_back(net::Address::any(net::Family::v6));
        }
        ConnectWorld peers{topology, GetParam()};
        ASSERT_TRUE(peers.log_in());
        const auto verdict = peers.connect();
        EXPECT_EQ(verdict.outcome, ipv6 ? Outcome::direct : Outcome::no_path) << verdict.why;
        EXPECT_EQ(verdict.strategy, ipv6 ? "host" : "");
    }
}

TEST_P(Interrupted, SameLanIsUsedDirectly) {
    for (const auto& kind :
         {kHome, NatKind{.mapping = Dependence::address_and_port_dependent, .allocation = Allocation::random}}) {
        lab::Topology topology;
        topology.nats.push_back(nat_node(nat_config("home", kind), kLine));
        topology.hosts = {host_node("alice", "home"), host_node("bob", "home"), server_node({.delay = 5ms}, 1)};
        ConnectWorld peers{topology, GetParam()};
        ASSERT_TRUE(peers.log_in());
        const auto verdict = peers.connect();
        EXPECT_EQ(verdict.outcome, Outcome::direct);
        EXPECT_EQ(verdict.strategy, "host");
        EXPECT_LT(verdict.took, 1s);
    }
}

/// alice and bob each behind a NAT of their own, both behind that of one provider.
lab::Topology one_provider(bool hairpin) {
    lab::Topology topology;
    auto provider =
        nat_config("provider", {.allocation = Allocation::random, .filtering = Dependence::endpoint_independent});
    provider.hairpin = hairpin;
    topology.nats.push_back(nat_node(provider, kLine));
    topology.nats.push_back(nat_node(nat_config("na", kHome), {.delay = 2ms}, "provider"));
    topology.nats.push_back(nat_node(nat_config("nb", kHome), {.delay = 2ms}, "provider"));
    topology.hosts = {host_node("alice", "na"), host_node("bob", "nb"), server_node({.delay = 5ms}, 1)};
    return topology;
}

TEST_P(Interrupted, ProviderThatHairpinsConnectsItsCustomers) {
    for (const bool hairpin : {true, false}) {
        ConnectWorld peers{one_provider(hairpin), GetParam()};
        ASSERT_TRUE(peers.log_in());
        const auto verdict = peers.connect();
        EXPECT_EQ(verdict.outcome, hairpin ? Outcome::direct : Outcome::no_path) << verdict.why;
    }
}

TEST_P(Interrupted, TwoNatsInSeriesOnBothSidesAreCrossed) {
    lab::Topology topology;
    for (const auto* side : {"a", "b"}) {
        const auto provider = std::string{"prov-"} + side;
        const auto home = std::string{"home-"} + side;
        topology.nats.push_back(nat_node(nat_config(provider, {.allocation = Allocation::random}), kLine));
        topology.nats.push_back(nat_node(nat_config(home, kHome), {.delay = 2ms}, provider));
        topology.hosts.push_back(host_node(*side == 'a' ? "alice" : "bob", home));
    }
    topology.hosts.push_back(server_node({.delay = 5ms}, 1));
    ConnectWorld peers{topology, GetParam()};
    ASSERT_TRUE(peers.log_in());
    const auto verdict = peers.connect();
    EXPECT_EQ(verdict.outcome, Outcome::direct) << verdict.why;
    EXPECT_EQ(verdict.strategy, "udp");
}

std::uint64_t trace_of(std::uint64_t seed) {
    ConnectWorld peers{two_homes(kHome, kAddressFilter), seed};
    EXPECT_TRUE(peers.log_in());
    peers.connect();
    return peers.world.trace_hash();
}

TEST(Determinism, SameSeedGivesTheSamePacketsAtTheSameTimes) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(testing::Message() << "PINHOLE_SEED=" << seed);
        EXPECT_EQ(trace_of(seed), trace_of(seed));
        EXPECT_NE(trace_of(seed), trace_of(seed + 1));
    }
}

}  // namespace
}  // namespace pinhole::sim
