#include "rendezvous/shell/outside.hpp"

#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

net::Endpoint at(const char* text) {
    return *net::Endpoint::parse(text);
}

const net::Endpoint kLocal = at("10.0.0.5:50000");
const Outside kBehindNat{{*net::Address::parse("203.0.113.9"), *net::Address::parse("2001:db8::9")}};

TEST(Outside, TellsTheAddressOfTheFamilyAndKeepsThePort) {
    EXPECT_EQ(kBehindNat.told(kLocal), at("203.0.113.9:50000"));
    EXPECT_EQ(kBehindNat.told(at("[fd00::5]:7")), at("[2001:db8::9]:7"));
    EXPECT_EQ(kBehindNat.told(at("127.0.0.1:7")), at("127.0.0.1:7")) << "who came by loopback stays there";
}

TEST(Outside, TwoRelaysOfOneServerMeetInside) {
    EXPECT_EQ(kBehindNat.reached(at("203.0.113.9:50001"), kLocal.address), at("10.0.0.5:50001"));
    EXPECT_EQ(kBehindNat.seen(at("10.0.0.5:50001"), kLocal.address), at("203.0.113.9:50001"));
}

TEST(Outside, LeavesEverybodyElseAlone) {
    const auto peer = at("198.51.100.1:9");
    EXPECT_EQ(kBehindNat.reached(peer, kLocal.address), peer);
    EXPECT_EQ(kBehindNat.seen(peer, kLocal.address), peer);
}

TEST(Outside, WithoutATranslationNothingChanges) {
    const Outside plain;
    EXPECT_EQ(plain.told(kLocal), kLocal);
    EXPECT_EQ(plain.reached(kLocal, kLocal.address), kLocal);
    EXPECT_EQ(plain.seen(kLocal, kLocal.address), kLocal);
}

}  // namespace
}  // namespace pinhole::rendezvous
