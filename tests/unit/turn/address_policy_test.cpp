#include "rendezvous/core/turn/address_policy.hpp"

#include "tests/unit/turn/peers_of_a_stranger.hpp"

#include <gtest/gtest.h>

namespace pinhole::turn {
namespace {

using net::Address;
using net::Endpoint;

const Endpoint kListener = *Endpoint::parse("203.0.113.10:3478");

AddressPolicy policy(std::vector<std::string_view> allow = {}) {
    AddressPolicy::Config config{.listeners = {kListener}, .own = {kListener.address}};
    for (const auto range : allow) {
        config.allow.push_back(AddressRange::parse(range).value());
    }
    return AddressPolicy{config};
}

bool permits(const AddressPolicy& judge, std::string_view address) {
    const auto peer = Address::parse(address).value();
    const bool with_port = judge.permits(Endpoint{.address = peer, .port = 40000});
    EXPECT_EQ(judge.permits(peer), with_port) << address;
    return with_port;
}

TEST(AddressPolicy, RefusesWhatIsNotInTheInternet) {
    const auto judge = policy();
    for (const auto* address : test::kRefusedPeers) {
        EXPECT_FALSE(permits(judge, address)) << address;
    }
}

TEST(AddressPolicy, PermitsTheInternet) {
    const auto judge = policy();
    for (const auto* address : test::kPermittedPeers) {
        EXPECT_TRUE(permits(judge, address)) << address;
    }
}

struct Spelling {
    const char* address;
    const char* means;
};

TEST(AddressPolicy, KnowsEverySpellingOfIpv4) {
    for (const auto& [address, means] : std::initializer_list<Spelling>{{"::ffff:10.1.2.3", "10.1.2.3"},
                                                                        {"::10.1.2.3", "10.1.2.3"},
                                                                        {"::ffff:0:10.1.2.3", "10.1.2.3"},
                                                                        {"64:ff9b::10.1.2.3", "10.1.2.3"},
                                                                        {"2002:a01:203::1", "10.1.2.3"},
                                                                        {"2002:a01:203:ffff::", "10.1.2.3"},
                                                                        {"10.1.2.3", "10.1.2.3"},
                                                                        {"::", "::"},
                                                                        {"::1", "::1"},
                                                                        {"2001:db8::1", "2001:db8::1"},
                                                                        {"fe80::1%3", "fe80::1"}}) {
        EXPECT_EQ(canonical(Address::parse(address).value()), Address::parse(means).value()) << address;
    }
}

TEST(AddressPolicy, OperatorsOpenRanges) {
    const auto judge = policy({"127.0.0.0/8", "10.1.0.0/16", "::1", "fd00::/8"});
    for (const auto* address : {"127.0.0.1", "127.1.2.3", "10.1.2.3", "::1", "fd12::1", "64:ff9b::10.1.2.3"}) {
        EXPECT_TRUE(permits(judge, address)) << address;
    }
    for (const auto* address : {"10.2.0.1", "192.168.0.1", "fc00::1", "fe80::1", "0.0.0.0", "::", "::ffff:127.0.0.1",
                                "::127.0.0.1", "::ffff:0:127.0.0.1"}) {
        EXPECT_FALSE(permits(judge, address)) << address;
    }
}

TEST(AddressPolicy, NobodyOpensTheUnspecifiedAddress) {
    const auto judge = policy({"0.0.0.0/0", "::/0"});
    for (const auto* address :
         {"0.0.0.0", "0.0.0.1", "255.255.255.255", "::", "::ffff:0.0.0.0", "2002:0:0::1", "64:ff9b::"}) {
        EXPECT_FALSE(permits(judge, address)) << address;
    }
    EXPECT_TRUE(permits(judge, "192.168.1.1"));
    EXPECT_TRUE(permits(judge, "fe80::1"));
}

TEST(AddressPolicy, RelayedAddressesOfTheServerMeet) {
    const auto judge = policy();
    EXPECT_TRUE(judge.permits(kListener.address));
    EXPECT_TRUE(judge.permits(Endpoint{.address = kListener.address, .port = 49152}));
    EXPECT_TRUE(judge.permits(Endpoint{.address = kListener.address, .port = 65535}));
    for (const auto port : std::initializer_list<std::uint16_t>{22, 80, 3478, 5432, 49151}) {
        EXPECT_FALSE(judge.permits(Endpoint{.address = kListener.address, .port = port})) << port;
    }
}

TEST(AddressPolicy, RelayedAddressesMeetOnAPrivateNetworkToo) {
    const AddressPolicy judge{{.own = {Address::v4({10, 0, 0, 1})}}};
    EXPECT_TRUE(judge.permits(Endpoint{.address = Address::v4({10, 0, 0, 1}), .port = 50000}));
    EXPECT_FALSE(judge.permits(Endpoint{.address = Address::v4({10, 0, 0, 1}), .port = 80}));
    EXPECT_FALSE(judge.permits(Endpoint{.address = Address::v4({10, 0, 0, 2}), .port = 50000}));
    for (const auto* spelling : {"::ffff:10.0.0.1", "2002:a00:1::", "64:ff9b::10.0.0.1"}) {
        EXPECT_FALSE(judge.permits(Endpoint{.address = *Address::parse(spelling), .port = 50000})) << spelling;
    }
}

TEST(AddressPolicy, ListenersAreRefusedWhoeverOpensThem) {
    const auto judge = policy({"0.0.0.0/0"});
    EXPECT_FALSE(judge.permits(kListener));
    EXPECT_TRUE(judge.permits(Endpoint{.address = kListener.address, .port = 80}));
    const auto mapped = Endpoint{.address = *Address::parse("64:ff9b::203.0.113.10"), .port = kListener.port};
    EXPECT_FALSE(judge.permits(mapped));
}

TEST(AddressPolicy, AListenerInTheRangeOfRelaysIsStillAListener) {
    const AddressPolicy judge{{.listeners = {*Endpoint::parse("203.0.113.10:50000")}}};
    EXPECT_FALSE(judge.permits(*Endpoint::parse("203.0.113.10:50000")));
    EXPECT_TRUE(judge.permits(*Endpoint::parse("203.0.113.10:50001")));
}

TEST(AddressPolicy, PortZeroIsNobody) {
    EXPECT_FALSE(policy().permits(Endpoint{.address = Address::v4({198, 51, 100, 7}), .port = 0}));
}

TEST(AddressRange, ReadsPrefixesAndAddresses) {
    EXPECT_EQ(AddressRange::parse("10.0.0.0/8")->bits, 8);
    EXPECT_EQ(AddressRange::parse("10.1.2.3")->bits, 32);
    EXPECT_EQ(AddressRange::parse("fd00::/8")->bits, 8);
    EXPECT_EQ(AddressRange::parse("0.0.0.0/0")->bits, 0);
    EXPECT_TRUE(AddressRange::parse("10.0.0.0/31")->contains(Address::v4({10, 0, 0, 1})));
    EXPECT_FALSE(AddressRange::parse("10.0.0.0/31")->contains(Address::v4({10, 0, 0, 2})));
    EXPECT_FALSE(AddressRange::parse("10.0.0.0/8")->contains(*Address::parse("a00::")));
}

TEST(AddressRange, RefusesWhatIsNotMeantSo) {
    for (const auto* text :
         {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8/8", "fd00::/129", "fd00::1/8", "10.0.0.0/-1",
          "10.0.0/8", "host/8", "fe80::1%1", "10.0.0.0 /8", "10.0.0.0/8 "}) {
        EXPECT_FALSE(AddressRange::parse(text)) << text;
    }
}

}  // namespace
}  // namespace pinhole::turn
