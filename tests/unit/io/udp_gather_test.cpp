#include "common/io/udp_gather.hpp"

#include "common/io/udp_socket.hpp"

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::io {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const net::Address kLoopback = net::Address::v4({127, 0, 0, 1});

/// One socket that sends and two that listen.
class UdpGatherTest : public testing::Test {
  protected:
    UdpSocket open() {
        auto socket = UdpSocket::open(context_.get_executor(), {.address = kLoopback});
        EXPECT_TRUE(socket);
        return std::move(*socket);
    }

    void add(const UdpSocket& to, const std::string& text) {
        gather_.add(sender_.descriptor(), {.local = {}, .remote = to.local()}, keep(text));
    }

    void add(const UdpSocket& to, const std::string& header, const std::string& text) {
        UdpGather::Header front{};
        std::ranges::copy(as_bytes(header), front.begin());
        gather_.add(sender_.descriptor(), {.local = {}, .remote = to.local()}, front, keep(text));
    }

    /// What has arrived. Loopback delivers before the send returns.
    static std::vector<std::string> received(UdpSocket& socket) {
        std::vector<std::string> texts;
        socket.receive([&](const net::Received& datagram) { texts.emplace_back(as_text(datagram.payload)); });
        return texts;
    }

    ByteView keep(const std::string& text) { return as_bytes(texts_.emplace_back(text)); }

    asio::io_context context_{1};
    UdpSocket sender_ = open();
    UdpSocket one_ = open();
    UdpSocket other_ = open();
    std::deque<std::string> texts_;
    UdpGather gather_;
};

TEST_F(UdpGatherTest, NothingLeavesBeforeTheFlush) {
    add(one_, "early");
    EXPECT_THAT(received(one_), IsEmpty());
    gather_.flush();
    EXPECT_THAT(received(one_), ElementsAre("early"));
    gather_.flush();
    EXPECT_THAT(received(one_), IsEmpty());
}

TEST_F(UdpGatherTest, FlowsThatAreMixedArriveInOrder) {
    add(one_, "a1");
    add(other_, "b1");
    add(one_, "a2");
    add(other_, "b2");
    add(one_, "a3");
    gather_.flush();
    EXPECT_THAT(received(one_), ElementsAre("a1", "a2", "a3"));
    EXPECT_THAT(received(other_), ElementsAre("b1", "b2"));
    EXPECT_EQ(gather_.lost(), 0U);
}

TEST_F(UdpGatherTest, SizesThatChangeStayDatagramsOfTheirOwn) {
    for (const auto* text : {"four", "four", "to", "four", "longer", "x", "x", "", "", "end"}) {
        add(one_, text);
    }
    gather_.flush();
    EXPECT_THAT(received(one_), ElementsAre("four", "four", "to", "four", "longer", "x", "x", "", "", "end"));
}

TEST_F(UdpGatherTest, HeadersStandInFrontOfEachPayload) {
    add(one_, "h1h1", "payload");
    add(one_, "h2h2", "PAYLOAD");
    add(one_, "bare");
    add(one_, "h3h3", "");
    gather_.flush();
    EXPECT_THAT(received(one_), ElementsAre("h1h1payload", "h2h2PAYLOAD", "bare", "h3h3"));
}

TEST_F(UdpGatherTest, MoreThanItHoldsLeavesInOrder) {
    std::vector<std::string> sent;
    for (int i = 0; i < 3000; ++i) {
        sent.push_back(std::to_string(100'000 + i));
        add(one_, sent.back());
    }
    gather_.flush();
    std::vector<std::string> texts;
    for (auto some = received(one_); !some.empty(); some = received(one_)) {
        texts.insert(texts.end(), some.begin(), some.end());
    }
    EXPECT_EQ(texts, sent);
}

TEST_F(UdpGatherTest, WhatCannotBeSentIsCountedAndTheRestLeaves) {
    const net::Endpoint nowhere{.address = net::Address::v4({127, 0, 0, 1}), .port = 0};
    add(one_, "before");
    gather_.add(sender_.descriptor(), {.local = {}, .remote = nowhere}, keep("lost"));
    add(one_, std::string(70'000, 'x'));
    add(other_, "after");
    gather_.flush();
    EXPECT_THAT(received(one_), ElementsAre("before"));
    EXPECT_THAT(received(other_), ElementsAre("after"));
    EXPECT_EQ(gather_.lost(), 2U);
}

TEST_F(UdpGatherTest, SegmentsAboveTheMtuAreSentOneByOne) {
    // Loopback's MTU is 65536: two of these exceed a GSO send, and each fits by itself.
    const std::string large(40'000, 'y');
    add(one_, large);
    add(one_, large);
    gather_.flush();
    EXPECT_THAT(received(one_), ElementsAre(large, large));
}

}  // namespace
}  // namespace pinhole::io
