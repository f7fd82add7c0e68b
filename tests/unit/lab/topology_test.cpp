// Topologies made in code: what `resolve` assigns and what it refuses.
#include "tests/unit/lab/net_bench.hpp"

#include <set>

namespace pinhole::lab {
namespace {

using testing::address;
using testing::host_node;
using testing::nat_node;
using testing::resolved;

std::string complaint(Topology topology) {
    const auto status = resolve(topology);
    return status ? "" : status.error().detail;
}

TEST(Topology, AssignsANetworkToEachThing) {
    Topology topology;
    topology.nats = {nat_node("home"), nat_node("inner", "home")};
    topology.hosts = {host_node("alice", "inner"), host_node("anna", "inner"), host_node("bob"), host_node("server")};
    topology.hosts[3].addresses.assign(2, net::Address::any(net::Family::v4));
    const auto result = resolved(topology);
    EXPECT_EQ(result.nats[0].external, std::vector{address("198.18.1.2")});
    EXPECT_EQ(result.nats[0].lan, address("10.1.0.0"));
    EXPECT_EQ(result.nats[1].external, std::vector{address("10.1.0.2")});
    EXPECT_EQ(result.nats[1].lan, address("10.2.0.0"));
    EXPECT_EQ(result.hosts[0].addresses, std::vector{address("10.2.0.2")});
    EXPECT_EQ(result.hosts[1].addresses, std::vector{address("10.2.0.3")});
    EXPECT_EQ(result.hosts[2].addresses, std::vector{address("198.18.2.2")});
    EXPECT_EQ(result.hosts[3].addresses, (std::vector{address("198.18.3.2"), address("198.18.3.3")}));
}

TEST(Topology, LeavesAloneWhatIsGivenAndAvoidsIt) {
    Topology topology;
    topology.nats = {nat_node("home"), nat_node("inner", "home")};
    topology.nats[0].lan = address("10.0.0.0");
    topology.nats[0].lan_prefix = 14;
    topology.nats[0].external = {address("8.8.4.4")};
    topology.hosts = {host_node("alice", "home"), host_node("anna", "home")};
    topology.hosts[1].addresses = {address("10.0.0.2")};
    const auto result = resolved(topology);
    EXPECT_EQ(result.nats[0].external, std::vector{address("8.8.4.4")});
    EXPECT_EQ(result.nats[1].lan, address("10.4.0.0"));
    std::set<std::string> used{result.nats[1].external[0].text(), result.hosts[0].addresses[0].text(),
                               result.hosts[1].addresses[0].text()};
    EXPECT_EQ(used, (std::set<std::string>{"10.0.0.2", "10.0.0.3", "10.0.0.4"}));
}

TEST(Topology, ResolvingTwiceChangesNothing) {
    const auto once = resolved(testing::layers());
    const auto twice = resolved(once);
    for (std::size_t i = 0; i < once.nats.size(); ++i) {
        EXPECT_EQ(once.nats[i].lan, twice.nats[i].lan);
        EXPECT_EQ(once.nats[i].external, twice.nats[i].external);
    }
    for (std::size_t i = 0; i < once.hosts.size(); ++i) {
        EXPECT_EQ(once.hosts[i].addresses, twice.hosts[i].addresses);
    }
}

TEST(Topology, TwoHomesMayUseTheSameNumbers) {
    Topology topology;
    topology.nats = {nat_node("home"), nat_node("office")};
    for (auto& nat : topology.nats) {
        nat.lan = address("192.168.1.0");
    }
    topology.hosts = {host_node("alice", "home"), host_node("bob", "office")};
    const auto result = resolved(topology);
    EXPECT_EQ(result.hosts[0].addresses, result.hosts[1].addresses);
}

TEST(Topology, Ipv6ComesAfterIpv4AndFromThePrefixOfTheLan) {
    Topology topology;
    topology.nats = {nat_node("home")};
    topology.nats[0].lan_v6 = net::Address::any(net::Family::v6);
    topology.hosts = {host_node("alice", "home"), host_node("server")};
    for (auto& host : topology.hosts) {
        host.addresses = {net::Address::any(net::Family::v6), net::Address::any(net::Family::v4)};
    }
    const auto result = resolved(topology);
    EXPECT_EQ(result.hosts[0].addresses, (std::vector{address("10.1.0.2"), address("2001:2:0:100::2")}));
    EXPECT_EQ(result.hosts[1].addresses, (std::vector{address("198.18.2.2"), address("2001:2:0:2::2")}));
}

TEST(Topology, RefusesWhatCannotBe) {
    const auto with = [](auto change) {
        Topology topology;
        topology.nats = {nat_node("home"), nat_node("inner", "home")};
        topology.hosts = {host_node("alice", "inner"), host_node("server")};
        change(topology);
        return complaint(topology);
    };
    EXPECT_EQ(with([](Topology&) {}), "");
    EXPECT_EQ(with([](Topology& t) { t.hosts[0].name = "home"; }), "The name \"home\" is there twice.");
    EXPECT_THAT(with([](Topology& t) { t.hosts[0].name = "al ice"; }), ::testing::HasSubstr("is no name"));
    EXPECT_THAT(with([](Topology& t) { t.hosts[0].name = "internet"; }), ::testing::HasSubstr("is no name"));
    EXPECT_THAT(with([](Topology& t) { t.hosts[0].name = ""; }), ::testing::HasSubstr("is no name"));
    EXPECT_EQ(with([](Topology& t) { t.hosts[0].behind = "server"; }),
              "Host \"alice\": it is behind \"server\", but no NAT has this name.");
    EXPECT_EQ(with([](Topology& t) { t.nats[0].behind = "inner"; }),
              "NAT \"home\": the NATs that it is behind form a circle.");
    EXPECT_THAT(with([](Topology& t) { t.nats[0].behind = "home"; }), ::testing::HasSubstr("circle"));
    EXPECT_THAT(with([](Topology& t) { t.nats[1].lan = t.nats[0].lan = address("10.0.0.0"); }),
                ::testing::HasSubstr("overlaps"));
    EXPECT_THAT(with([](Topology& t) { t.hosts[0].addresses = {address("10.9.0.2")}; }),
                ::testing::HasSubstr("no address of the network"));
    EXPECT_THAT(with([](Topology& t) { t.hosts[0].addresses = {address("10.2.0.1")}; }), ::testing::HasSubstr("taken"));
    EXPECT_THAT(with([](Topology& t) { t.hosts[1].addresses = {address("198.18.0.1")}; }),
                ::testing::HasSubstr("taken"));
    EXPECT_THAT(with([](Topology& t) { t.hosts[0].addresses = {address("10.2.0.255")}; }),
                ::testing::HasSubstr("no address of the network"));
    EXPECT_THAT(with([](Topology& t) { t.hosts[0].addresses = {net::Address::any(net::Family::v6)}; }),
                ::testing::HasSubstr("forwards none"));
    EXPECT_THAT(with([](Topology& t) { t.nats[1].lan_v6 = net::Address::any(net::Family::v6); }),
                ::testing::HasSubstr("does not"));
    EXPECT_THAT(with([](Topology& t) { t.nats[0].nat.first_port = 0; }), ::testing::HasSubstr("no range"));
    EXPECT_THAT(with([](Topology& t) { t.nats[0].nat.delta = 0; }), ::testing::HasSubstr("delta"));
    EXPECT_THAT(with([](Topology& t) { t.nats[0].nat.udp_timeout = 0s; }), ::testing::HasSubstr("udp_timeout"));
    EXPECT_THAT(with([](Topology& t) { t.hosts[0].link.up.loss = 2; }), ::testing::HasSubstr("loss"));
    EXPECT_THAT(with([](Topology& t) { t.hosts[0].link.down.mtu = 10; }), ::testing::HasSubstr("mtu"));
}

TEST(Topology, IsBounded) {
    Topology topology;
    for (std::size_t i = 0; i <= kMaxNodes; ++i) {
        topology.hosts.push_back(host_node("h" + std::to_string(i)));
    }
    EXPECT_EQ(complaint(topology), "A topology has at most 64 NATs and hosts.");
    topology.hosts.pop_back();
    EXPECT_EQ(complaint(topology), "");
}

TEST(Topology, ASmallLanFillsUp) {
    Topology topology;
    topology.nats = {nat_node("home")};
    topology.nats[0].lan = address("192.168.7.0");
    topology.nats[0].lan_prefix = 29;
    for (int i = 0; i < 5; ++i) {
        topology.hosts.push_back(host_node("h" + std::to_string(i), "home"));
    }
    EXPECT_EQ(complaint(topology), "");
    topology.hosts.push_back(host_node("h5", "home"));
    EXPECT_EQ(complaint(topology), "Host \"h5\": the lan of \"home\" has no address left for it.");
}

}  // namespace
}  // namespace pinhole::lab
