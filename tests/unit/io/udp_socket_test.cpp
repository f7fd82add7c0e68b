#include "common/io/udp_socket.hpp"

#include "common/io/clock.hpp"
#include "common/io/convert.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::io {
namespace {

using testing::ElementsAre;

struct Datagram {
    net::PathAddresses path;
    Bytes payload;
    net::Ecn ecn;
};

net::Endpoint loopback(net::Family family) {
    return {.address = family == net::Family::v4 ? *net::Address::parse("127.0.0.1") : *net::Address::parse("::1")};
}

Bytes pattern(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
    }
    return bytes;
}

class UdpSocketTest : public testing::Test {
  protected:
    std::vector<Datagram> receive(UdpSocket& socket, std::size_t count) {
        std::vector<Datagram> received;
        spawn(context_.get_executor(), "receiver", collect(socket, count, received));
        context_.run_for(std::chrono::seconds{3});
        context_.restart();
        return received;
    }

    UdpSocket open(const net::Endpoint& bind) {
        auto socket = UdpSocket::open(context_.get_executor(), bind);
        EXPECT_TRUE(socket) << (socket ? "" : socket.error().message());
        return std::move(*socket);
    }

    static asio::awaitable<void> collect(UdpSocket& socket, std::size_t count, std::vector<Datagram>& received) {
        const UdpSocket::OnDatagram keep = [&received](const net::Received& datagram) {
            received.push_back({datagram.path, to_bytes(datagram.payload), datagram.ecn});
        };
        while (received.size() < count) {
            const auto ec = co_await socket.wait_readable();
            if (ec) {
                co_return;
            }
            socket.receive(keep);
        }
    }

    static asio::awaitable<void> sleep(UdpSocket& socket, TimePoint until, bool& over) {
        co_await socket.wait_until(until);
        over = true;
    }

    void run_asleep(UdpSocket& socket, TimePoint until) {
        bool over = false;
        spawn(context_.get_executor(), "sleeper", sleep(socket, until, over));
        context_.run_for(std::chrono::seconds{3});
        context_.restart();
        EXPECT_TRUE(over);
    }

    asio::io_context context_{1};
};

TEST_F(UdpSocketTest, OneBatchArrivesAsItsDatagrams) {
    auto sender = open(loopback(net::Family::v4));
    auto receiver = open({.address = net::Address::any(net::Family::v4)});
    const net::Endpoint to{.address = loopback(net::Family::v4).address, .port = receiver.port()};
    const auto payload = pattern(9 * 1200 + 500);

    ASSERT_EQ(sender.send({.local = sender.local(), .remote = to}, payload, 1200, net::Ecn::ect0), SendResult::sent);

    const auto received = receive(receiver, 10);
    ASSERT_EQ(received.size(), 10U);
    Bytes joined;
    for (const auto& datagram : received) {
        EXPECT_EQ(datagram.path.local, to);
        EXPECT_EQ(datagram.path.remote, sender.local());
        EXPECT_EQ(datagram.ecn, net::Ecn::ect0);
        joined.insert(joined.end(), datagram.payload.begin(), datagram.payload.end());
    }
    EXPECT_EQ(received.back().payload.size(), 500U);
    EXPECT_EQ(joined, payload);
}

TEST_F(UdpSocketTest, BatchesOfMoreThanOneSystemCallArriveWhole) {
    auto sender = open(loopback(net::Family::v4));
    auto receiver = open(loopback(net::Family::v4));
    const auto payload = pattern(150 * 1000);

    ASSERT_EQ(sender.send({.local = sender.local(), .remote = receiver.local()}, payload, 1000, net::Ecn::not_ect),
              SendResult::sent);

    EXPECT_EQ(receive(receiver, 150).size(), 150U);
}

TEST_F(UdpSocketTest, SendsFromTheAddressOfThePath) {
    auto sender = open({.address = net::Address::any(net::Family::v4)});
    auto receiver = open(loopback(net::Family::v4));
    const net::Endpoint from{.address = *net::Address::parse("127.0.0.2"), .port = sender.port()};

    ASSERT_EQ(sender.send({.local = from, .remote = receiver.local()}, pattern(10), 1200, net::Ecn::not_ect),
              SendResult::sent);

    const auto received = receive(receiver, 1);
    ASSERT_EQ(received.size(), 1U);
    EXPECT_EQ(received[0].path.remote, from);
}

TEST_F(UdpSocketTest, TooBigIsTold) {
    auto sender = open(loopback(net::Family::v4));
    auto receiver = open(loopback(net::Family::v4));

    const auto result =
        sender.send({.local = sender.local(), .remote = receiver.local()}, pattern(65'535), 65'535, net::Ecn::not_ect);

    EXPECT_EQ(result, SendResult::too_big);
}

TEST_F(UdpSocketTest, EmptyDatagramArrives) {
    auto sender = open(loopback(net::Family::v4));
    auto receiver = open(loopback(net::Family::v4));

    ASSERT_EQ(sender.send({.local = sender.local(), .remote = receiver.local()}, {}, 1200, net::Ecn::not_ect),
              SendResult::sent);

    const auto received = receive(receiver, 1);
    ASSERT_EQ(received.size(), 1U);
    EXPECT_TRUE(received[0].payload.empty());
}

TEST_F(UdpSocketTest, WorksOverIpv6) {
    auto probe = UdpSocket::open(context_.get_executor(), loopback(net::Family::v6));
    if (!probe) {
        GTEST_SKIP() << "no IPv6 here: " << probe.error().message();
    }
    auto sender = std::move(*probe);
    auto receiver = open({.address = net::Address::any(net::Family::v6)});
    const net::Endpoint to{.address = loopback(net::Family::v6).address, .port = receiver.port()};

    ASSERT_EQ(sender.send({.local = sender.local(), .remote = to}, pattern(3000), 1000, net::Ecn::ce),
              SendResult::sent);

    const auto received = receive(receiver, 3);
    ASSERT_EQ(received.size(), 3U);
    EXPECT_EQ(received[0].path.local, to);
    EXPECT_EQ(received[0].path.remote, sender.local());
    EXPECT_EQ(received[0].ecn, net::Ecn::ce);
}

TEST_F(UdpSocketTest, SendingToTheOtherFamilyFails) {
    auto sender = open(loopback(net::Family::v4));
    auto to = loopback(net::Family::v6);
    to.port = 9;
    EXPECT_EQ(sender.send({.local = sender.local(), .remote = to}, pattern(4), 4, net::Ecn::not_ect),
              SendResult::failed);
}

TEST_F(UdpSocketTest, PortInUseIsAnErrorThatNamesIt) {
    auto first = open(loopback(net::Family::v4));
    const auto second = UdpSocket::open(context_.get_executor(), first.local());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, std::errc::address_in_use);
    EXPECT_THAT(second.error().message(), testing::HasSubstr(first.local().text()));
}

TEST_F(UdpSocketTest, ClosingEndsTheWait) {
    auto socket = open(loopback(net::Family::v4));
    std::vector<Datagram> none;
    spawn(context_.get_executor(), "receiver", collect(socket, 1, none));
    asio::post(context_, [&socket] { socket.close(); });
    context_.run_for(std::chrono::seconds{3});
    EXPECT_TRUE(context_.stopped());
    EXPECT_FALSE(socket.is_open());
    EXPECT_EQ(socket.send({.local = {}, .remote = loopback(net::Family::v4)}, pattern(1), 1, net::Ecn::not_ect),
              SendResult::failed);
}

TEST_F(UdpSocketTest, WhatArrivesWhileItSleepsIsThereAfterwards) {
    auto sender = open(loopback(net::Family::v4));
    auto receiver = open(loopback(net::Family::v4));
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 5; ++i) {
            ASSERT_EQ(sender.send({.local = sender.local(), .remote = receiver.local()}, pattern(100), 100,
                                  net::Ecn::not_ect),
                      SendResult::sent);
        }
        run_asleep(receiver, now() + 1ms);
        EXPECT_EQ(
            receiver.send({.local = receiver.local(), .remote = sender.local()}, pattern(10), 10, net::Ecn::not_ect),
            SendResult::sent);
        std::size_t count = 0;
        receiver.receive([&count](const net::Received&) { ++count; });
        EXPECT_EQ(count, 5U);
    }
    // And then it wakes up for what comes, as before.
    ASSERT_EQ(sender.send({.local = sender.local(), .remote = receiver.local()}, pattern(100), 100, net::Ecn::not_ect),
              SendResult::sent);
    EXPECT_EQ(receive(receiver, 1).size(), 1U);
}

TEST_F(UdpSocketTest, ClosingEndsTheSleep) {
    auto socket = open(loopback(net::Family::v4));
    // Once before it falls asleep, and once while it sleeps.
    auto other = open(loopback(net::Family::v4));
    asio::post(context_, [&socket] { socket.close(); });
    run_asleep(socket, now() + 1h);
    EXPECT_FALSE(socket.is_open());
    asio::steady_timer timer{context_, std::chrono::milliseconds{20}};
    timer.async_wait([&other](const auto&) { other.close(); });
    run_asleep(other, now() + 1h);
    EXPECT_FALSE(other.is_open());
}

TEST_F(UdpSocketTest, ReceiverMayCloseTheSocketInTheMiddleOfABatch) {
    auto sender = open(loopback(net::Family::v4));
    auto receiver = open(loopback(net::Family::v4));
    ASSERT_EQ(
        sender.send({.local = sender.local(), .remote = receiver.local()}, pattern(4000), 1000, net::Ecn::not_ect),
        SendResult::sent);
    std::size_t calls = 0;
    receiver.receive([&](const net::Received&) {
        ++calls;
        receiver.close();
    });
    EXPECT_EQ(calls, 1U);
}

}  // namespace
}  // namespace pinhole::io
