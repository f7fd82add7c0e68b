#include "rendezvous/shell/turn_link.hpp"

#include "common/io/convert.hpp"

#include <algorithm>

#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

using io::asio::ip::tcp;

/// A client, and the server's end of its connection, which takes little at a time.
class TurnLinkTest : public testing::Test {
  protected:
    TurnLinkTest() : client_(context_) {
        tcp::acceptor acceptor{context_, tcp::endpoint{io::asio::ip::address_v4::loopback(), 0}};
        client_.open(tcp::v4());
        client_.set_option(tcp::socket::receive_buffer_size{4096});
        client_.connect(acceptor.local_endpoint());
        auto socket = acceptor.accept();
        socket.set_option(tcp::socket::send_buffer_size{4096});
        const auto remote = io::from_asio(socket.remote_endpoint());
        link_ = std::make_shared<TurnLink>(std::make_shared<TcpLink>(std::move(socket), remote), nullptr);
    }

    ~TurnLinkTest() override {
        link_->close();
        context_.run_for(std::chrono::milliseconds{100});
    }

    io::asio::awaitable<void> write(std::shared_ptr<TurnLink> link, Bytes bytes) {
        result_ = co_await link->write(bytes);
    }

    void start(Bytes bytes) { io::spawn(context_.get_executor(), "write", write(link_, std::move(bytes))); }

    template <class Condition>
    void run_until(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{3};
        while (!condition() && std::chrono::steady_clock::now() < end) {
            context_.run_one_until(end);
        }
        EXPECT_TRUE(condition());
    }

    io::asio::io_context context_{1};
    tcp::socket client_;
    std::shared_ptr<TurnLink> link_;
    std::optional<bool> result_;
};

TEST_F(TurnLinkTest, AStreamBeginsBehindWhatWasQueued) {
    const Bytes answer(200'000, 1);
    link_->send(answer);
    start({2, 2, 2});
    Bytes read(answer.size() + 3);
    bool done = false;
    io::asio::async_read(client_, io::asio::buffer(read),
                         [&done](const boost::system::error_code& ec, std::size_t) { done = !ec; });
    run_until([&] { return done && result_.has_value(); });
    EXPECT_EQ(result_, true);
    EXPECT_EQ(std::ranges::count(read, 2), 3);
    EXPECT_EQ(read.back(), 2);
}

TEST_F(TurnLinkTest, WhoWaitsForTheQueueIsToldThatTheClientIsGone) {
    link_->send(Bytes(200'000, 1));
    start({2});
    context_.poll();
    ASSERT_FALSE(result_) << "the client reads nothing";
    link_->close();
    run_until([&] { return result_.has_value(); });
    EXPECT_EQ(result_, false);
}

}  // namespace
}  // namespace pinhole::rendezvous
