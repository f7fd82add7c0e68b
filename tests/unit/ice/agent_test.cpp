// Two agents across every kind of NAT: what connects, over which pair, and what fails.
#include "peer/ice/agent.hpp"

#include "common/stun/message.hpp"
#include "tests/unit/ice/virtual_network.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <gtest/gtest.h>

namespace pinhole::ice {
namespace {

using net::CandidateType;
using testing::at;
using testing::Behaviour;
using testing::HostConfig;
using testing::Link;
using testing::NatType;
using testing::VirtualNetwork;

constexpr std::array kBehaviours{Behaviour::independent, Behaviour::address_dependent,
                                 Behaviour::address_and_port_dependent};

HostConfig lan_host(const char* address, Role role) {
    return {.address = at(address), .nat_address = {}, .nat = {}, .role = role};
}

HostConfig natted(const char* address, const char* nat, NatType type, Role role) {
    return {.address = at(address), .nat_address = net::Address::parse(nat), .nat = type, .role = role};
}

HostConfig alice(NatType type) {
    return natted("192.168.1.10:5000", "203.0.113.1", type, Role::controlling);
}

HostConfig bob(NatType type) {
    return natted("10.0.0.10:6000", "203.0.113.2", type, Role::controlled);
}

constexpr NatType nat(Behaviour mapping, Behaviour filtering) {
    return {.mapping = mapping, .filtering = filtering};
}

/// Both selected the same addresses, seen from both ends.
void expect_agreement(VirtualNetwork& network) {
    const auto a = network.agent(0).selected().value();
    const auto b = network.agent(1).selected().value();
    EXPECT_EQ(network.agent(0).role() == Role::controlling, network.agent(1).role() == Role::controlled);
    EXPECT_EQ(a.local_type == CandidateType::host && a.remote_type == CandidateType::host,
              b.local_type == CandidateType::host && b.remote_type == CandidateType::host);
    if (a.local_type == CandidateType::host && a.remote_type == CandidateType::host) {
        EXPECT_EQ(a.path.local, b.path.remote);
        EXPECT_EQ(a.path.remote, b.path.local);
    }
}

TEST(IceAgent, ConnectsOnALan) {
    VirtualNetwork network{1, {.latency = 1ms}};
    network.add(lan_host("192.168.1.10:5000", Role::controlling));
    network.add(lan_host("192.168.1.11:5000", Role::controlled));
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(2s));
    EXPECT_LE(network.now(), TimePoint{} + 200ms);
    expect_agreement(network);
    EXPECT_EQ(network.all<Validated>(0).size(), 1U);
    EXPECT_EQ(network.all<Selected>(0).size(), 1U);
    EXPECT_EQ(network.all<Selected>(1).size(), 1U);
    EXPECT_EQ(network.agent(0).selected()->rtt, 2ms);
}

TEST(IceAgent, ConnectsOverIpv6) {
    VirtualNetwork network{1, {}};
    network.add(lan_host("[2001:db8::1]:5000", Role::controlling));
    network.add(lan_host("[2001:db8::2]:5000", Role::controlled));
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(2s));
    expect_agreement(network);
}

TEST(IceAgent, ConnectsWhenOneSideIsPublicWhateverTheOtherNat) {
    for (const auto mapping : kBehaviours) {
        for (const auto filtering : kBehaviours) {
            for (const bool caller_public : {true, false}) {
                VirtualNetwork network{2, {}};
                auto open = lan_host("198.51.100.9:7000", caller_public ? Role::controlling : Role::controlled);
                auto hidden = alice(nat(mapping, filtering));
                hidden.role = caller_public ? Role::controlled : Role::controlling;
                network.add(open);
                network.add(hidden);
                network.connect(0, 1);
                ASSERT_TRUE(network.run_until_selected(5s));
                EXPECT_EQ(network.agent(1).selected()->path.remote, at("198.51.100.9:7000"));
                EXPECT_EQ(network.agent(0).selected()->path.remote.address, *net::Address::parse("203.0.113.1"));
            }
        }
    }
}

TEST(IceAgent, PunchesThroughEndpointIndependentNatsWhateverTheyFilter) {
    for (const auto first : kBehaviours) {
        for (const auto second : kBehaviours) {
            VirtualNetwork network{3, {}};
            network.add(alice(nat(Behaviour::independent, first)));
            network.add(bob(nat(Behaviour::independent, second)));
            network.connect(0, 1);
            ASSERT_TRUE(network.run_until_selected(5s));
            EXPECT_EQ(network.agent(0).selected()->path.remote, network.reflexive(1));
            EXPECT_EQ(network.agent(1).selected()->path.remote, network.reflexive(0));
            EXPECT_EQ(network.agent(0).selected()->local_type, CandidateType::server_reflexive);
            EXPECT_EQ(network.agent(0).selected()->remote_type, CandidateType::server_reflexive);
            EXPECT_LE(network.now(), TimePoint{} + 1500ms);
        }
    }
}

TEST(IceAgent, PrefersTheLanBehindOneNat) {
    VirtualNetwork network{4, {.latency = 2ms}};
    network.add(alice({}));
    network.add(natted("192.168.1.11:6000", "203.0.113.1", {}, Role::controlled));
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(5s));
    network.run_until(5s);
    EXPECT_EQ(network.agent(0).selected()->path.remote, at("192.168.1.11:6000"));
    expect_agreement(network);
}

TEST(IceAgent, DiscoversACandidateThatWasNeverOffered) {
    VirtualNetwork network{5, {}};
    auto hidden = alice(nat(Behaviour::independent, Behaviour::independent));
    hidden.offer_host = false;
    hidden.offer_reflexive = false;
    network.add(hidden);
    network.add(lan_host("198.51.100.9:7000", Role::controlled));
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(5s));
    EXPECT_EQ(network.agent(1).selected()->remote_type, CandidateType::peer_reflexive);
    EXPECT_EQ(network.agent(1).selected()->path.remote, network.reflexive(0));
}

TEST(IceAgent, DiscoversItsOwnPeerReflexiveCandidate) {
    VirtualNetwork network{6, {}};
    network.add(alice(nat(Behaviour::address_and_port_dependent, Behaviour::address_and_port_dependent)));
    network.add(lan_host("198.51.100.9:7000", Role::controlled));
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(5s));
    EXPECT_EQ(network.agent(0).selected()->local_type, CandidateType::peer_reflexive);
    EXPECT_EQ(network.agent(1).selected()->remote_type, CandidateType::peer_reflexive);
}

TEST(IceAgent, SymmetricNatReachesAnAddressRestrictedOne) {
    for (const auto filtering : {Behaviour::independent, Behaviour::address_dependent}) {
        VirtualNetwork network{7, {}};
        network.add(alice(nat(Behaviour::address_and_port_dependent, Behaviour::address_and_port_dependent)));
        network.add(bob(nat(Behaviour::independent, filtering)));
        network.connect(0, 1);
        ASSERT_TRUE(network.run_until_selected(8s));
        EXPECT_EQ(network.agent(1).selected()->remote_type, CandidateType::peer_reflexive);
    }
}

TEST(IceAgent, SymmetricAgainstPortRestrictedFailsAndHeardNothing) {
    VirtualNetwork network{8, {}};
    network.add(alice(nat(Behaviour::address_and_port_dependent, Behaviour::address_and_port_dependent)));
    network.add(bob(nat(Behaviour::independent, Behaviour::address_and_port_dependent)));
    network.connect(0, 1);
    EXPECT_FALSE(network.run_until_selected(30s));
    EXPECT_GE(network.now(), TimePoint{} + 10s);
    EXPECT_LE(network.now(), TimePoint{} + 10s + 50ms);
    for (const std::size_t host : {0U, 1U}) {
        const auto failures = network.all<Failed>(host);
        ASSERT_EQ(failures.size(), 1U);
        EXPECT_FALSE(failures[0].heard_anything);
        EXPECT_EQ(failures[0].pairs, 2U);
        EXPECT_EQ(failures[0].remote_candidates, 2U);
        EXPECT_TRUE(network.all<Validated>(host).empty());
    }
    const auto packets = network.sent().size();
    network.run_until(60s);
    EXPECT_EQ(network.sent().size(), packets);
}

TEST(IceAgent, SolvesRoleConflictsOfBothKinds) {
    for (const auto role : {Role::controlling, Role::controlled}) {
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            SCOPED_TRACE(seed);
            VirtualNetwork network{seed, {.loss = seed < 10 ? 0 : 0.2}};
            auto a = alice({});
            auto b = bob({});
            a.role = role;
            b.role = role;
            network.add(a);
            network.add(b);
            network.connect(0, 1);
            ASSERT_TRUE(network.run_until_selected(30s));
            EXPECT_NE(network.agent(0).role(), network.agent(1).role());
        }
    }
}

TEST(IceAgent, ConnectsThroughTwentyPercentLoss) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        SCOPED_TRACE(seed);
        VirtualNetwork network{seed, {.latency = 40ms, .loss = 0.2}};
        network.add(alice({}));
        network.add(bob({}));
        network.connect(0, 1);
        ASSERT_TRUE(network.run_until_selected(20s));
        network.run_until(network.now().time_since_epoch() + 10s);
        EXPECT_EQ(network.agent(0).selected()->path.remote, network.reflexive(1));
        EXPECT_EQ(network.agent(1).selected()->path.remote, network.reflexive(0));
    }
}

TEST(IceAgent, ChecksThatComeEarlyAreAnsweredAndRemembered) {
    VirtualNetwork network{9, {}};
    network.add(lan_host("198.51.100.8:7000", Role::controlling));
    network.add(lan_host("198.51.100.9:7000", Role::controlled));
    network.agent(0).set_remote_credentials(network.agent(1).local_credentials());
    network.offer(1, 0);
    network.start(0);
    network.run_until(500ms);
    EXPECT_EQ(network.all<Validated>(0).size(), 1U);
    for (const auto& sent : network.sent()) {
        const auto kind = stun::MessageView::parse(sent.transmit.payload).value().message_class();
        EXPECT_EQ(kind == stun::MessageClass::request, sent.host == 0);
    }
    // The other side learns credentials, but no candidate; what it has heard is enough.
    network.agent(1).set_remote_credentials(network.agent(0).local_credentials());
    network.start(1);
    ASSERT_TRUE(network.run_until_selected(3s));
    EXPECT_EQ(network.agent(1).selected()->remote_type, CandidateType::peer_reflexive);
}

TEST(IceAgent, TheLateCandidateGivesAPeerReflexiveOneItsType) {
    VirtualNetwork network{10, {}};
    network.add(lan_host("198.51.100.8:7000", Role::controlling));
    network.add(lan_host("198.51.100.9:7000", Role::controlled));
    network.exchange_credentials(0, 1);
    network.offer(1, 0);
    network.start(0);
    network.start(1);
    ASSERT_TRUE(network.run_until_selected(3s));
    EXPECT_EQ(network.agent(1).selected()->remote_type, CandidateType::peer_reflexive);
    network.offer(0, 1);
    EXPECT_EQ(network.agent(1).selected()->remote_type, CandidateType::host);
    network.run_until(4s);
    EXPECT_EQ(network.all<Selected>(1).size(), 1U);
}

TEST(IceAgent, MovesToABetterPairThatAppearsLater) {
    VirtualNetwork network{11, {.latency = 2ms}};
    auto a = alice({});
    auto b = natted("192.168.1.11:6000", "203.0.113.1", nat(Behaviour::independent, Behaviour::independent),
                    Role::controlled);
    a.nat.filtering = Behaviour::independent;
    a.offer_host = false;
    b.offer_host = false;
    network.add(a);
    network.add(b);
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(5s));
    EXPECT_EQ(network.agent(0).selected()->path.remote, network.reflexive(1));
    network.run_until(8s);
    network.agent(0).add_remote_candidate(testing::host_candidate(at("192.168.1.11:6000")), network.now());
    network.run_until(10s);
    EXPECT_EQ(network.agent(0).selected()->path.remote, at("192.168.1.11:6000"));
    EXPECT_EQ(network.agent(1).selected()->path.remote, at("192.168.1.10:5000"));
}

TEST(IceAgent, ACandidateAtAKnownAddressChangesNothing) {
    VirtualNetwork network{12, {}};
    network.add(lan_host("198.51.100.8:7000", Role::controlling));
    network.add(lan_host("198.51.100.9:7000", Role::controlled));
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(3s));
    network.run_until(3s);
    const auto packets = network.sent().size();
    network.agent(0).add_remote_candidate(testing::host_candidate(at("198.51.100.9:7000")), network.now());
    network.run_until(3500ms);
    EXPECT_EQ(network.sent().size(), packets);
}

TEST(IceAgent, LosesConsentThirtySecondsIntoABlackout) {
    VirtualNetwork network{13, {}};
    network.add(alice({}));
    network.add(bob({}));
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(5s));
    network.run_until(300s);
    EXPECT_TRUE(network.agent(0).selected());
    EXPECT_TRUE(network.all<ConsentLost>(0).empty());
    network.set_link({.latency = 20ms, .loss = 1});
    network.run_until(323s);
    EXPECT_TRUE(network.all<ConsentLost>(0).empty());
    network.run_until(331s);
    for (const std::size_t host : {0U, 1U}) {
        EXPECT_EQ(network.all<ConsentLost>(host).size(), 1U);
        EXPECT_FALSE(network.agent(host).selected());
    }
}

TEST(IceAgent, ConsentAsksEveryFiveSecondsWithJitter) {
    VirtualNetwork network{14, {}};
    network.add(alice({}));
    network.add(bob({}));
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(5s));
    network.run_until(10s);
    const auto before = network.sent().size();
    network.run_until(110s);
    std::vector<TimePoint> asked;
    for (std::size_t i = before; i < network.sent().size(); ++i) {
        const auto& sent = network.sent()[i];
        if (sent.host == 0 &&
            stun::MessageView::parse(sent.transmit.payload).value().message_class() == stun::MessageClass::request) {
            asked.push_back(sent.at);
        }
    }
    ASSERT_GT(asked.size(), 15U);
    std::set<Duration> gaps;
    for (std::size_t i = 1; i < asked.size(); ++i) {
        gaps.insert(asked[i] - asked[i - 1]);
    }
    EXPECT_GE(*gaps.begin(), 4s);
    EXPECT_LE(*gaps.rbegin(), 6s);
    EXPECT_GT(gaps.size(), 10U);
}

TEST(IceAgent, SendsNothingAfterClose) {
    VirtualNetwork network{15, {}};
    network.add(alice({}));
    network.add(bob({}));
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(5s));
    network.agent(0).close();
    network.run_until(5500ms);
    const auto count = [&] {
        return std::ranges::count_if(network.sent(), [](const testing::Sent& sent) { return sent.host == 0; });
    };
    const auto before = count();
    const auto events = network.events(0).size();
    network.agent(0).start(network.now());
    network.agent(0).add_remote_candidate(testing::host_candidate(at("198.51.100.77:1")), network.now());
    network.run_until(100s);
    EXPECT_EQ(count(), before);
    EXPECT_EQ(network.events(0).size(), events);
    EXPECT_FALSE(network.agent(0).next_timeout());
}

TEST(IceAgent, StopsCheckingOtherPairsTwoSecondsAfterSelection) {
    VirtualNetwork network{16, {}};
    network.add(alice({}));
    network.add(bob({}));
    network.connect(0, 1);
    ASSERT_TRUE(network.run_until_selected(5s));
    network.run_until(network.now().time_since_epoch() + 2100ms);
    const auto before = network.sent().size();
    network.run_until(60s);
    for (std::size_t i = before; i < network.sent().size(); ++i) {
        const auto& remote = network.sent()[i].transmit.path.remote;
        EXPECT_TRUE(remote == network.reflexive(0) || remote == network.reflexive(1)) << remote.text();
    }
}

// Behind one NAT with hairpinning the reflexive pair and the LAN pair both work, so nominations follow each other.
TEST(IceAgent, BothSidesAgreeThoughNominationsOvertakeEachOther) {
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
        SCOPED_TRACE(seed);
        VirtualNetwork network{seed, {.latency = 20ms, .loss = 0.3, .jitter = 150ms}};
        auto a = alice(nat(Behaviour::independent, Behaviour::independent));
        auto b =
            natted("192.168.1.11:6000", "203.0.113.1", a.nat, seed % 3 == 0 ? Role::controlling : Role::controlled);
        network.add(a);
        network.add(b);
        network.connect(0, 1);
        ASSERT_TRUE(network.run_until_selected(30s));
        network.set_link({.latency = 20ms});
        network.run_until(network.now().time_since_epoch() + 10s);
        EXPECT_NE(network.agent(0).role(), network.agent(1).role());
        const auto first = network.agent(0).selected().value().path;
        const auto second = network.agent(1).selected().value().path;
        EXPECT_EQ(first.remote == second.local, second.remote == first.local);
        EXPECT_LE(network.all<Selected>(0).size(), 4U);
    }
}

TEST(IceAgent, ReplaysTheSameTraceForTheSameSeed) {
    const auto run = [](std::uint64_t seed) {
        VirtualNetwork network{seed, {.latency = 30ms, .loss = 0.3}};
        network.add(alice({}));
        network.add(bob({}));
        network.connect(0, 1);
        network.run_until(40s);
        return network.trace();
    };
    EXPECT_EQ(run(77), run(77));
    EXPECT_NE(run(77), run(78));
}

/// A pair that no candidate names: alice has a socket that ICE does not know, and something of bob came in there.
struct NamedPath {
    VirtualNetwork network{1, {}};
    net::PathAddresses path{.local = at("203.0.113.1:7000"), .remote = at("203.0.113.2:6000")};

    NamedPath() {
        auto a = lan_host("203.0.113.1:7000", Role::controlling);
        auto b = lan_host("203.0.113.2:6000", Role::controlled);
        a.base = false;
        network.add(a);
        network.add(b);
        network.exchange_credentials(0, 1);
    }
};

TEST(IceAgent, ChecksAPathThatNobodyOffered) {
    NamedPath named;
    auto& network = named.network;
    network.start(0);
    network.start(1);
    network.agent(0).check(named.path, network.now());
    ASSERT_TRUE(network.run_until_selected(2s));
    EXPECT_EQ(network.agent(0).selected()->path, named.path);
    EXPECT_EQ(network.agent(1).selected()->path.remote, named.path.local);
}

TEST(IceAgent, ChecksAPathThatWasNamedBeforeTheStart) {
    NamedPath named;
    auto& network = named.network;
    network.agent(0).check(named.path, network.now());
    network.start(0);
    network.start(1);
    ASSERT_TRUE(network.run_until_selected(2s));
    EXPECT_EQ(network.agent(0).selected()->path, named.path);
}

TEST(IceAgent, ANamedSocketMakesNoOtherPairs) {
    NamedPath named;
    auto& network = named.network;
    network.agent(0).add_remote_candidate(testing::host_candidate(at("203.0.113.9:9000")), network.now());
    network.start(0);
    network.agent(0).check(named.path, network.now());
    network.agent(0).add_remote_candidate(testing::host_candidate(at("203.0.113.8:8000")), network.now());
    network.run_until(1s);
    EXPECT_FALSE(network.sent().empty());
    for (const auto& sent : network.sent()) {
        EXPECT_TRUE(sent.host == 1 || sent.transmit.path == named.path) << sent.transmit.path.remote.text();
    }
}

TEST(IceAgent, DoesNotGiveUpWhilePathsMayStillBeNamed) {
    NamedPath named;
    auto& network = named.network;
    network.agent(0).keep_until(network.now() + 20s);
    network.agent(0).end_of_remote_candidates(network.now());
    network.start(0);
    network.start(1);
    network.run_until(19s);
    EXPECT_TRUE(network.all<Failed>(0).empty());
    EXPECT_FALSE(network.all<Failed>(1).empty());
    network.run_until(21s);
    EXPECT_FALSE(network.all<Failed>(0).empty());
}

}  // namespace
}  // namespace pinhole::ice
