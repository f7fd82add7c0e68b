#include "rendezvous/shell/listener.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

const net::Address kLoopback = net::Address::v4({127, 0, 0, 1});
const net::Address kOther = net::Address::v4({127, 0, 0, 2});

TEST(Listener, UdpAndTcpShareOnePort) {
    io::asio::io_context context{1};
    auto listener = Listener::open(context.get_executor(), {.address = kLoopback});
    ASSERT_TRUE(listener) << listener.error().message();
    EXPECT_NE(listener->local().port, 0);
    EXPECT_EQ(listener->tcp()->local_endpoint().port(), listener->local().port);
}

TEST(Listener, PortTakenByEitherProtocolIsAnError) {
    io::asio::io_context context{1};
    auto udp = io::UdpSocket::open(context.get_executor(), {.address = kLoopback});
    ASSERT_TRUE(udp);
    const auto by_udp = Listener::open(context.get_executor(), udp->local());
    ASSERT_FALSE(by_udp);
    EXPECT_EQ(by_udp.error().code, std::errc::address_in_use);

    auto both = Listener::open(context.get_executor(), {.address = kLoopback});
    ASSERT_TRUE(both);
    EXPECT_FALSE(Listener::open(context.get_executor(), both->local()));
}

TEST(Listener, MayHearUdpOnly) {
    io::asio::io_context context{1};
    auto listener = Listener::open(context.get_executor(), {.address = kLoopback}, Listener::Hears::udp);
    ASSERT_TRUE(listener) << listener.error().message();
    EXPECT_EQ(listener->tcp(), nullptr);
}

TEST(Listener, KnowsFromWhereItCanSend) {
    io::asio::io_context context{1};
    auto one = Listener::open(context.get_executor(), {.address = kLoopback});
    ASSERT_TRUE(one);
    const auto port = one->local().port;
    EXPECT_TRUE(one->covers({.address = kLoopback, .port = port}));
    EXPECT_FALSE(one->covers({.address = kOther, .port = port}));
    EXPECT_FALSE(one->covers({.address = kLoopback, .port = 1}));
    auto all = Listener::open(context.get_executor(), {.address = net::Address::any(net::Family::v4)});
    ASSERT_TRUE(all);
    EXPECT_TRUE(all->covers({.address = kOther, .port = all->local().port}));
    EXPECT_FALSE(all->covers({.address = *net::Address::parse("::1"), .port = all->local().port}));
}

TEST(OpenPlace, WithAnAlternateItHasBothAddressesOnTwoPorts) {
    io::asio::io_context context{1};
    const Place place{.at = {.address = kLoopback},
                      .alternate = Place::Alternate{.primary = kLoopback, .address = kOther}};
    const auto opened = open_place(context.get_executor(), place);
    ASSERT_TRUE(opened) << opened.error().message();
    ASSERT_EQ(opened->listeners.size(), 4U);
    const auto first = opened->listeners.front().local();
    EXPECT_EQ(first.address, kLoopback);
    ASSERT_TRUE(opened->site);
    EXPECT_EQ(opened->site->ports[0], first.port);
    EXPECT_EQ(opened->site->ports[1], first.port + 1);
    for (const auto& listener : opened->listeners) {
        EXPECT_TRUE(opened->site->contains(listener.local())) << listener.local().text();
    }
}

TEST(OpenPlace, OnAllAddressesTwoListenersAreEnough) {
    io::asio::io_context context{1};
    const Place place{.at = {.address = net::Address::any(net::Family::v4)},
                      .alternate = Place::Alternate{.primary = kLoopback, .address = kOther}};
    const auto opened = open_place(context.get_executor(), place);
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_EQ(opened->listeners.size(), 2U);
    EXPECT_EQ(opened->site->addresses[0], kLoopback);
}

TEST(OpenPlace, AnAddressThatIsNotHereIsAnErrorThatNamesIt) {
    io::asio::io_context context{1};
    const Place place{.at = {.address = kLoopback},
                      .alternate = Place::Alternate{.primary = kLoopback, .address = net::Address::v4({192, 0, 2, 1})}};
    const auto opened = open_place(context.get_executor(), place);
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message().find("192.0.2.1"), std::string::npos);
}

}  // namespace
}  // namespace pinhole::rendezvous
