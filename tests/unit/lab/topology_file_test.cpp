// Topology files: every key of tests/lab/README.md is read, and every mistake is a sentence with its line.
#include "tests/lab/model/topology_file.hpp"

#include "tests/lab/model/quantity.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/lab/bench.hpp"

#include <fstream>

#include <gmock/gmock.h>

namespace pinhole::lab {
namespace {

using testing::address;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Topology parsed(std::string_view toml) {
    auto topology = parse_topology(toml);
    EXPECT_TRUE(topology) << topology.error().detail;
    return topology ? *topology : Topology{};
}

std::string complaint(std::string_view toml) {
    const auto topology = parse_topology(toml);
    EXPECT_FALSE(topology) << toml;
    return topology ? "" : topology.error().detail;
}

TEST(TopologyFile, AnEmptyFileIsAnEmptyTopology) {
    const auto topology = parsed("");
    EXPECT_EQ(topology.seed, 1U);
    EXPECT_TRUE(topology.nats.empty() && topology.hosts.empty());
}

TEST(TopologyFile, DefaultsAreThoseOfTheTables) {
    const auto topology = parsed("[[nat]]\nname = 'home'\n[[host]]\nname = 'alice'\nbehind = 'home'\n");
    const auto& nat = topology.nats.at(0);
    const NatConfig usual;
    EXPECT_EQ(nat.behind, kInternet);
    EXPECT_EQ(nat.nat.mapping, Dependence::endpoint_independent);
    EXPECT_EQ(nat.nat.filtering, Dependence::address_and_port_dependent);
    EXPECT_EQ(nat.nat.allocation, Allocation::preserving);
    EXPECT_EQ(nat.nat.unsolicited, Unsolicited::drop);
    EXPECT_EQ(nat.nat.udp_timeout, usual.udp_timeout);
    EXPECT_FALSE(nat.lan_v6);
    EXPECT_EQ(nat.external.size(), 1U);
    EXPECT_EQ(nat.link.up.mtu, 1500U);
    EXPECT_EQ(nat.link.up.queue_bytes, 256'000U);
    EXPECT_EQ(topology.hosts.at(0).addresses, std::vector{address("10.1.0.2")});
}

constexpr std::string_view kEveryKeyOfANat = R"(
seed = 77
about = "ignored"
[[nat]]
name = "provider"
ipv6 = "open"
[[nat]]
name = "home"
behind = "provider"
mapping = "address-dependent"
filtering = "address-and-port-dependent"
allocation = "sequential"
delta = -2
ports = [2000, 2999]
block_size = 64
tcp = { mapping = "address-and-port-dependent", filtering = "endpoint-independent", allocation = "random" }
hairpin = true
unsolicited = "clash"
external = 3
pooling = "arbitrary"
udp_timeout = "30s"
inbound_refresh = false
tcp_established_timeout = "2h"
tcp_transitory_timeout = "1.5min"
quota = 100
background = 12.5
blocked = ["udp", "tcp"]
open_ports = [443, 80]
ipv6 = "closed"
link = { up = { delay = "10ms" }, down = { delay = "20ms" } }
lan = "192.168.4.0/22"
kernel = "symmetric"
)";

TEST(TopologyFile, ReadsEveryKeyOfANat) {
    const auto topology = parsed(kEveryKeyOfANat);
    EXPECT_EQ(topology.seed, 77U);
    EXPECT_FALSE(topology.nats.at(0).nat.ipv6_filtering);
    EXPECT_TRUE(topology.nats.at(0).lan_v6);
    const auto& node = topology.nats.at(1);
    const auto& nat = node.nat;
    EXPECT_EQ(node.behind, "provider");
    EXPECT_EQ(nat.mapping, Dependence::address_dependent);
    EXPECT_EQ(nat.filtering, Dependence::address_and_port_dependent);
    EXPECT_EQ(nat.allocation, Allocation::sequential);
    EXPECT_EQ(nat.delta, -2);
    EXPECT_EQ(nat.first_port, 2000);
    EXPECT_EQ(nat.last_port, 2999);
    EXPECT_EQ(nat.block_size, 64);
    EXPECT_EQ(nat.tcp_mapping, Dependence::address_and_port_dependent);
    EXPECT_EQ(nat.tcp_filtering, Dependence::endpoint_independent);
    EXPECT_EQ(nat.tcp_allocation, Allocation::random);
    EXPECT_TRUE(nat.hairpin);
    EXPECT_EQ(nat.unsolicited, Unsolicited::clash);
    EXPECT_EQ(node.external, (std::vector{address("10.1.0.2"), address("10.1.0.3"), address("10.1.0.4")}));
    EXPECT_EQ(nat.pooling, Pooling::arbitrary);
    EXPECT_EQ(nat.udp_timeout, 30s);
    EXPECT_FALSE(nat.inbound_refresh);
    EXPECT_EQ(nat.tcp_established_timeout, 2h);
    EXPECT_EQ(nat.tcp_transitory_timeout, 90s);
    EXPECT_EQ(nat.quota, 100U);
    EXPECT_EQ(nat.background, 12.5);
    EXPECT_TRUE(nat.udp_blocked && nat.tcp_blocked);
    EXPECT_EQ(nat.open_ports, (std::set<std::uint16_t>{80, 443}));
    EXPECT_EQ(nat.ipv6_filtering, Dependence::address_and_port_dependent);
    EXPECT_TRUE(node.lan_v6);
    EXPECT_EQ(node.link.up.delay, 10ms);
    EXPECT_EQ(node.link.down.delay, 20ms);
    EXPECT_EQ(node.lan, address("192.168.4.0"));
    EXPECT_EQ(node.lan_prefix, 22);
}

TEST(TopologyFile, ReadsEveryKeyOfAHostAndALink) {
    const auto topology = parsed(R"(
        [[nat]]
        name = "home"
        ipv6 = "closed"
        external = ["198.18.77.7"]
        [[host]]
        name = "alice"
        behind = "home"
        ipv6 = true
        addresses = ["10.1.0.9", "10.1.0.7"]
        [host.link]
        delay = "20ms"
        jitter = "1.5ms"
        loss = 0.02
        burst_loss = 0.001
        burst_length = 5
        rate = "20mbit"
        queue = "64kB"
        reorder = 0.1
        reorder_delay = "5ms"
        duplicate = 0.03
        corrupt = 1
        mtu = 1280
        mtu_icmp = false
        [[host]]
        name = "server"
        addresses = 2
    )");
    EXPECT_EQ(topology.nats.at(0).external, std::vector{address("198.18.77.7")});
    const auto& alice = topology.hosts.at(0);
    EXPECT_EQ(alice.addresses, (std::vector{address("10.1.0.9"), address("10.1.0.7"), address("2001:2:0:100::2")}));
    EXPECT_EQ(topology.hosts.at(1).addresses.size(), 2U);
    for (const auto& link : {alice.link.up, alice.link.down}) {
        EXPECT_EQ(link.delay, 20ms);
        EXPECT_EQ(link.jitter, 1500us);
        EXPECT_EQ(link.loss, 0.02);
        EXPECT_EQ(link.burst_loss, 0.001);
        EXPECT_EQ(link.burst_length, 5U);
        EXPECT_EQ(link.bytes_per_second, 2'500'000);
        EXPECT_EQ(link.queue_bytes, 64'000U);
        EXPECT_EQ(link.reorder, 0.1);
        EXPECT_EQ(link.reorder_delay, 5ms);
        EXPECT_EQ(link.duplicate, 0.03);
        EXPECT_EQ(link.corrupt, 1);
        EXPECT_EQ(link.mtu, 1280U);
        EXPECT_FALSE(link.mtu_icmp);
    }
}

TEST(TopologyFile, DoesNotLookAtTheRestOfAScenario) {
    EXPECT_EQ(
        parsed("title = 5\n[[step]]\nsend = 'alice'\n[expect]\nconnected = '3s'\n[[host]]\nname = 'a'").hosts.size(),
        1U);
}

TEST(TopologyFile, EveryMistakeNamesItsLine) {
    const std::pair<const char*, const char*> mistakes[] = {
        {"[[nat]\n", "Line 1: "},
        {"[[=\n", "Line 1: "},
        {"[[host]]\nname = \u00e4\n", "Line 2: "},
        {"[[host]]\nname = '\u00e4'\n", "Line 1: \"\u00e4\" is no name"},
        {"seed = 1\n[[nat]]\nname = 'a'\nmappin = 'x'\n", "Line 4: [[nat]] has no key \"mappin\""},
        {"[[nat]]\nname = 'a'\nmapping = 'x'\n", "Line 3: [[nat]]: mapping is one of \"endpoint-independent\""},
        {"[[nat]]\nname = 'a'\nmapping = 7\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\ndelta = 1.5\n", "Line 3: [[nat]]: delta is a whole number"},
        {"[[nat]]\nname = 'a'\ndelta = 0\n", "Line 1: NAT \"a\": delta"},
        {"[[nat]]\nname = 'a'\nports = [1]\n", "Line 3: [[nat]]: ports is a pair"},
        {"[[nat]]\nname = 'a'\nports = [0, 5]\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\nports = [9, 5]\n", "Line 1: NAT \"a\": ports 9 to 5 are no range."},
        {"[[nat]]\nname = 'a'\ntcp = 'random'\n", "Line 3: [[nat]]: tcp is a table"},
        {"[[nat]]\nname = 'a'\n\ntcp = { alocation = 'x' }\n", "Line 4: tcp of a [[nat]] has no key"},
        {"[[nat]]\nname = 'a'\nhairpin = 'yes'\n", "Line 3: [[nat]]: hairpin is true or false"},
        {"[[nat]]\nname = 'a'\nexternal = 0\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\nexternal = []\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\nexternal = ['1.2.3']\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\nudp_timeout = 30\n", "Line 3: [[nat]]: udp_timeout is a time like"},
        {"[[nat]]\nname = 'a'\nquota = -1\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\nbackground = inf\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\nblocked = 'udp'\n", "Line 3: [[nat]]: blocked is a list"},
        {"[[nat]]\nname = 'a'\nblocked = ['icmp']\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\nopen_ports = [70000]\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\nipv6 = true\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\nlan = '10.0.0.0'\n", "Line 3: [[nat]]: lan is a network"},
        {"[[nat]]\nname = 'a'\nlan = ''\n", "Line 3: [[nat]]: lan is a network"},
        {"[[nat]]\nname = 'a'\nlan = '10.0.0.0/31'\n", "Line 1: NAT \"a\": lan must be"},
        {"[[nat]]\nname = 'a'\nlan = 'fd00::/64'\n", "Line 1: NAT \"a\": lan must be"},
        {"[[nat]]\nname = 'a'\nlink = { delay = '20' }\n", "Line 3: link: delay is a time"},
        {"[[nat]]\nname = 'a'\nlink = { loss = 1.5 }\n", "Line 3: link: loss is a number from 0 to 1"},
        {"[[nat]]\nname = 'a'\nlink = { loss = nan }\n", "Line 3: "},
        {"[[nat]]\nname = 'a'\nlink = { rate = '20MB' }\n", "Line 3: link: rate is a rate"},
        {"[[nat]]\nname = 'a'\nlink = { queue = 'many' }\n", "Line 3: link: queue is a size"},
        {"[[nat]]\nname = 'a'\nlink = { mtu = 10 }\n", "Line 1: NAT \"a\": mtu"},
        {"[[nat]]\nname = 'a'\nlink = { up = {}, delay = '1ms' }\n", "Line 3: a link with up and down has no key"},
        {"[[nat]]\nbehind = 'internet'\n", "Line 1: [[nat]]: it needs a name."},
        {"[[host]]\nname = 'a'\n[[host]]\nname = 'a'\n", "Line 3: The name \"a\" is there twice."},
        {"[[host]]\nname = 'a'\nbehind = 'b'\n", "Line 1: Host \"a\": it is behind \"b\", but no NAT has this name."},
        {"[[host]]\nname = 'a'\nmapping = 'x'\n", "Line 3: [[host]] has no key \"mapping\""},
        {"[[nat]]\nname='h'\n[[host]]\nname = 'a'\nbehind='h'\nipv6 = true\n", "Line 3: Host \"a\": it has IPv6"},
        {"[[nat]]\nname = 'a'\nbehind = 'b'\n[[nat]]\nname = 'b'\nbehind = 'a'\n", "Line 1: NAT \"a\": the NATs"},
        {"host = 5\n", "Line 1: The file: host is a list"},
        {"host = [5]\n", "Line 1: The file: host is a table that begins with [[host]]."},
        {"seed = -1\n", "Line 1: The file: seed is a whole number"},
        {"[[host]]\nname = 'elevenchars'\n", "Line 1: \"elevenchars\" is no name"},
    };
    for (const auto& [toml, sentence] : mistakes) {
        EXPECT_THAT(complaint(toml), StartsWith(sentence)) << toml;
    }
}

TEST(TopologyFile, IsBounded) {
    std::string many;
    for (std::size_t i = 0; i <= kMaxNodes; ++i) {
        many += "[[host]]\nname = 'h" + std::to_string(i) + "'\n";
    }
    EXPECT_EQ(complaint(many), "Line 129: The file: a topology has at most 64 NATs and hosts.");
    EXPECT_THAT(complaint(std::string(2'000'000, '#')), HasSubstr("at most 1048576 bytes"));
}

TEST(TopologyFile, ErrorsOfAFileNameIt) {
    const test::TempFolder folder;
    const auto file = std::filesystem::path{folder / "broken.toml"};
    std::ofstream{file} << "[[host]]\nnam = 'a'\n";
    const auto topology = load_topology(file);
    ASSERT_FALSE(topology);
    EXPECT_THAT(topology.error().detail, HasSubstr("broken.toml: Line 2: [[host]] has no key \"nam\""));
    EXPECT_FALSE(load_topology(folder / "missing.toml"));
    EXPECT_FALSE(load_topology(folder.path()));
    std::ofstream{file} << "[[host]]\nname = 'a'\n";
    EXPECT_TRUE(load_topology(file));
}

TEST(Quantity, ReadsWhatPeopleWrite) {
    EXPECT_EQ(parse_time("20ms"), 20ms);
    EXPECT_EQ(parse_time("1.5s"), 1500ms);
    EXPECT_EQ(parse_time("2min"), 2min);
    EXPECT_EQ(parse_time("0s"), 0s);
    EXPECT_EQ(parse_time("7us"), 7us);
    EXPECT_EQ(parse_rate("64kbit"), 8000);
    EXPECT_EQ(parse_rate("1gbit"), 125e6);
    EXPECT_EQ(parse_size("64kB"), 64'000U);
    for (const auto* wrong : {"", "20", "ms", "-5ms", "5 ms", "1e3ms", "infs", "nanms", "5msx", "99999999h", "0x5ms"}) {
        EXPECT_FALSE(parse_time(wrong)) << wrong;
    }
    EXPECT_FALSE(parse_rate("0mbit"));
    EXPECT_FALSE(parse_rate("9999999gbit"));
    EXPECT_FALSE(parse_size("64KB"));
}

}  // namespace
}  // namespace pinhole::lab
