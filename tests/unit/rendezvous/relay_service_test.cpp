#include "rendezvous/shell/relay_service.hpp"

#include "common/io/convert.hpp"
#include "common/stun/builder.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

using io::asio::ip::tcp;

/// A client on TCP and the server's end of its connection.
class RelayOnTcp : public testing::Test {
  protected:
    RelayOnTcp() : client_(context_) {
        tcp::acceptor acceptor{context_, tcp::endpoint{io::asio::ip::address_v4::loopback(), 0}};
        client_.connect(acceptor.local_endpoint());
        auto socket = acceptor.accept();
        const auto remote = io::from_asio(socket.remote_endpoint());
        link_ = std::make_shared<TcpLink>(std::move(socket), remote);
        io::spawn(context_.get_executor(), "stun", serve());
    }

    ~RelayOnTcp() override {
        relay_.stop();
        client_.close();
        context_.run_for(std::chrono::milliseconds{100});
    }

    io::asio::awaitable<void> serve() {
        co_await relay_.serve(std::make_shared<TurnLink>(link_, nullptr));
        ended_ = true;
    }

    void send(ByteView bytes) { io::asio::write(client_, io::asio::buffer(bytes.data(), bytes.size())); }

    /// Runs the server until something has come true, or for three seconds.
    template <class Condition>
    void run_until(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{3};
        while (!condition() && std::chrono::steady_clock::now() < end) {
            context_.run_one_until(end);
        }
        EXPECT_TRUE(condition());
    }

    Bytes read(std::size_t size) {
        Bytes bytes(size);
        bool done = false;
        io::asio::async_read(client_, io::asio::buffer(bytes),
                             [&done](const boost::system::error_code& ec, std::size_t) { done = !ec; });
        run_until([&] { return done; });
        return bytes;
    }

    void expect_end() {
        run_until([this] { return ended_; });
    }

    Bytes request() {
        stun::MessageBuilder builder{stun::MessageClass::request, stun::kBinding, stun::TransactionId::generate(rng_)};
        return builder.finish();
    }

    void expect_answer(const Bytes& answer, const Bytes& asked) const {
        const auto message = stun::MessageView::parse(answer);
        ASSERT_TRUE(message);
        EXPECT_EQ(message->message_class(), stun::MessageClass::success);
        EXPECT_TRUE(std::equal(asked.begin() + 8, asked.begin() + 20, answer.begin() + 8));
    }

    SeededRng rng_{1};
    io::asio::io_context context_{1};
    StunService stun_;
    RelayService relay_{context_.get_executor(), {}, "secret", stun_, rng_};
    tcp::socket client_;
    std::shared_ptr<TcpLink> link_;
    bool ended_ = false;
};

/// Header, XOR-MAPPED-ADDRESS of IPv4.
constexpr std::size_t kAnswerSize = 32;

TEST_F(RelayOnTcp, AnswersRequestsThatArriveTogetherOrInPieces) {
    const auto first = request();
    const auto second = request();
    const auto third = request();
    auto together = first;
    together.insert(together.end(), second.begin(), second.end());
    send(together);
    expect_answer(read(kAnswerSize), first);
    expect_answer(read(kAnswerSize), second);

    for (const auto byte : third) {
        send({&byte, 1});
    }
    expect_answer(read(kAnswerSize), third);
    EXPECT_FALSE(ended_);
}

TEST_F(RelayOnTcp, OversizedMessageOfAStrangerEndsItBeforeItIsWhole) {
    auto message = request();
    message[2] = 0xff;
    message.resize(3000);
    send(message);
    expect_end();
}

TEST_F(RelayOnTcp, WhatIsNotAnsweredEndsIt) {
    auto garbage = request();
    garbage[4] ^= 0xff;
    send(garbage);
    expect_end();
}

TEST_F(RelayOnTcp, WhoAsksForEverEndsIt) {
    const auto asked = request();
    for (int i = 0; i < 64; ++i) {
        send(asked);
        expect_answer(read(kAnswerSize), asked);
    }
    EXPECT_FALSE(ended_);
    send(asked);
    expect_end();
}

TEST_F(RelayOnTcp, AStrangerHasNoDataToSend) {
    // ChannelData of 60000 bytes, of which the first 3000 come.
    Bytes data(3000);
    data[0] = 0x40;
    data[2] = 0xea;
    data[3] = 0x60;
    send(data);
    expect_end();
}

TEST_F(RelayOnTcp, AllocateIsChallengedInAFewBytes) {
    stun::MessageBuilder builder{stun::MessageClass::request, stun::kAllocate, stun::TransactionId::generate(rng_)};
    builder.requested_transport(stun::kTransportUdp);
    send(builder.finish());
    const auto header = read(stun::kHeaderSize);
    const std::size_t length = std::size_t{header[2]} << 8 | header[3];
    auto answer = header;
    const auto body = read(length);
    answer.insert(answer.end(), body.begin(), body.end());
    const auto message = stun::MessageView::parse(answer);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->message_class(), stun::MessageClass::error);
    EXPECT_LE(answer.size(), 128U);
    EXPECT_EQ(relay_.counts(), turn::TurnCounts{});
}

TEST_F(RelayOnTcp, DataForASlowClientIsDroppedAtTheBoundAndAnswersHaveRoomLeft) {
    const auto link_of_a_slow_client = std::make_shared<TurnLink>(link_, nullptr);
    auto& link = *link_of_a_slow_client;
    const Bytes header(4);
    const Bytes payload(1200);
    std::size_t taken = 0;
    while (link.send_data(header, payload)) {
        taken += header.size() + payload.size();
        ASSERT_LE(taken, TurnLink::kMaxData);
    }
    EXPECT_GT(taken, TurnLink::kMaxData - 1300);
    link.send(Bytes(1000));
    EXPECT_TRUE(link.is_open());
    for (int i = 0; i < 100; ++i) {
        link.send(Bytes(1000));
    }
    EXPECT_FALSE(link.is_open()) << "who asks and never reads loses the connection";
}

TEST_F(RelayOnTcp, ClientThatLeavesEndsIt) {
    send(ByteView{request()}.first(7));
    client_.close();
    expect_end();
}

}  // namespace
}  // namespace pinhole::rendezvous
