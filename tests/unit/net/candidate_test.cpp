#include "common/net/candidate.hpp"

#include <string>

#include <gtest/gtest.h>

namespace pinhole::net {
namespace {

// RFC 8445 §5.1.2.1: 2^24 * type + 2^8 * local + (256 - component).
TEST(CandidatePriority, FollowsTheFormula) {
    EXPECT_EQ(candidate_priority(CandidateType::host, 65535), 2130706431U);
    EXPECT_EQ(candidate_priority(CandidateType::server_reflexive, 65535), 1694498815U);
    EXPECT_EQ(candidate_priority(CandidateType::peer_reflexive, 65535), 1862270975U);
    EXPECT_EQ(candidate_priority(CandidateType::relayed, 65535), 16777215U);
    EXPECT_EQ(candidate_priority(CandidateType::host, 0), 126U << 24 | 255U);
}

TEST(CandidatePriority, PutsTheTypeBeforeThePreference) {
    EXPECT_GT(candidate_priority(CandidateType::host, 0), candidate_priority(CandidateType::peer_reflexive, 65535));
    EXPECT_GT(candidate_priority(CandidateType::peer_reflexive, 0),
              candidate_priority(CandidateType::server_reflexive, 65535));
    EXPECT_GT(candidate_priority(CandidateType::server_reflexive, 0),
              candidate_priority(CandidateType::relayed, 65535));
    EXPECT_GT(candidate_priority(CandidateType::host, 2), candidate_priority(CandidateType::host, 1));
}

// RFC 6544 §4.2.
TEST(CandidatePriority, OrdersTcpByDirection) {
    using enum TcpType;
    const auto host = [](TcpType type) { return tcp_preference(CandidateType::host, type, 5); };
    const auto reflexive = [](TcpType type) { return tcp_preference(CandidateType::server_reflexive, type, 5); };
    EXPECT_EQ(host(active), (6U << 13) + 5);
    EXPECT_EQ(host(passive), (4U << 13) + 5);
    EXPECT_EQ(host(simultaneous_open), (2U << 13) + 5);
    EXPECT_EQ(reflexive(simultaneous_open), (6U << 13) + 5);
    EXPECT_EQ(reflexive(active), (4U << 13) + 5);
    EXPECT_EQ(reflexive(passive), (2U << 13) + 5);
}

TEST(CandidatePriority, PutsTcpBelowEveryDirectUdpAndAboveRelays) {
    using enum CandidateType;
    for (const auto type : {host, peer_reflexive, server_reflexive}) {
        EXPECT_LT(candidate_priority(type, 65535, Transport::tcp), candidate_priority(server_reflexive, 0));
        EXPECT_GT(candidate_priority(type, 0, Transport::tcp), candidate_priority(relayed, 65535));
    }
}

TEST(CandidateType, IsNamedAsInSdp) {
    EXPECT_EQ(std::string{name(CandidateType::host)}, "host");
    EXPECT_EQ(std::string{name(CandidateType::server_reflexive)}, "srflx");
    EXPECT_EQ(std::string{name(CandidateType::peer_reflexive)}, "prflx");
    EXPECT_EQ(std::string{name(CandidateType::relayed)}, "relay");
}

}  // namespace
}  // namespace pinhole::net
