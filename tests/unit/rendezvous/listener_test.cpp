#include "rendezvous/shell/listener.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

const net::Address kLoopback = net::Address::v4({127, 0, 0, 1});

TEST(Listener, UdpAndTcpShareOnePort) {
    io::asio::io_context context{1};
    auto listener = Listener::open(context.get_executor(), {.address = kLoopback});
    ASSERT_TRUE(listener) << listener.error().message();
    EXPECT_NE(listener->local().port, 0);
    EXPECT_EQ(listener->tcp().local_endpoint().port(), listener->local().port);
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

}  // namespace
}  // namespace pinhole::rendezvous
