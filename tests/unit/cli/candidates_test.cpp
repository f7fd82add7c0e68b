#include "peer/shell/candidates.hpp"

#include <gtest/gtest.h>

namespace pinhole::shell {
namespace {

net::Address address(const char* text) {
    return *net::Address::parse(text);
}

TEST(UsableAddresses, KeepLoopbackAndTheNetworkApart) {
    const std::vector all{address("127.0.0.1"), address("10.0.0.5"), address("2001:db8::5")};
    EXPECT_EQ(usable_addresses(all, address("192.0.2.1"), {}),
              (std::vector{address("10.0.0.5"), address("2001:db8::5")}));
    EXPECT_EQ(usable_addresses(all, address("127.0.0.1"), {}), std::vector{address("127.0.0.1")});
}

TEST(UsableAddresses, ObeyBind) {
    const std::vector all{address("10.0.0.5"), address("10.0.0.6")};
    EXPECT_EQ(usable_addresses(all, address("192.0.2.1"), address("10.0.0.6")), std::vector{address("10.0.0.6")});
}

TEST(HostCandidates, AreOfOneFamilyWithFallingPriority) {
    const auto candidates =
        host_candidates({address("10.0.0.5"), address("2001:db8::5"), address("10.1.0.5")}, net::Family::v4, 4000);
    ASSERT_EQ(candidates.size(), 2U);
    EXPECT_EQ(candidates[0].endpoint.text(), "10.0.0.5:4000");
    EXPECT_EQ(candidates[1].endpoint.text(), "10.1.0.5:4000");
    EXPECT_GT(candidates[0].priority, candidates[1].priority);
    EXPECT_NE(candidates[0].foundation, candidates[1].foundation);
}

TEST(TcpHostCandidates, ConnectAndAreConnectedToFromOnePort) {
    const auto candidates =
        tcp_host_candidates({address("10.0.0.5"), address("2001:db8::5"), address("10.1.0.5")}, net::Family::v4, 4000);
    ASSERT_EQ(candidates.size(), 4U);
    for (const auto& candidate : candidates) {
        EXPECT_EQ(candidate.transport, net::Transport::tcp);
        EXPECT_EQ(candidate.base, candidate.endpoint);
        EXPECT_EQ(candidate.endpoint.port, 4000);
    }
    EXPECT_EQ(candidates[0].tcp_type, net::TcpType::active);
    EXPECT_EQ(candidates[1].tcp_type, net::TcpType::passive);
    EXPECT_GT(candidates[0].priority, candidates[1].priority);
    EXPECT_GT(candidates[1].priority, candidates[3].priority) << "the first address is the best";
    EXPECT_LT(candidates[0].priority, host_candidates({address("10.0.0.5")}, net::Family::v4, 1)[0].priority);
}

TEST(ReflexiveCandidate, OverTcpIsOneOfSimultaneousOpenWithANatOrWithout) {
    const auto local = *net::Endpoint::parse("198.51.100.7:4000");
    ice::Reflexive answer{
        .path = {.local = local, .remote = *net::Endpoint::parse("192.0.2.1:3478"), .transport = net::Transport::tcp},
        .reflexive = local,
        .rtt = 1ms};
    const auto firewalled = reflexive_candidate(answer);
    ASSERT_TRUE(firewalled);
    EXPECT_EQ(firewalled->type, net::CandidateType::host);
    EXPECT_EQ(firewalled->tcp_type, net::TcpType::simultaneous_open);
    answer.reflexive = *net::Endpoint::parse("203.0.113.9:5000");
    const auto natted = reflexive_candidate(answer);
    ASSERT_TRUE(natted);
    EXPECT_EQ(natted->type, net::CandidateType::server_reflexive);
    EXPECT_EQ(natted->base, local);
    EXPECT_EQ(natted->transport, net::Transport::tcp);
}

TEST(ReflexiveCandidate, IsNoneWithoutANat) {
    const auto local = *net::Endpoint::parse("198.51.100.7:4000");
    ice::Reflexive answer{
        .path = {.local = local, .remote = *net::Endpoint::parse("192.0.2.1:3478")}, .reflexive = local, .rtt = 1ms};
    EXPECT_FALSE(reflexive_candidate(answer));
    answer.reflexive = *net::Endpoint::parse("203.0.113.9:5000");
    const auto candidate = reflexive_candidate(answer);
    ASSERT_TRUE(candidate);
    EXPECT_EQ(candidate->endpoint, answer.reflexive);
    EXPECT_EQ(candidate->base, local);
    EXPECT_EQ(candidate->type, net::CandidateType::server_reflexive);
}

}  // namespace
}  // namespace pinhole::shell
