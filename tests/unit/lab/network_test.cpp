// Packets through whole topologies: routing, layers, TTL, hairpin, links, moves, and that chance repeats itself.
#include "tests/unit/lab/net_bench.hpp"

namespace pinhole::lab {
namespace {

using testing::at;
using testing::host_node;
using testing::layers;
using testing::nat_node;
using testing::NetBench;

TEST(Network, APacketGoesThroughLayersAndItsAnswerComesBack) {
    NetBench bench{layers()};
    bench.send("alice", 5000, bench.endpoint("server", 3478));
    const auto there = bench.only("server");
    EXPECT_EQ(there.flow.source, at("198.18.1.2:5000"));
    EXPECT_EQ(there.payload, (Bytes{1, 2, 3}));
    bench.send("server", 3478, there.flow.source);
    const auto back = bench.only("alice");
    EXPECT_EQ(back.flow.destination, bench.endpoint("alice", 5000));
    EXPECT_EQ(back.flow.source, bench.endpoint("server", 3478));
}

TEST(Network, EachRouterTakesOneFromTheTtl) {
    NetBench bench{layers()};
    bench.send("alice", 5000, bench.endpoint("server", 3478));
    EXPECT_EQ(bench.only("server").ttl, 61) << "two NATs and the core";
    bench.send("server", 3478, at("198.18.1.2:5000"));
    EXPECT_EQ(bench.only("alice").ttl, 61);
    bench.send("alice", 5000, bench.endpoint("anna", 5000));
    EXPECT_EQ(bench.only("anna").ttl, 64) << "one LAN";
}

TEST(Network, NeighboursSeeEachOthersOwnAddresses) {
    NetBench bench{layers()};
    bench.send("alice", 5000, bench.endpoint("anna", 6000), 1);
    EXPECT_EQ(bench.only("anna").flow.source, bench.endpoint("alice", 5000));
    EXPECT_EQ(bench.net.nat("inner").mappings(bench.now), 0U);
}

TEST(Network, HolePunchingThroughThreeNats) {
    NetBench bench{layers()};
    const auto server = bench.endpoint("server", 3478);
    bench.send("alice", 5000, server);
    const auto alice = bench.only("server").flow.source;
    bench.send("bob", 6000, server);
    const auto bob = bench.only("server").flow.source;
    bench.send("bob", 6000, alice);
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops, std::vector<std::string>{"home: filtered"});
    bench.send("alice", 5000, bob);
    EXPECT_EQ(bench.only("bob").flow.source, alice);
    bench.send("bob", 6000, alice);
    EXPECT_EQ(bench.only("alice").flow.source, bob);
}

TEST(Network, ALowTtlOpensOurNatsAndDoesNotPoisonTheOther) {
    NetBench bench{layers({.unsolicited = Unsolicited::clash})};
    const auto alice = at("198.18.1.2:5000");
    const auto bob = at("198.18.2.2:6000");
    // Two NATs pass it, the core ends it; of bob's one NAT and the core, too.
    bench.send("alice", 5000, bob, 3);
    bench.send("bob", 6000, alice, 2);
    for (const auto& arrival : bench.run()) {
        ASSERT_TRUE(arrival.packet.report);
        EXPECT_EQ(arrival.packet.report->error, IcmpError::time_exceeded);
    }
    bench.send("alice", 5000, bob);
    EXPECT_EQ(bench.only("bob").flow.source, alice);
    bench.send("bob", 6000, alice);
    EXPECT_EQ(bench.only("alice").flow.source, bob);
}

TEST(Network, WithoutThePrePunchAClashIsForEver) {
    NetBench bench{layers({.unsolicited = Unsolicited::clash})};
    const auto alice = at("198.18.1.2:5000");
    const auto bob = at("198.18.2.2:6000");
    bench.send("alice", 5000, bob);
    (void)bench.run();
    for (int i = 0; i < 20; ++i) {
        bench.now += 300ms;
        bench.send("bob", 6000, alice);
        bench.send("alice", 5000, bob);
        for (const auto& arrival : bench.run()) {
            EXPECT_TRUE(arrival.packet.report) << "at " << arrival.host;
        }
    }
}

TEST(Network, HairpinAtTheOuterNatJoinsTwoHomesOfOneProvider) {
    Topology topology;
    topology.nats = {nat_node("provider", kInternet, {.hairpin = true}), nat_node("home", "provider"),
                     nat_node("flat", "provider")};
    topology.hosts = {host_node("alice", "home"), host_node("bob", "flat"), host_node("server")};
    NetBench bench{topology};
    const auto server = bench.endpoint("server", 3478);
    bench.send("alice", 5000, server);
    const auto alice = bench.only("server").flow.source;
    bench.send("bob", 6000, server);
    const auto bob = bench.only("server").flow.source;
    EXPECT_EQ(alice.address, bob.address);
    bench.send("alice", 5000, bob);
    EXPECT_TRUE(bench.run().empty());
    bench.send("bob", 6000, alice);
    EXPECT_EQ(bench.only("alice").flow.source, bob);
    bench.send("alice", 5000, bob);
    const auto joined = bench.only("bob");
    EXPECT_EQ(joined.flow.source, alice);
    EXPECT_EQ(joined.ttl, 61) << "three NATs, no core";
}

TEST(Network, LinksAddUpAndTheNextTimeoutIsExact) {
    Topology topology;
    auto home = nat_node("home");
    home.link = {.up = {.delay = 10ms}, .down = {.delay = 20ms}};
    topology.nats = {home};
    topology.hosts = {host_node("alice", "home", {.delay = 1ms}), host_node("server", kInternet, {.delay = 5ms})};
    NetBench bench{topology};
    const auto start = bench.now;
    bench.send("alice", 5000, bench.endpoint("server", 3478));
    EXPECT_EQ(bench.net.next_timeout(), start + 1ms);
    EXPECT_FALSE(bench.net.poll(start + 1ms - 1ns));
    const auto arrivals = bench.run();
    ASSERT_EQ(arrivals.size(), 1U);
    EXPECT_EQ(arrivals[0].at, start + 16ms);
    EXPECT_FALSE(bench.net.next_timeout());
    bench.send("server", 3478, arrivals[0].packet.flow.source);
    EXPECT_EQ(bench.run().at(0).at, start + 16ms + 26ms);
}

TEST(Network, ALatePollLosesNoTime) {
    // Hops happen when they are due, however late somebody asks.
    Topology topology;
    topology.nats = {nat_node("home")};
    topology.hosts = {host_node("alice", "home", {.delay = 10ms}),
                      host_node("server", kInternet, {.delay = 10ms, .bytes_per_second = 100'000})};
    NetBench bench{topology};
    bench.send("alice", 5000, bench.endpoint("server", 3478));
    bench.send("alice", 5000, bench.endpoint("server", 3478));
    EXPECT_FALSE(bench.net.poll(bench.now + 20ms));
    EXPECT_TRUE(bench.net.poll(bench.now + 21ms));
    EXPECT_EQ(bench.net.next_timeout(), bench.now + 22ms);
}

TEST(Network, ArrivalsAreInOrderOfTime) {
    Topology topology;
    topology.hosts = {host_node("far", kInternet, {.delay = 30ms}), host_node("near", kInternet, {.delay = 1ms}),
                      host_node("server")};
    NetBench bench{topology};
    bench.send("far", 1, bench.endpoint("server", 3478));
    bench.send("near", 1, bench.endpoint("server", 3478));
    const auto arrivals = bench.run();
    ASSERT_EQ(arrivals.size(), 2U);
    EXPECT_EQ(arrivals[0].packet.flow.source, bench.endpoint("near", 1));
    EXPECT_EQ(arrivals[1].packet.flow.source, bench.endpoint("far", 1));
}

TEST(Network, FaultsOfLinksAreByName) {
    NetBench bench{layers()};
    bench.net.uplink("home").config().up = false;
    bench.send("alice", 5000, bench.endpoint("server", 3478));
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops, std::vector<std::string>{"home up: down"});
    bench.net.uplink("home").config().up = true;
    bench.net.downlink("server").config().loss = 1;
    bench.send("alice", 5000, bench.endpoint("server", 3478));
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops.back(), "server down: lost");
}

TEST(Network, ACutBetweenTwoKeepsNobodyElseApart) {
    NetBench bench{layers()};
    const auto server = bench.endpoint("server", 3478);
    bench.send("bob", 6000, server);
    const auto bob = bench.only("server").flow.source;
    bench.send("alice", 5000, server);
    const auto alice = bench.only("server").flow.source;
    bench.send("bob", 6000, alice);  // opens the way, but is not expected itself
    (void)bench.run();
    bench.drops.clear();

    bench.net.cut("office", "home");
    bench.send("alice", 5000, bob);
    bench.send("bob", 6000, alice);
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops, (std::vector<std::string>{"internet: cut", "internet: cut"}));
    bench.send("alice", 5000, server);
    EXPECT_EQ(bench.only("server").flow.source, alice);
    bench.send("server", 3478, bob);
    EXPECT_EQ(bench.only("bob").flow.source, server);

    bench.net.restore("home", "office");
    bench.send("alice", 5000, bob);
    EXPECT_EQ(bench.only("bob").flow.source, alice);
}

TEST(Network, ACutInALanEndsWhenOneOfTheTwoMoves) {
    NetBench bench{layers()};
    bench.net.cut("alice", "anna");
    bench.send("alice", 5000, bench.endpoint("anna", 7));
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops, std::vector<std::string>{"inner: cut"});
    bench.net.move(bench.net.host("anna"), kInternet, bench.now);
    bench.net.move(bench.net.host("anna"), "inner", bench.now);
    bench.send("alice", 5000, bench.endpoint("anna", 7));
    EXPECT_EQ(bench.only("anna").ttl, 64);
}

TEST(Network, ARebootOfANatChangesWhoWeAre) {
    NetBench bench{layers()};
    const auto server = bench.endpoint("server", 3478);
    bench.send("alice", 5000, server);
    const auto before = bench.only("server").flow.source;
    bench.net.nat("home").rebind(bench.now);
    bench.send("server", 3478, before);
    EXPECT_TRUE(bench.run().empty());
    bench.send("alice", 5000, server);
    EXPECT_NE(bench.only("server").flow.source, before);
}

TEST(Network, AHostMovesAndItsOldAddressIsGone) {
    NetBench bench{layers()};
    const auto server = bench.endpoint("server", 3478);
    const auto bob = bench.net.host("bob");
    const auto old = bench.endpoint("bob", 6000);
    bench.send("bob", 6000, server);
    const auto seen = bench.only("server").flow.source;
    bench.net.downlink("bob").config().delay = 50ms;
    bench.send("server", 3478, seen);
    bench.now += 10ms;
    EXPECT_FALSE(bench.net.poll(bench.now));
    const auto address = bench.net.move(bob, "inner", bench.now);
    EXPECT_EQ(bench.net.address(bob), address);
    EXPECT_EQ(bench.net.node(bob).behind, "inner");
    EXPECT_TRUE(bench.run().empty()) << "it was in flight to the old one";
    bench.send("bob", 6000, server);
    EXPECT_EQ(bench.only("server").flow.source.address, at("198.18.1.2:1").address);
    bench.send("bob", 6000, bench.endpoint("alice", 5000));
    EXPECT_EQ(bench.only("alice").flow.source.address, address);
    bench.send("server", 3478, seen);
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops.back(), "office: no such host");
    EXPECT_NE(old.address, address);
    const auto third = bench.net.move(bob, kInternet, bench.now);
    bench.send("server", 3478, {.address = third, .port = 6000});
    EXPECT_EQ(bench.only("bob").flow.source, server);
}

TEST(Network, MovesNeverRunOutOfAddresses) {
    NetBench bench{layers()};
    const auto bob = bench.net.host("bob");
    for (int i = 0; i < 2000; ++i) {
        const auto before = bench.net.address(bob);
        const auto after = bench.net.move(bob, i % 2 == 0 ? "inner" : kInternet, bench.now);
        ASSERT_FALSE(after.is_unspecified());
        ASSERT_NE(before, after);
    }
}

TEST(Network, ANewcomerDoesNotGetTheAddressOfWhoJustLeft) {
    NetBench bench{layers()};
    const auto left = bench.endpoint("alice", 1).address;
    bench.net.move(bench.net.host("alice"), kInternet, bench.now);
    EXPECT_NE(bench.net.move(bench.net.host("bob"), "inner", bench.now), left);
}

TEST(Network, ServersWithTwoAddressesAnswerFromBoth) {
    auto topology = layers();
    topology.hosts.back().addresses.assign(2, net::Address::any(net::Family::v4));
    NetBench bench{topology};
    const auto& addresses = bench.net.node(bench.net.host("server")).addresses;
    ASSERT_EQ(addresses.size(), 2U);
    for (const auto& own : addresses) {
        bench.send("alice", 5000, {.address = own, .port = 3478});
        EXPECT_EQ(bench.only("server").flow.destination.address, own);
    }
}

TEST(Network, Ipv6GoesThroughTheFiltersOfAllLayersUntranslated) {
    auto topology = layers();
    for (auto& nat : topology.nats) {
        nat.lan_v6 = net::Address::any(net::Family::v6);
    }
    for (auto& host : topology.hosts) {
        host.addresses = {net::Address::any(net::Family::v6)};
    }
    NetBench bench{topology};
    constexpr auto kV6 = net::Family::v6;
    const auto alice = bench.endpoint("alice", 5000, kV6);
    const auto bob = bench.endpoint("bob", 6000, kV6);
    bench.send("bob", 6000, alice);
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops, std::vector<std::string>{"home: filtered"});
    bench.send("alice", 5000, bob);
    EXPECT_EQ(bench.only("bob").flow.source, alice);
    bench.send("bob", 6000, alice);
    const auto arrived = bench.only("alice");
    EXPECT_EQ(arrived.flow.source, bob);
    EXPECT_EQ(arrived.ttl, 60);
    bench.send("server", 1, alice, 3);
    (void)bench.run();
    bench.send("alice", 5000, bench.endpoint("anna", 7, kV6));
    EXPECT_EQ(bench.only("anna").ttl, 64);
}

TEST(Network, WithoutIpv6NoneIsForwarded) {
    NetBench bench{layers()};
    auto packet = testing::packet(Protocol::udp, at("[2001:2:0:100::2]:1"), at("[2001:2:0:9::2]:1"));
    bench.net.send(bench.net.host("alice"), packet, bench.now);
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops, std::vector<std::string>{"inner: no IPv6"});
}

TEST(Network, RoutersDoNotForwardWhatHasNoRoute) {
    NetBench bench{layers()};
    for (const auto* nowhere : {"224.0.0.251:5353", "255.255.255.255:67", "127.0.0.1:1", "169.254.1.1:1"}) {
        bench.send("alice", 5000, at(nowhere));
        EXPECT_TRUE(bench.run().empty());
        EXPECT_EQ(bench.drops.back(), "inner: not routable");
    }
    for (const auto* nobody : {"10.2.0.77:1", "10.2.0.255:1"}) {
        bench.send("alice", 5000, at(nobody));
        EXPECT_TRUE(bench.run().empty());
        EXPECT_EQ(bench.drops.back(), "inner: no such host");
    }
    EXPECT_EQ(bench.net.nat("inner").mappings(bench.now), 0U);
}

TEST(Network, TheNetworkMayMoveInMemory) {
    NetBench bench{layers()};
    bench.send("alice", 5000, bench.endpoint("server", 3478));
    auto moved = std::move(bench.net);
    moved.on_drop = {};
    EXPECT_TRUE(moved.poll(bench.now));
}

/// Everything that happens in a lossy network, as one number.
std::uint64_t trace(std::uint64_t seed, bool with_stranger = false) {
    auto topology =
        layers({.mapping = Dependence::address_and_port_dependent, .allocation = Allocation::random, .background = 10});
    topology.seed = seed;
    for (auto& host : topology.hosts) {
        host.link.up = host.link.down = {.delay = 5ms, .jitter = 5ms, .loss = 0.1, .reorder = 0.1, .duplicate = 0.1};
    }
    if (with_stranger) {
        topology.hosts.push_back(host_node("stranger", kInternet, {.delay = 2ms, .loss = 0.5}));
    }
    NetBench bench{topology};
    std::uint64_t hash = 0;
    const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3ULL; };
    for (int i = 0; i < 300; ++i) {
        for (const auto* host : {"alice", "anna", "bob"}) {
            bench.send(host, static_cast<std::uint16_t>(5000 + i % 50), bench.endpoint("server", 3478));
        }
        if (with_stranger) {
            bench.send("stranger", 1, bench.endpoint("server", 9));
        }
        for (const auto& arrival : bench.run()) {
            if (arrival.packet.flow.destination.port != 9) {
                mix(static_cast<std::uint64_t>(arrival.at.time_since_epoch().count()));
                mix(arrival.packet.flow.source.port);
            }
        }
        bench.now = TimePoint{1s} + 50ms * (i + 1);
    }
    return hash;
}

TEST(Network, TheSameSeedGivesTheSameTrace) {
    EXPECT_EQ(trace(1), trace(1));
    EXPECT_NE(trace(1), trace(2));
}

}  // namespace
}  // namespace pinhole::lab
