#include "common/net/endpoint.hpp"

#include <array>
#include <utility>

#include <gtest/gtest.h>

namespace pinhole::net {
namespace {

Address address(std::string_view text) {
    const auto parsed = Address::parse(text);
    EXPECT_TRUE(parsed) << text;
    return parsed.value_or(Address{});
}

TEST(Address, ParsesAndWritesCanonicalText) {
    const std::array<std::pair<const char*, const char*>, 8> cases{{{"192.0.2.1", "192.0.2.1"},
                                                                    {"0.0.0.0", "0.0.0.0"},
                                                                    {"::", "::"},
                                                                    {"::1", "::1"},
                                                                    {"2001:DB8:0:0::1", "2001:db8::1"},
                                                                    {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
                                                                    {"fe80::1%3", "fe80::1%3"},
                                                                    {"fe80::1%0", "fe80::1"}}};
    for (const auto& [text, canonical] : cases) {
        EXPECT_EQ(address(text).text(), canonical);
    }
}

TEST(Address, RefusesWhatIsNoAddress) {
    for (const auto* text : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "192.0.2.1 ", "::1%", "::1%eth0", "::1%-1",
                             "1.2.3.4%5", "12345::", ":::", "example.org", "[::1]", "::1%4294967296"}) {
        EXPECT_FALSE(Address::parse(text)) << text;
    }
}

TEST(Address, ComesFromFourOrSixteenBytes) {
    EXPECT_EQ(Address::from_bytes(Bytes{192, 0, 2, 1}), address("192.0.2.1"));
    Bytes sixteen(16);
    sixteen[15] = 1;
    EXPECT_EQ(Address::from_bytes(sixteen), address("::1"));
    EXPECT_FALSE(Address::from_bytes(Bytes(5)));
    EXPECT_FALSE(Address::from_bytes({}));
    EXPECT_EQ(address("192.0.2.1").bytes().size(), 4U);
    EXPECT_EQ(address("::1").bytes().size(), 16U);
}

struct Kind {
    const char* text;
    bool unspecified = false;
    bool loopback = false;
    bool multicast = false;
    bool link_local = false;
    bool is_private = false;
};

TEST(Address, KnowsWhatKindItIs) {
    const std::array<Kind, 22> kinds{{{.text = "0.0.0.0", .unspecified = true},
                                      {.text = "127.0.0.1", .loopback = true},
                                      {.text = "127.255.0.9", .loopback = true},
                                      {.text = "223.255.255.255"},
                                      {.text = "224.0.0.1", .multicast = true},
                                      {.text = "239.1.2.3", .multicast = true},
                                      {.text = "169.254.9.9", .link_local = true},
                                      {.text = "10.0.0.1", .is_private = true},
                                      {.text = "172.16.0.1", .is_private = true},
                                      {.text = "172.31.255.1", .is_private = true},
                                      {.text = "172.32.0.1"},
                                      {.text = "192.168.1.1", .is_private = true},
                                      {.text = "100.64.0.1", .is_private = true},
                                      {.text = "100.127.0.1", .is_private = true},
                                      {.text = "100.128.0.1"},
                                      {.text = "8.8.8.8"},
                                      {.text = "::", .unspecified = true},
                                      {.text = "::1", .loopback = true},
                                      {.text = "ff02::1", .multicast = true},
                                      {.text = "fe80::1", .link_local = true},
                                      {.text = "fd00::1", .is_private = true},
                                      {.text = "2001:db8::1"}}};
    for (const auto& kind : kinds) {
        SCOPED_TRACE(kind.text);
        const auto value = address(kind.text);
        EXPECT_EQ(value.is_unspecified(), kind.unspecified);
        EXPECT_EQ(value.is_loopback(), kind.loopback);
        EXPECT_EQ(value.is_multicast(), kind.multicast);
        EXPECT_EQ(value.is_link_local(), kind.link_local);
        EXPECT_EQ(value.is_private(), kind.is_private);
    }
}

TEST(Address, UnmapsMappedAddressesOnly) {
    EXPECT_EQ(address("::ffff:192.0.2.1").unmapped(), address("192.0.2.1"));
    EXPECT_NE(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    EXPECT_EQ(address("::192.0.2.1").unmapped(), address("::192.0.2.1"));
    EXPECT_EQ(address("192.0.2.1").unmapped(), address("192.0.2.1"));
}

TEST(Address, AnyIsUnspecified) {
    EXPECT_EQ(Address::any(Family::v4).text(), "0.0.0.0");
    EXPECT_EQ(Address::any(Family::v6).text(), "::");
}

TEST(Address, WithAnotherScopeIsAnotherAddress) {
    EXPECT_NE(address("fe80::1%1"), address("fe80::1%2"));
}

TEST(Endpoint, ParsesWhatItWrites) {
    for (const auto* text : {"192.0.2.1:3478", "[2001:db8::1]:65535", "[fe80::1%7]:1"}) {
        const auto endpoint = Endpoint::parse(text);
        ASSERT_TRUE(endpoint) << text;
        EXPECT_EQ(endpoint->text(), text);
    }
}

TEST(Endpoint, RefusesWhatIsNoTransportAddress) {
    for (const auto* text :
         {"", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:+1",
          "192.0.2.1:1x", "host:1", "::1:3478", "[::1]", "[::1]3478", "[::1]:", "[::1:3478", "[]:1", ":1"}) {
        EXPECT_FALSE(Endpoint::parse(text)) << text;
    }
}

TEST(Endpoint, OrdersByAddressThenPort) {
    EXPECT_LT(*Endpoint::parse("10.0.0.1:2"), *Endpoint::parse("10.0.0.2:1"));
    EXPECT_LT(*Endpoint::parse("10.0.0.1:1"), *Endpoint::parse("10.0.0.1:2"));
}

struct Split {
    const char* text;
    const char* host;
    std::uint16_t port;
};

TEST(HostPort, SplitsNamesAndAddresses) {
    const std::array<Split, 7> cases{{{"example.org", "example.org", 3478},
                                      {"example.org:5000", "example.org", 5000},
                                      {"192.0.2.1", "192.0.2.1", 3478},
                                      {"192.0.2.1:1", "192.0.2.1", 1},
                                      {"2001:db8::1", "2001:db8::1", 3478},
                                      {"[2001:db8::1]", "2001:db8::1", 3478},
                                      {"[2001:db8::1]:65535", "2001:db8::1", 65535}}};
    for (const auto& [text, host, port] : cases) {
        const auto split = parse_host_port(text, 3478);
        ASSERT_TRUE(split) << text;
        EXPECT_EQ(split->host, host);
        EXPECT_EQ(split->port, port);
    }
}

TEST(HostPort, RefusesBrokenForms) {
    for (const auto* text : {"", ":", ":5000", "host:", "host:0", "host:65536", "host:http", "[::1", "[]", "[::1]x",
                             "[::1]:", "[::1]:0"}) {
        EXPECT_FALSE(parse_host_port(text, 3478)) << text;
    }
}

}  // namespace
}  // namespace pinhole::net
