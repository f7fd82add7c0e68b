#include "common/io/interfaces.hpp"

#include "common/io/convert.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::io {
namespace {

TEST(Interfaces, LoopbackOnlyWhenAskedFor) {
    const auto loopback = net::Address::v4({127, 0, 0, 1});
    EXPECT_THAT(local_addresses(true), testing::Contains(loopback));
    EXPECT_THAT(local_addresses(false), testing::Not(testing::Contains(loopback)));
}

TEST(Convert, KeepsScopeAndUnmaps) {
    const auto scoped = *net::Address::parse("fe80::1%3");
    EXPECT_EQ(from_asio(to_asio(scoped)), scoped);
    EXPECT_EQ(from_asio(asio::ip::make_address("::ffff:192.0.2.1")), *net::Address::parse("192.0.2.1"));
    const auto endpoint = *net::Endpoint::parse("[2001:db8::1]:3478");
    EXPECT_EQ(from_asio(to_udp(endpoint)), endpoint);
    EXPECT_EQ(from_asio(to_tcp(endpoint)), endpoint);
}

}  // namespace
}  // namespace pinhole::io
