#include "peer/ice/checklist.hpp"

#include "tests/unit/ice/virtual_network.hpp"

#include <gtest/gtest.h>

namespace pinhole::ice {
namespace {

using net::CandidateType;
using testing::at;
using testing::host_candidate;

net::Candidate reflexive(const char* endpoint, const char* base, std::string foundation = "s") {
    return {.type = CandidateType::server_reflexive,
            .endpoint = at(endpoint),
            .base = at(base),
            .priority = net::candidate_priority(CandidateType::server_reflexive, 65535),
            .foundation = std::move(foundation)};
}

net::PathAddresses path(const char* local, const char* remote) {
    return {.local = at(local), .remote = at(remote)};
}

TEST(IceChecklist, PairPriorityFollowsTheFormula) {
    EXPECT_EQ(pair_priority(1, 2), (1ULL << 32) + 4);
    EXPECT_EQ(pair_priority(2, 1), (1ULL << 32) + 5);
    EXPECT_EQ(pair_priority(7, 7), (7ULL << 32) + 14);
    EXPECT_EQ(reflexive_priority(126U << 24 | 65535U << 8 | 255U), 110U << 24 | 65535U << 8 | 255U);
}

TEST(IceChecklist, PairsOnlyWhatCanReachEachOther) {
    Checklist list{Role::controlling};
    list.add_local(host_candidate(at("192.168.1.10:1")));
    list.add_local(host_candidate(at("[2001:db8::1]:1")));
    list.add_local(host_candidate({.address = *net::Address::parse("fe80::1%3"), .port = 1}));
    list.add_local(host_candidate(at("127.0.0.1:1")));
    list.add_remote(host_candidate(at("192.168.1.11:2")));
    list.add_remote(host_candidate(at("[2001:db8::2]:2")));
    list.add_remote(host_candidate(at("[fe80::2]:2")));
    list.add_remote(host_candidate(at("169.254.1.1:2")));
    EXPECT_EQ(list.pairs(), 3U);
    EXPECT_NE(list.find(path("192.168.1.10:1", "192.168.1.11:2")), nullptr);
    EXPECT_NE(list.find(path("[2001:db8::1]:1", "[2001:db8::2]:2")), nullptr);
    // The scope of a link-local pair is that of our interface.
    const net::PathAddresses link_local{.local = {.address = *net::Address::parse("fe80::1%3"), .port = 1},
                                        .remote = {.address = *net::Address::parse("fe80::2%3"), .port = 2}};
    EXPECT_NE(list.find(link_local), nullptr);
    EXPECT_EQ(list.canonical({.local = at("[fe80::1]:1"), .remote = at("[fe80::2]:2")}), link_local);
    EXPECT_FALSE(list.canonical({.local = at("192.168.1.99:1"), .remote = at("192.168.1.11:2")}));
    list.add_remote(host_candidate(at("127.0.0.1:2")));
    EXPECT_EQ(list.pairs(), 4U);
}

TEST(IceChecklist, IgnoresAddressesThatNobodyCanHave) {
    Checklist list{Role::controlling};
    list.add_local(host_candidate(at("192.168.1.10:1")));
    EXPECT_FALSE(list.add_remote(host_candidate(at("0.0.0.0:2"))));
    EXPECT_FALSE(list.add_remote(host_candidate(at("255.255.255.255:2"))));
    EXPECT_FALSE(list.add_remote(host_candidate(at("224.0.0.1:2"))));
    EXPECT_FALSE(list.add_remote(host_candidate({.address = *net::Address::parse("192.0.2.1"), .port = 0})));
    EXPECT_EQ(list.remotes(), 0U);
}

TEST(IceChecklist, AReflexiveCandidateIsPrunedInFavourOfItsBase) {
    for (const bool host_first : {true, false}) {
        Checklist list{Role::controlling};
        list.add_remote(host_candidate(at("198.51.100.9:2")));
        const auto host = host_candidate(at("192.168.1.10:1"));
        const auto mapped = reflexive("203.0.113.1:40000", "192.168.1.10:1");
        list.add_local(host_first ? host : mapped);
        list.add_local(host_first ? mapped : host);
        EXPECT_EQ(list.pairs(), 1U);
        EXPECT_EQ(list.find(path("192.168.1.10:1", "198.51.100.9:2"))->local_priority, host.priority);
    }
}

TEST(IceChecklist, ChecksTheBestPairOfEachFoundationFirst) {
    Checklist list{Role::controlling};
    list.add_local(host_candidate(at("192.168.1.10:1")));
    auto add = [&](const char* endpoint, std::uint16_t preference, const char* foundation) {
        auto candidate = host_candidate(at(endpoint), preference);
        candidate.foundation = foundation;
        list.add_remote(candidate);
    };
    add("198.51.100.1:1", 100, "a");
    add("198.51.100.2:1", 90, "a");
    add("198.51.100.3:1", 80, "b");
    const auto next = [&] {
        auto* pair = list.next_ordinary();
        pair->state = PairState::in_progress;
        return pair->path.remote.text();
    };
    EXPECT_EQ(next(), "198.51.100.1:1");
    EXPECT_EQ(next(), "198.51.100.3:1");
    EXPECT_EQ(next(), "198.51.100.2:1");  // rather than leaving the slot unused
    EXPECT_FALSE(list.has_ordinary());
    EXPECT_EQ(list.next_ordinary(), nullptr);
}

TEST(IceChecklist, SuccessThawsTheRelativesOfAPair) {
    Checklist list{Role::controlling};
    list.add_local(host_candidate(at("192.168.1.10:1")));
    auto first = host_candidate(at("198.51.100.1:1"), 100);
    auto second = host_candidate(at("198.51.100.2:1"), 90);
    second.foundation = first.foundation;
    list.add_remote(first);
    list.add_remote(second);
    auto* pair = list.next_ordinary();
    EXPECT_EQ(list.find(path("192.168.1.10:1", "198.51.100.2:1"))->state, PairState::frozen);
    pair->state = PairState::succeeded;
    list.thaw(pair->foundation);
    EXPECT_EQ(list.find(path("192.168.1.10:1", "198.51.100.2:1"))->state, PairState::waiting);
}

TEST(IceChecklist, KeepsTheBestHundredPairs) {
    Checklist list{Role::controlling};
    for (std::uint8_t i = 0; i < 20; ++i) {
        list.add_local(host_candidate({.address = net::Address::v4({10, 0, 0, i}), .port = 1}, i));
        list.add_remote(host_candidate({.address = net::Address::v4({10, 0, 1, i}), .port = 1}, i));
    }
    EXPECT_EQ(list.pairs(), kMaxPairs);
    EXPECT_NE(list.find(path("10.0.0.19:1", "10.0.1.19:1")), nullptr);
    EXPECT_EQ(list.find(path("10.0.0.0:1", "10.0.1.0:1")), nullptr);
    // A pair that the other side has proven to work finds room all the same.
    EXPECT_NE(list.find_or_add(path("10.0.0.0:1", "10.0.1.0:1")), nullptr);
    EXPECT_EQ(list.pairs(), kMaxPairs);
}

TEST(IceChecklist, AProvenAddressReplacesAMerelyNamedOne) {
    Checklist list{Role::controlling};
    list.add_local(host_candidate(at("192.168.1.10:1")));
    for (std::uint8_t i = 0; i < 40; ++i) {
        list.add_remote(host_candidate({.address = net::Address::v4({10, 0, 1, i}), .port = 1}, i));
    }
    EXPECT_EQ(list.remotes(), kMaxRemoteCandidates);
    EXPECT_TRUE(list.learn_remote({.local = {}, .remote = at("203.0.113.5:5")}, 1));
    EXPECT_EQ(list.remotes(), kMaxRemoteCandidates);
    EXPECT_EQ(list.find(path("192.168.1.10:1", "10.0.1.0:1")), nullptr);
    EXPECT_NE(list.find_or_add(path("192.168.1.10:1", "203.0.113.5:5")), nullptr);
    std::size_t learnt = 1;
    for (std::uint16_t port = 6; port < 200; ++port) {
        learnt +=
            list.learn_remote({.local = {}, .remote = {.address = net::Address::v4({203, 0, 113, 5}), .port = port}}, 1)
                ? 1
                : 0;
    }
    EXPECT_EQ(learnt, kMaxRemoteCandidates);
}

TEST(IceChecklist, ASwitchOfRolesKeepsTheOrderOfThePairs) {
    Checklist list{Role::controlling};
    list.add_local(host_candidate(at("192.168.1.10:1"), 5));
    list.add_remote(host_candidate(at("198.51.100.1:1"), 9));
    const auto* pair = list.find(path("192.168.1.10:1", "198.51.100.1:1"));
    EXPECT_EQ(pair->priority, pair_priority(pair->local_priority, pair->remote_priority));
    list.set_role(Role::controlled);
    EXPECT_EQ(pair->priority, pair_priority(pair->remote_priority, pair->local_priority));
}

}  // namespace
}  // namespace pinhole::ice
