#include "peer/session/no_path.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::session {
namespace {

using enum net::NatClass;
using testing::HasSubstr;

NoPathFacts facts(net::NatClass ours, net::NatClass theirs) {
    NoPathFacts facts;
    facts.ours = ours;
    facts.theirs = theirs;
    facts.remote_candidates = 2;
    facts.pairs = 4;
    return facts;
}

TEST(NoPath, IsExplainedByTheKindsOfBothNetworks) {
    struct Row {
        net::NatClass ours;
        net::NatClass theirs;
        const char* says;
    };

    const Row rows[] = {
        {hard_random, hard_random, "both networks give every connection a random port (symmetric NAT)"},
        {hard_sequential, hard_sequential, "both networks give every connection the next port (symmetric NAT)"},
        {hard_block, hard_block, "both networks give every connection another port of a block (symmetric NAT)"},
        {hard_random, hard_sequential,
         "this network gives every connection a random port, the other one the next port (symmetric NATs)"},
        {hard_block, hard_random,
         "this network gives every connection another port of a block, the other one a random port (symmetric NATs)"},
        {hard_random, easy,
         "this network gives every connection a random port (symmetric NAT), and it was not found this time"},
        {easy_address, hard_sequential,
         "the other network gives every connection the next port (symmetric NAT), and it was not found this time"},
        {unknown, hard_random,
         "the other network gives every connection a random port (symmetric NAT), and it was not found this time"},
        {blocked, easy, "UDP is blocked on this side"},
        {hard_random, blocked, "UDP is blocked on the other side"},
        {blocked, blocked, "UDP is blocked on both sides"},
        {easy, easy, "none of 4 address pairs let a packet through: a firewall blocks UDP between the two"},
        {open, easy, "none of 4 address pairs let a packet through: a firewall blocks UDP between the two"},
        {unknown, unknown,
         "none of 4 address pairs let a packet through: a firewall blocks UDP, or both NATs choose a new port for each "
         "destination"},
    };
    for (const auto& row : rows) {
        EXPECT_EQ(why_no_path(facts(row.ours, row.theirs)), row.says);
    }
}

TEST(NoPath, SpeaksOfTcpOnlyWhereItWasTried) {
    auto tried = facts(blocked, easy);
    tried.tcp_tried = true;
    EXPECT_EQ(why_no_path(tried), "UDP is blocked on this side, and no TCP connection could be made");
    tried.switched_off = {"tcp"};
    EXPECT_EQ(why_no_path(tried), "UDP is blocked on this side, and TCP is switched off here (--without tcp)");
    tried = facts(easy, easy);
    tried.tcp_tried = true;
    EXPECT_THAT(why_no_path(tried), HasSubstr("a firewall blocks UDP and TCP between the two"));
}

TEST(NoPath, IsExplainedByWhatIceSawWhereTheNetworksDoNotSayIt) {
    auto seen = facts(easy, easy);
    seen.heard_anything = true;
    EXPECT_THAT(why_no_path(seen), HasSubstr("its packets arrive here"));
    seen.remote_candidates = 0;
    EXPECT_EQ(why_no_path(seen), "the other side offered no address");
}

TEST(NoPath, NamesWhatTheUserHasSwitchedOff) {
    auto seen = facts(easy, hard_random);
    seen.switched_off = {"predict", "birthday"};
    EXPECT_EQ(why_no_path(seen), "what these networks need is switched off here (--without predict,birthday)");
}

TEST(NoPath, BehindOneNatIsThatNatsFault) {
    auto seen = facts(hard_random, hard_random);
    seen.same_nat = true;
    EXPECT_THAT(why_no_path(seen), HasSubstr("one NAT"));
}

}  // namespace
}  // namespace pinhole::session
