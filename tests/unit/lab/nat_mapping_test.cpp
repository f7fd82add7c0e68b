// Which external endpoint a flow gets and who gets in by it, found as RFC 5780 §4 finds it: four remote endpoints, two
// addresses by two ports.
#include "tests/unit/lab/bench.hpp"

#include <array>
#include <set>

namespace pinhole::lab {
namespace {

using testing::at;
using testing::NatBench;

constexpr std::array kDependences{Dependence::endpoint_independent, Dependence::address_dependent,
                                  Dependence::address_and_port_dependent};
constexpr std::array kAllocations{Allocation::sequential, Allocation::block, Allocation::random};

constexpr const char* kHost = "10.1.0.2:5000";
constexpr const char* kPrimary = "198.18.9.2:3478";
constexpr const char* kOtherPort = "198.18.9.2:3479";
constexpr const char* kOtherAddress = "198.18.9.3:3478";

Dependence mapping_seen(NatBench& bench) {
    const auto first = bench.out(kHost, kPrimary);
    if (bench.out(kHost, kOtherAddress) == first) {
        return Dependence::endpoint_independent;
    }
    return bench.out(kHost, kOtherPort) == first ? Dependence::address_dependent
                                                 : Dependence::address_and_port_dependent;
}

/// From a fresh port, because what was sent before has opened the filter.
Dependence filtering_seen(NatBench& bench, const char* host) {
    const auto external = bench.out(host, kPrimary).value();
    EXPECT_EQ(bench.in(kPrimary, external), at(host));
    if (bench.in(kOtherAddress, external)) {
        return Dependence::endpoint_independent;
    }
    return bench.in(kOtherPort, external) ? Dependence::address_dependent : Dependence::address_and_port_dependent;
}

TEST(NatMapping, EveryMappingWithEveryFilteringIsWhatAProbeSees) {
    for (const auto mapping : kDependences) {
        for (const auto filtering : kDependences) {
            for (const auto allocation : kAllocations) {
                NatBench bench{{.mapping = mapping, .filtering = filtering, .allocation = allocation}};
                EXPECT_EQ(mapping_seen(bench), mapping);
                EXPECT_EQ(filtering_seen(bench, "10.1.0.2:5001"), filtering);
            }
        }
    }
}

TEST(NatMapping, RepeatsAreStable) {
    for (const auto mapping : kDependences) {
        NatBench bench{{.mapping = mapping, .allocation = Allocation::random}};
        const auto first = bench.out(kHost, kPrimary);
        (void)bench.out(kHost, kOtherPort);
        EXPECT_EQ(bench.out(kHost, kPrimary), first);
    }
}

TEST(NatMapping, TcpMayDifferFromUdp) {
    NatBench bench{{.mapping = Dependence::endpoint_independent,
                    .filtering = Dependence::endpoint_independent,
                    .tcp_mapping = Dependence::address_and_port_dependent,
                    .tcp_filtering = Dependence::address_and_port_dependent,
                    .tcp_allocation = Allocation::random}};
    const auto syn = TcpFlags{.syn = true};
    const auto one = bench.send(at(kHost), at(kPrimary), Protocol::tcp, syn).flow.source;
    const auto two = bench.send(at(kHost), at(kOtherPort), Protocol::tcp, syn).flow.source;
    EXPECT_NE(one, two);
    EXPECT_NE(one.port, 5000);
    EXPECT_EQ(bench.receive(at(kOtherAddress), one, Protocol::tcp, syn).action, NatVerdict::Action::drop);
    EXPECT_EQ(mapping_seen(bench), Dependence::endpoint_independent);
    EXPECT_EQ(filtering_seen(bench, "10.1.0.2:5001"), Dependence::endpoint_independent);
}

TEST(NatMapping, PreservingOverloadsThePortAndLooksIndependent) {
    NatBench bench{{.mapping = Dependence::address_and_port_dependent}};
    EXPECT_EQ(bench.out(kHost, kPrimary), at("198.18.1.2:5000"));
    EXPECT_EQ(mapping_seen(bench), Dependence::endpoint_independent);
    // Another host has the port, too, as long as it talks to somebody else.
    EXPECT_EQ(bench.out("10.1.0.3:5000", "198.18.9.9:3478"), at("198.18.1.2:5000"));
    EXPECT_EQ(bench.in("198.18.9.9:3478", at("198.18.1.2:5000")), at("10.1.0.3:5000"));
    EXPECT_EQ(bench.in(kPrimary, at("198.18.1.2:5000")), at(kHost));
    const auto collision = bench.out("10.1.0.3:5000", kPrimary);
    ASSERT_TRUE(collision);
    EXPECT_NE(collision->port, 5000);
    EXPECT_EQ(bench.out("10.1.0.3:5000", kPrimary), collision);
    EXPECT_EQ(bench.in(kPrimary, *collision), at("10.1.0.3:5000"));
}

TEST(NatMapping, AddressDependentPreservingCollidesByAddress) {
    NatBench bench{{.mapping = Dependence::address_dependent}};
    EXPECT_EQ(bench.out(kHost, kPrimary)->port, 5000);
    EXPECT_NE(bench.out("10.1.0.3:5000", kOtherPort)->port, 5000);
    EXPECT_EQ(bench.out("10.1.0.3:5000", kOtherAddress)->port, 5000);
}

TEST(NatMapping, IndependentPreservingGivesTheSecondHostAStableOtherPort) {
    NatBench bench{{}};
    EXPECT_EQ(bench.out(kHost, kPrimary)->port, 5000);
    const auto other = bench.out("10.1.0.3:5000", kPrimary);
    ASSERT_TRUE(other);
    EXPECT_NE(other->port, 5000);
    EXPECT_EQ(bench.out("10.1.0.3:5000", kOtherAddress), other);
}

TEST(NatMapping, PreservingKeepsToItsRange) {
    NatBench bench{{.first_port = 20000, .last_port = 29999}};
    EXPECT_EQ(bench.out("10.1.0.2:20000", kPrimary)->port, 20000);
    EXPECT_EQ(bench.out("10.1.0.2:29999", kPrimary)->port, 29999);
    const auto outside = bench.out(kHost, kPrimary)->port;
    EXPECT_TRUE(outside >= 20000 && outside <= 29999) << outside;
    EXPECT_EQ(bench.out(kHost, kOtherAddress)->port, outside);
}

TEST(NatMapping, ADependentMappingLetsInWhatItsFilterAllows) {
    // Several mappings share the port; the filter speaks for all of them.
    NatBench bench{{.mapping = Dependence::address_and_port_dependent, .filtering = Dependence::address_dependent}};
    const auto external = bench.out(kHost, kPrimary).value();
    ASSERT_EQ(bench.out(kHost, kOtherAddress), external);
    EXPECT_EQ(bench.in("198.18.9.3:9", external), at(kHost));
    EXPECT_FALSE(bench.in("198.18.9.4:9", external));
}

TEST(NatMapping, PairedPoolingGivesEachHostOneAddress) {
    const std::vector pool{testing::address("198.18.1.2"), testing::address("198.18.1.3"),
                           testing::address("198.18.1.4")};
    NatBench bench{{.mapping = Dependence::address_and_port_dependent, .allocation = Allocation::random}, 1, pool};
    std::set<std::string> used;
    for (int host = 2; host < 20; ++host) {
        const auto name = "10.1.0." + std::to_string(host);
        const auto first = bench.out(name + ":5000", kPrimary)->address;
        used.insert(first.text());
        for (int port = 5001; port < 5010; ++port) {
            EXPECT_EQ(bench.out(name + ':' + std::to_string(port), kOtherPort)->address, first);
        }
    }
    EXPECT_EQ(used.size(), 3U);
}

TEST(NatMapping, ArbitraryPoolingSpreadsTheMappingsOfOneHost) {
    const std::vector pool{testing::address("198.18.1.2"), testing::address("198.18.1.3")};
    NatBench bench{{.mapping = Dependence::address_and_port_dependent, .pooling = Pooling::arbitrary}, 1, pool};
    std::set<std::string> used;
    for (int port = 1; port <= 20; ++port) {
        const auto remote = "198.18.9.2:" + std::to_string(port);
        const auto external = bench.out(kHost, remote).value();
        used.insert(external.address.text());
        EXPECT_EQ(bench.out(kHost, remote), external);
        EXPECT_EQ(bench.in(remote, external), at(kHost));
    }
    EXPECT_EQ(used.size(), 2U);
}

TEST(NatMapping, HairpinTranslatesBothEnds) {
    for (const auto mapping : kDependences) {
        NatBench bench{{.mapping = mapping,
                        .filtering = Dependence::endpoint_independent,
                        .allocation = Allocation::random,
                        .hairpin = true}};
        const auto bob = bench.out("10.1.0.3:6000", kPrimary).value();
        const auto there = bench.send(at(kHost), bob);
        ASSERT_EQ(there.action, NatVerdict::Action::hairpin);
        EXPECT_EQ(there.flow.destination, at("10.1.0.3:6000"));
        EXPECT_EQ(there.flow.source.address, testing::address(testing::kExternal));
        const auto back = bench.send(at("10.1.0.3:6000"), there.flow.source);
        ASSERT_EQ(back.action, NatVerdict::Action::hairpin);
        EXPECT_EQ(back.flow.destination, at(kHost));
        if (mapping == Dependence::endpoint_independent) {
            EXPECT_EQ(back.flow.source, bob);
        }
    }
}

TEST(NatMapping, HairpinIsFilteredAsFromOutside) {
    NatBench bench{{.hairpin = true}};
    const auto bob = bench.out("10.1.0.3:6000", kPrimary).value();
    const auto alice = bench.out(kHost, kPrimary).value();
    EXPECT_EQ(bench.send(at(kHost), bob).action, NatVerdict::Action::drop);
    // By now alice has sent to bob's external endpoint, so he gets in; and with that she does.
    EXPECT_EQ(bench.send(at("10.1.0.3:6000"), alice).action, NatVerdict::Action::hairpin);
    EXPECT_EQ(bench.send(at(kHost), bob).action, NatVerdict::Action::hairpin);
}

TEST(NatMapping, WithoutHairpinNothingReachesTheOwnAddress) {
    NatBench bench{{.filtering = Dependence::endpoint_independent}};
    const auto bob = bench.out("10.1.0.3:6000", kPrimary).value();
    const auto verdict = bench.send(at(kHost), bob);
    EXPECT_EQ(verdict.action, NatVerdict::Action::drop);
    EXPECT_STREQ(verdict.reason, "no hairpin");
    EXPECT_EQ(bench.nat().mappings(bench.now), 1U);
}

TEST(NatMapping, EchoIsMappedByItsIdentifier) {
    NatBench bench{{}};
    const net::Endpoint server{.address = testing::address("198.18.9.2"), .port = 0};
    const auto one = bench.send(at("10.1.0.2:77"), server, Protocol::icmp);
    const auto two = bench.send(at("10.1.0.3:77"), server, Protocol::icmp);
    EXPECT_EQ(one.flow.source.port, 77);
    EXPECT_NE(two.flow.source.port, 77);
    EXPECT_EQ(bench.receive(server, two.flow.source, Protocol::icmp).flow.destination, at("10.1.0.3:77"));
    bench.now += 59s;
    EXPECT_EQ(bench.receive(server, one.flow.source, Protocol::icmp).flow.destination, at("10.1.0.2:77"));
    bench.now += 61s;
    EXPECT_EQ(bench.receive(server, one.flow.source, Protocol::icmp).action, NatVerdict::Action::drop);
}

TEST(NatMapping, ProtocolsHaveTheirOwnPorts) {
    NatBench bench{{.mapping = Dependence::endpoint_independent}};
    const auto udp = bench.out(kHost, kPrimary).value();
    const auto tcp = bench.send(at("10.1.0.3:5000"), at(kPrimary), Protocol::tcp, {.syn = true}).flow.source;
    EXPECT_EQ(udp, tcp);
    EXPECT_EQ(bench.in(kPrimary, udp), at(kHost));
    EXPECT_EQ(bench.receive(at(kPrimary), tcp, Protocol::tcp, {.syn = true, .ack = true}).flow.destination,
              at("10.1.0.3:5000"));
}

}  // namespace
}  // namespace pinhole::lab
