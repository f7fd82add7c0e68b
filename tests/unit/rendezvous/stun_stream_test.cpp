#include "rendezvous/shell/stun_stream.hpp"

#include "common/io/convert.hpp"
#include "common/stun/builder.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

using io::asio::ip::tcp;

/// A client and the server's end of its connection.
class StunStream : public testing::Test {
  protected:
    StunStream() : client_(context_) {
        tcp::acceptor acceptor{context_, tcp::endpoint{io::asio::ip::address_v4::loopback(), 0}};
        client_.connect(acceptor.local_endpoint());
        auto socket = acceptor.accept();
        const auto remote = io::from_asio(socket.remote_endpoint());
        link_ = std::make_shared<TcpLink>(std::move(socket), remote);
        io::spawn(context_.get_executor(), "stun", serve());
    }

    io::asio::awaitable<void> serve() {
        co_await serve_stun(link_, service_);
        link_->close();
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
    StunService service_;
    tcp::socket client_;
    std::shared_ptr<TcpLink> link_;
    bool ended_ = false;
};

/// Header, XOR-MAPPED-ADDRESS of IPv4.
constexpr std::size_t kAnswerSize = 32;

TEST_F(StunStream, AnswersRequestsThatArriveTogetherOrInPieces) {
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

TEST_F(StunStream, OversizedMessageEndsItAtTheHeader) {
    auto header = request();
    header[2] = 0xff;
    send(header);
    expect_end();
}

TEST_F(StunStream, WhatIsNotAnsweredEndsIt) {
    auto garbage = request();
    garbage[4] ^= 0xff;
    send(garbage);
    expect_end();
}

TEST_F(StunStream, ClientThatLeavesEndsIt) {
    send(ByteView{request()}.first(7));
    client_.close();
    expect_end();
}

}  // namespace
}  // namespace pinhole::rendezvous
