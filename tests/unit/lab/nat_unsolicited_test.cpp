// What a NAT does with packets that nobody asked for, above all the conntrack clash.
#include "tests/unit/lab/bench.hpp"

namespace pinhole::lab {
namespace {

using testing::at;
using testing::NatBench;
using Action = NatVerdict::Action;

constexpr const char* kHost = "10.1.0.2:48792";
constexpr const char* kServer = "198.18.9.2:3478";
constexpr const char* kPeer = "198.18.8.2:4000";

const net::Endpoint& external() {
    static const auto endpoint = at("198.18.1.2:48792");
    return endpoint;
}

constexpr TcpFlags kSyn{.syn = true};

TEST(Unsolicited, DropIsSilent) {
    NatBench bench{{}};
    (void)bench.out(kHost, kServer);
    EXPECT_STREQ(bench.receive(at(kPeer), external()).reason, "filtered");
    EXPECT_EQ(bench.receive(at(kPeer), external()).action, Action::drop);
    EXPECT_STREQ(bench.receive(at(kPeer), at("198.18.1.2:9")).reason, "no mapping");
    EXPECT_EQ(bench.receive(at(kPeer), external(), Protocol::tcp, kSyn).action, Action::drop);
    EXPECT_EQ(bench.out(kHost, kPeer), external());
}

TEST(Unsolicited, RejectAnswersButPoisonsNothing) {
    NatBench bench{{.unsolicited = Unsolicited::reject}};
    (void)bench.out(kHost, kServer);
    EXPECT_EQ(bench.receive(at(kPeer), external()).action, Action::reject);
    EXPECT_EQ(bench.receive(at(kPeer), external(), Protocol::tcp, kSyn).action, Action::reject);
    EXPECT_EQ(bench.out(kHost, kPeer), external());
    EXPECT_TRUE(bench.in(kPeer, external()));
}

TEST(Unsolicited, NobodyAnswersARstOrAnEcho) {
    for (const auto policy : {Unsolicited::reject, Unsolicited::clash}) {
        NatBench bench{{.unsolicited = policy}};
        EXPECT_EQ(bench.receive(at(kPeer), external(), Protocol::tcp, {.rst = true}).action, Action::drop);
        EXPECT_EQ(bench.receive(at(kPeer), external(), Protocol::icmp).action, Action::drop);
    }
}

TEST(Unsolicited, ClashRemapsTowardsThePeerThatCameFirstOnly) {
    for (const auto mapping :
         {Dependence::endpoint_independent, Dependence::address_dependent, Dependence::address_and_port_dependent}) {
        NatBench bench{{.mapping = mapping, .unsolicited = Unsolicited::clash}};
        ASSERT_EQ(bench.out(kHost, kServer), external());
        EXPECT_EQ(bench.receive(at(kPeer), external()).action, Action::reject);
        const auto remapped = bench.out(kHost, kPeer).value();
        EXPECT_NE(remapped, external());
        EXPECT_EQ(bench.out(kHost, kPeer), remapped);
        EXPECT_EQ(bench.in(kPeer, remapped), at(kHost));
        EXPECT_FALSE(bench.in(kPeer, external())) << "both keep sending, and neither gets through";
        EXPECT_EQ(bench.out(kHost, kServer), external()) << "all others see the old port";
        EXPECT_EQ(bench.out(kHost, "198.18.8.2:4001"), external());
    }
}

TEST(Unsolicited, ClashBeforeTheFirstPacketOfTheInside) {
    NatBench bench{{.unsolicited = Unsolicited::clash}};
    (void)bench.receive(at(kPeer), external());
    EXPECT_NE(bench.out(kHost, kPeer), external());
    EXPECT_EQ(bench.out(kHost, kServer), external());
}

TEST(Unsolicited, WhoSendsFirstIsNotPoisoned) {
    // A first packet that dies on the way, for its TTL is low, has opened the hole all the same.
    NatBench bench{{.unsolicited = Unsolicited::clash}};
    ASSERT_EQ(bench.out(kHost, kPeer), external());
    EXPECT_EQ(bench.in(kPeer, external()), at(kHost));
    EXPECT_EQ(bench.out(kHost, kPeer), external());
}

TEST(Unsolicited, AClashEndsAfterSilenceAndLivesByRepetition) {
    NatBench bench{{.unsolicited = Unsolicited::clash}};
    for (int i = 0; i < 5; ++i) {
        bench.now += 29s;
        (void)bench.receive(at(kPeer), external());
    }
    EXPECT_NE(bench.out(kHost, kPeer), external());
    NatBench silent{{.unsolicited = Unsolicited::clash}};
    (void)silent.receive(at(kPeer), external());
    silent.now += 30s;
    EXPECT_EQ(silent.out(kHost, kPeer), external());
}

TEST(Unsolicited, ATcpClashEndsSooner) {
    for (const auto& [wait, clashes] : {std::pair{9s, true}, std::pair{10s, false}}) {
        NatBench bench{{.unsolicited = Unsolicited::clash}};
        EXPECT_EQ(bench.receive(at(kPeer), external(), Protocol::tcp, kSyn).action, Action::reject);
        bench.now += wait;
        EXPECT_EQ(bench.send(at(kHost), at(kPeer), Protocol::tcp, kSyn).flow.source != external(), clashes);
    }
}

TEST(Unsolicited, AFreshLocalPortGoesRoundAClash) {
    NatBench bench{{.unsolicited = Unsolicited::clash}};
    (void)bench.receive(at(kPeer), external());
    EXPECT_EQ(bench.out("10.1.0.2:48793", kPeer), at("198.18.1.2:48793"));
}

TEST(Unsolicited, ManyStrangersFillNothing) {
    NatBench bench{{.unsolicited = Unsolicited::clash}};
    for (int i = 0; i < 70'000; ++i) {
        const net::Endpoint stranger{
            .address = net::Address::v4({203, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}),
            .port = static_cast<std::uint16_t>(1 + i % 65535)};
        ASSERT_EQ(bench.receive(stranger, external()).action, Action::reject);
    }
    EXPECT_EQ(bench.nat().mappings(bench.now), 0U);
    EXPECT_EQ(bench.out(kHost, kServer), external());
}

}  // namespace
}  // namespace pinhole::lab
