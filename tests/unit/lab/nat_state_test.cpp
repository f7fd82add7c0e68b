// How long mappings and filters live, what TCP and firewalls do to them, and errors about them.
#include "tests/unit/lab/bench.hpp"

namespace pinhole::lab {
namespace {

using testing::at;
using testing::NatBench;
using Action = NatVerdict::Action;

constexpr const char* kHost = "10.1.0.2:5000";
constexpr const char* kServer = "198.18.9.2:3478";
constexpr const char* kPeer = "198.18.8.2:4000";

TEST(NatState, AnIdleMappingEndsAtItsTimeout) {
    NatBench bench{{.udp_timeout = 30s}};
    const auto external = bench.out(kHost, kServer).value();
    bench.now += 30s - 1ns;
    EXPECT_TRUE(bench.in(kServer, external));
    bench.now += 30s;
    EXPECT_FALSE(bench.in(kServer, external));
    EXPECT_EQ(bench.nat().mappings(bench.now), 0U);
}

TEST(NatState, OutboundRefreshesAlways) {
    for (const bool inbound_refresh : {false, true}) {
        NatBench bench{{.allocation = Allocation::random, .udp_timeout = 30s, .inbound_refresh = inbound_refresh}};
        const auto external = bench.out(kHost, kServer);
        for (int i = 0; i < 10; ++i) {
            bench.now += 29s;
            EXPECT_EQ(bench.out(kHost, kServer), external);
        }
    }
}

TEST(NatState, InboundRefreshesOnlyIfItMay) {
    for (const bool inbound_refresh : {false, true}) {
        NatBench bench{{.udp_timeout = 30s, .inbound_refresh = inbound_refresh}};
        const auto external = bench.out(kHost, kServer).value();
        bench.now += 20s;
        EXPECT_TRUE(bench.in(kServer, external));
        bench.now += 20s;
        EXPECT_EQ(bench.in(kServer, external).has_value(), inbound_refresh);
    }
}

TEST(NatState, StrangersRefreshAFullCone) {
    NatBench bench{{.filtering = Dependence::endpoint_independent, .udp_timeout = 30s}};
    const auto external = bench.out(kHost, kServer).value();
    for (int i = 0; i < 5; ++i) {
        bench.now += 20s;
        EXPECT_TRUE(bench.in(kPeer, external));
    }
}

TEST(NatState, TheHoleToEachPeerHasItsOwnTimer) {
    NatBench bench{{.udp_timeout = 30s}};
    const auto external = bench.out(kHost, kServer).value();
    ASSERT_EQ(bench.out(kHost, kPeer), external);
    for (int i = 0; i < 3; ++i) {
        bench.now += 20s;
        (void)bench.out(kHost, kServer);
    }
    EXPECT_FALSE(bench.in(kPeer, external));
    EXPECT_TRUE(bench.in(kServer, external));
    EXPECT_EQ(bench.out(kHost, kPeer), external) << "the mapping itself lives";
    EXPECT_TRUE(bench.in(kPeer, external));
}

TEST(NatState, ExpiredFlowsLeaveNothingBehind) {
    NatBench bench{{.mapping = Dependence::address_and_port_dependent, .udp_timeout = 1s}};
    for (int i = 0; i < 5000; ++i) {
        bench.now += 1ms;
        const auto remote =
            net::Endpoint{.address = testing::address("198.18.9.2"), .port = static_cast<std::uint16_t>(1 + i)};
        ASSERT_EQ(bench.send(at(kHost), remote).action, Action::forward);
    }
    EXPECT_EQ(bench.nat().mappings(bench.now), 1000U);
}

class TcpBench : public NatBench {
  public:
    using NatBench::NatBench;

    NatVerdict up(TcpFlags flags, const char* remote = kServer) {
        return send(at(kHost), at(remote), Protocol::tcp, flags);
    }

    NatVerdict down(TcpFlags flags, const char* remote = kServer) {
        return receive(at(remote), at("198.18.1.2:5000"), Protocol::tcp, flags);
    }

    bool alive() { return down({.ack = true}).action == Action::forward; }
};

NatConfig tcp_config() {
    return {.tcp_established_timeout = 1000s, .tcp_transitory_timeout = 100s};
}

TEST(NatState, ATcpConnectionIsEstablishedBySynsBothWays) {
    TcpBench bench{tcp_config()};
    EXPECT_EQ(bench.up({.syn = true}).action, Action::forward);
    EXPECT_EQ(bench.down({.syn = true, .ack = true}).action, Action::forward);
    EXPECT_EQ(bench.up({.ack = true}).action, Action::forward);
    bench.now += 999s;
    EXPECT_TRUE(bench.alive());
    bench.now += 1001s;
    EXPECT_FALSE(bench.alive());
}

TEST(NatState, AHalfOpenTcpConnectionIsTransitory) {
    TcpBench bench{tcp_config()};
    (void)bench.up({.syn = true});
    bench.now += 101s;
    EXPECT_EQ(bench.down({.syn = true, .ack = true}).action, Action::drop);
}

TEST(NatState, FinAndRstMakeATcpConnectionTransitory) {
    for (const auto& end : {TcpFlags{.ack = true, .fin = true}, TcpFlags{.rst = true}}) {
        for (const bool outbound : {true, false}) {
            TcpBench bench{tcp_config()};
            (void)bench.up({.syn = true});
            (void)bench.down({.syn = true, .ack = true});
            (void)(outbound ? bench.up(end) : bench.down(end));
            bench.now += 99s;
            EXPECT_TRUE(bench.alive()) << "RFC 7857 §3: not at once";
            bench.now += 101s;
            EXPECT_FALSE(bench.alive());
        }
    }
}

TEST(NatState, OneClosedConnectionDoesNotEndTheOthersOfItsPort) {
    TcpBench bench{tcp_config()};
    for (const auto* remote : {kServer, kPeer}) {
        (void)bench.up({.syn = true}, remote);
        (void)bench.down({.syn = true, .ack = true}, remote);
    }
    (void)bench.up({.fin = true}, kPeer);
    bench.now += 500s;
    EXPECT_TRUE(bench.alive());
    EXPECT_EQ(bench.down({.ack = true}, kPeer).action, Action::drop);
    EXPECT_EQ(bench.nat().mappings(bench.now), 1U);
}

TEST(NatState, TcpSimultaneousOpenWorks) {
    TcpBench bench{tcp_config()};
    EXPECT_EQ(bench.down({.syn = true}, kPeer).action, Action::drop);
    EXPECT_EQ(bench.up({.syn = true}, kPeer).action, Action::forward);
    EXPECT_EQ(bench.down({.syn = true}, kPeer).action, Action::forward);
    EXPECT_EQ(bench.up({.syn = true, .ack = true}, kPeer).action, Action::forward);
    bench.now += 900s;
    EXPECT_EQ(bench.down({.ack = true}, kPeer).action, Action::forward);
}

TEST(NatState, ARstMakesNoMapping) {
    TcpBench bench{tcp_config()};
    EXPECT_STREQ(bench.up({.rst = true}).reason, "no mapping");
    EXPECT_EQ(bench.nat().mappings(bench.now), 0U);
}

TEST(NatState, BlockedProtocolsAreDroppedAlsoInTheMiddle) {
    NatBench bench{{}};
    const auto external = bench.out(kHost, kServer).value();
    bench.nat().config().udp_blocked = true;
    EXPECT_STREQ(bench.send(at(kHost), at(kServer)).reason, "blocked");
    EXPECT_FALSE(bench.in(kServer, external));
    EXPECT_EQ(bench.send(at(kHost), at(kServer), Protocol::tcp, {.syn = true}).action, Action::forward);
    bench.nat().config().tcp_blocked = true;
    EXPECT_STREQ(bench.send(at(kHost), at(kServer), Protocol::tcp, {.syn = true}).reason, "blocked");
    bench.nat().config().udp_blocked = false;
    EXPECT_TRUE(bench.out(kHost, kServer));
}

TEST(NatState, OnlyOpenPortsGetOut) {
    NatBench bench{{.open_ports = {443}}};
    EXPECT_FALSE(bench.out(kHost, kServer));
    EXPECT_TRUE(bench.out(kHost, "198.18.9.2:443"));
    EXPECT_EQ(bench.send(at(kHost), at(kServer), Protocol::tcp, {.syn = true}).action, Action::drop);
    EXPECT_EQ(bench.send(at(kHost), at("198.18.9.2:443"), Protocol::tcp, {.syn = true}).action, Action::forward);
    const net::Endpoint pinged{.address = testing::address("198.18.9.2"), .port = 0};
    EXPECT_EQ(bench.send(at(kHost), pinged, Protocol::icmp).action, Action::forward);
}

TEST(NatState, CountsWhatItDrops) {
    NatBench bench{{}};
    (void)bench.out(kHost, kServer);
    (void)bench.in(kPeer, at("198.18.1.2:5000"));
    (void)bench.in(kPeer, at("198.18.1.2:5001"));
    EXPECT_EQ(bench.nat().counters().mappings_made, 1U);
    EXPECT_EQ(bench.nat().counters().dropped, 2U);
}

TEST(NatState, ErrorsFindTheFlowThatTheInsideSent) {
    NatBench bench{{.mapping = Dependence::address_and_port_dependent, .allocation = Allocation::random}};
    const auto external = bench.out(kHost, kServer).value();
    const Flow sent{.source = external, .destination = at(kServer)};
    EXPECT_EQ(bench.nat().translate_error(sent, bench.now), (Flow{.source = at(kHost), .destination = at(kServer)}));
    const Flow forged{.source = external, .destination = at(kPeer)};
    EXPECT_FALSE(bench.nat().translate_error(forged, bench.now));
    EXPECT_FALSE(bench.nat().translate_error(sent, bench.now + 1h));
}

TEST(NatState, ErrorsOfTheInsideNameTheExternalEndpoint) {
    NatBench bench{{.allocation = Allocation::random}};
    const auto external = bench.out(kHost, kServer).value();
    EXPECT_EQ(bench.nat().translate_error_outward({.source = at(kServer), .destination = at(kHost)}, bench.now),
              (Flow{.source = at(kServer), .destination = external}));
    EXPECT_FALSE(
        bench.nat().translate_error_outward({.source = at(kServer), .destination = at("10.1.0.9:1")}, bench.now));
}

constexpr const char* kHost6 = "[2001:2:0:100::2]:5000";
constexpr const char* kServer6 = "[2001:2:0:9::2]:3478";

TEST(NatState, Ipv6PassesUntranslatedBehindItsFilter) {
    for (const auto filtering :
         {Dependence::endpoint_independent, Dependence::address_dependent, Dependence::address_and_port_dependent}) {
        NatBench bench{{.udp_timeout = 30s, .ipv6_filtering = filtering}};
        EXPECT_FALSE(bench.in(kServer6, at(kHost6)));
        EXPECT_EQ(bench.out(kHost6, kServer6), at(kHost6));
        EXPECT_EQ(bench.in(kServer6, at(kHost6)), at(kHost6));
        EXPECT_EQ(bench.in("[2001:2:0:9::2]:9", at(kHost6)).has_value(),
                  filtering != Dependence::address_and_port_dependent);
        EXPECT_EQ(bench.in("[2001:2:0:9::3]:9", at(kHost6)).has_value(), filtering == Dependence::endpoint_independent);
        EXPECT_EQ(bench.nat().mappings(bench.now), 0U);
        bench.now += 31s;
        EXPECT_FALSE(bench.in(kServer6, at(kHost6)));
    }
}

TEST(NatState, Ipv6WithoutAFilterIsOpen) {
    NatBench bench{{.ipv6_filtering = std::nullopt}};
    EXPECT_EQ(bench.in(kServer6, at(kHost6)), at(kHost6));
}

}  // namespace
}  // namespace pinhole::lab
