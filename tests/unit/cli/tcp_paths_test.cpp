#include "peer/shell/tcp_paths.hpp"

#include "common/stun/builder.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace pinhole::shell {
namespace {

namespace asio = boost::asio;

/// One peer: what it has heard, and which of its paths have failed.
struct Side {
    explicit Side(asio::io_context& io) : paths(std::make_shared<TcpPaths>(io.get_executor())) {}

    std::shared_ptr<TcpPaths> paths;
    std::vector<std::pair<net::PathAddresses, Bytes>> heard;
    std::vector<net::PathAddresses> failed;
    bool expecting = true;
};

class TcpPathsTest : public testing::Test {
  protected:
    void SetUp() override {
        for (auto* side : {&a, &b}) {
            ASSERT_TRUE(side->paths->open(loopback));
            side->paths->start({.datagram =
                                    [side](const net::Received& datagram) {
                                        side->heard.emplace_back(datagram.path, to_bytes(datagram.payload));
                                    },
                                .batch_over = [] {},
                                .failed = [side](const net::PathAddresses& path) { side->failed.push_back(path); },
                                .expecting = [side] { return side->expecting; }});
        }
    }

    void TearDown() override {
        a.paths->close();
        b.paths->close();
        context.restart();
        context.poll();
    }

    [[nodiscard]] net::Endpoint endpoint(const Side& side) const {
        return {.address = loopback, .port = side.paths->port(net::Family::v4).value_or(0)};
    }

    [[nodiscard]] net::PathAddresses path(const Side& from, const Side& to) const {
        return {.local = endpoint(from), .remote = endpoint(to), .transport = net::Transport::tcp};
    }

    static Bytes request(std::uint8_t mark) {
        stun::TransactionId id{};
        id.bytes[0] = mark;
        return stun::MessageBuilder{stun::MessageClass::request, stun::kBinding, id}.fingerprint().finish();
    }

    static io::SendResult send(Side& from, const net::PathAddresses& path, const Bytes& payload) {
        return from.paths->send(path, payload, payload.size());
    }

    /// Until `done` or for so long as no test should ever take.
    void run_until(const std::function<bool()>& done) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{5};
        context.restart();
        while (!done() && std::chrono::steady_clock::now() < end) {
            context.run_one_for(std::chrono::milliseconds{50});
        }
    }

    /// A connection that both know to be the other's.
    void connect() {
        send(a, path(a, b), request(1));
        run_until([&] { return !b.heard.empty(); });
        a.paths->confirm(path(a, b));
        b.paths->confirm(path(b, a));
        a.heard.clear();
        b.heard.clear();
    }

    asio::io_context context;
    net::Address loopback = *net::Address::parse("127.0.0.1");
    Side a{context};
    Side b{context};
};

TEST_F(TcpPathsTest, ConnectsForTheFirstCheckAndNamesThePathAlikeAtBothEnds) {
    EXPECT_EQ(send(a, path(a, b), request(1)), io::SendResult::sent);
    run_until([&] { return !b.heard.empty(); });
    ASSERT_EQ(b.heard.size(), 1U);
    EXPECT_EQ(b.heard[0].first, path(b, a));
    EXPECT_EQ(b.heard[0].second, request(1));
    EXPECT_EQ(send(b, path(b, a), request(2)), io::SendResult::sent);
    run_until([&] { return !a.heard.empty(); });
    EXPECT_EQ(a.heard.at(0).first, path(a, b));
    EXPECT_EQ(a.paths->connections() + b.paths->connections(), 2U);
}

TEST_F(TcpPathsTest, MakesOneConnectionWhenBothConnectAtOnce) {
    send(a, path(a, b), request(1));
    send(b, path(b, a), request(2));
    run_until([&] { return !a.heard.empty() && !b.heard.empty(); });
    ASSERT_FALSE(a.heard.empty());
    ASSERT_FALSE(b.heard.empty());
    EXPECT_EQ(a.heard[0].second, request(2));
    EXPECT_EQ(b.heard[0].second, request(1));
    EXPECT_EQ(a.paths->connections(), 1U);
    EXPECT_EQ(b.paths->connections(), 1U);
    EXPECT_TRUE(a.failed.empty());
    EXPECT_TRUE(b.failed.empty());
}

TEST_F(TcpPathsTest, SendsNothingButRequestsToWhereThereIsNoConnection) {
    const Bytes packet(50, 0xd0);
    EXPECT_EQ(send(a, path(a, b), packet), io::SendResult::failed);
    const auto answer =
        stun::MessageBuilder{stun::MessageClass::success, stun::kBinding, stun::TransactionId{}}.finish();
    EXPECT_EQ(send(a, path(a, b), answer), io::SendResult::failed);
    EXPECT_EQ(a.paths->connections(), 0U);
}

TEST_F(TcpPathsTest, CarriesABatchAsTheDatagramsItIsMadeOf) {
    connect();
    Bytes batch(3 * 1000 + 10, 0xd1);
    EXPECT_EQ(a.paths->send(path(a, b), batch, 1000), io::SendResult::sent);
    run_until([&] { return b.heard.size() >= 4; });
    ASSERT_EQ(b.heard.size(), 4U);
    EXPECT_EQ(b.heard[0].second.size(), 1000U);
    EXPECT_EQ(b.heard[3].second.size(), 10U);
}

TEST_F(TcpPathsTest, HearsOnlyStunOfThoseWhoAreNotKnown) {
    send(a, path(a, b), request(1));
    run_until([&] { return !b.heard.empty(); });
    send(a, path(a, b), Bytes(50, 0xd0));
    send(a, path(a, b), request(2));
    run_until([&] { return b.heard.size() >= 2; });
    ASSERT_EQ(b.heard.size(), 2U);
    EXPECT_EQ(b.heard[1].second, request(2));
    b.paths->confirm(path(b, a));
    send(a, path(a, b), Bytes(50, 0xd0));
    run_until([&] { return b.heard.size() >= 3; });
    EXPECT_EQ(b.heard.at(2).second, Bytes(50, 0xd0));
}

TEST_F(TcpPathsTest, TakesNoMoreThanItsBoundWhenTheOtherSideReadsNothing) {
    asio::ip::tcp::acceptor deaf{context, {asio::ip::make_address("127.0.0.1"), 0}};
    const net::PathAddresses to_deaf{.local = endpoint(a),
                                     .remote = {.address = loopback, .port = deaf.local_endpoint().port()},
                                     .transport = net::Transport::tcp};
    asio::ip::tcp::socket accepted{context};
    bool connected = false;
    deaf.async_accept(accepted, [&](const boost::system::error_code&) { connected = true; });
    send(a, to_deaf, request(1));
    run_until([&] { return connected; });
    const Bytes batch(40 * 1472, 0xd0);
    auto result = io::SendResult::sent;
    std::size_t batches = 0;
    for (; result == io::SendResult::sent && batches < 10'000; ++batches) {
        result = a.paths->send(to_deaf, batch, 1472);
        context.restart();
        context.poll();
    }
    EXPECT_EQ(result, io::SendResult::would_block);
    EXPECT_EQ(send(a, to_deaf, request(2)), io::SendResult::sent) << "a check waits for its turn";
    int checks = 0;
    while (checks < 10'000 && send(a, to_deaf, request(3)) == io::SendResult::sent) {
        ++checks;
    }
    EXPECT_LT(checks, 10'000);
}

TEST_F(TcpPathsTest, SaysWhenAConnectionBreaks) {
    connect();
    b.paths->close();
    run_until([&] { return !a.failed.empty(); });
    EXPECT_EQ(a.failed, std::vector{path(a, b)});
    EXPECT_EQ(a.paths->connections(), 0U);
}

TEST_F(TcpPathsTest, ConnectsAgainAfterARefusal) {
    // Nobody listens at first; somebody does as soon as the first attempt was refused.
    asio::ip::tcp::acceptor late{context};
    late.open(asio::ip::tcp::v4());
    late.set_option(asio::socket_base::reuse_address{true});
    late.bind({asio::ip::make_address("127.0.0.1"), 0});
    const net::PathAddresses to_late{.local = endpoint(a),
                                     .remote = {.address = loopback, .port = late.local_endpoint().port()},
                                     .transport = net::Transport::tcp};
    send(a, to_late, request(1));
    context.restart();
    context.run_for(std::chrono::milliseconds{20});
    late.listen();
    bool accepted = false;
    asio::ip::tcp::socket socket{context};
    late.async_accept(socket, [&](const boost::system::error_code& error) { accepted = !error; });
    run_until([&] { return accepted; });
    EXPECT_TRUE(accepted);
    EXPECT_TRUE(a.failed.empty());
}

TEST_F(TcpPathsTest, AcceptsNobodyWhenNobodyIsExpected) {
    b.expecting = false;
    send(a, path(a, b), request(1));
    run_until([&] { return !a.failed.empty(); });
    EXPECT_TRUE(b.heard.empty());
    EXPECT_EQ(b.paths->connections(), 0U);
}

TEST_F(TcpPathsTest, KeepsAFewStrangersOfOneAddressOnly) {
    std::vector<asio::ip::tcp::socket> strangers;
    for (std::size_t i = 0; i < TcpPaths::kMaxStrangersOfSource + 4; ++i) {
        auto& socket = strangers.emplace_back(context);
        socket.connect({asio::ip::make_address("127.0.0.1"), endpoint(b).port});
    }
    run_until([&] { return b.paths->connections() >= TcpPaths::kMaxStrangersOfSource; });
    context.restart();
    context.poll();
    EXPECT_EQ(b.paths->connections(), TcpPaths::kMaxStrangersOfSource);
}

TEST_F(TcpPathsTest, ClosesAStreamThatMakesNoSense) {
    asio::ip::tcp::socket stranger{context};
    stranger.connect({asio::ip::make_address("127.0.0.1"), endpoint(b).port});
    run_until([&] { return b.paths->connections() == 1; });
    asio::write(stranger, asio::buffer(std::string{"GET / HTTP/1.1\r\n"}));
    run_until([&] { return b.paths->connections() == 0; });
    EXPECT_EQ(b.paths->connections(), 0U);
    EXPECT_TRUE(b.heard.empty());
}

TEST_F(TcpPathsTest, ClosesWhatNobodyUses) {
    connect();
    a.paths->close_unused([](const net::PathAddresses&) { return true; });
    EXPECT_EQ(a.paths->connections(), 1U);
    a.paths->close_unused([](const net::PathAddresses&) { return false; });
    EXPECT_EQ(a.paths->connections(), 0U);
    run_until([&] { return !b.failed.empty(); });
    EXPECT_EQ(b.failed.size(), 1U);
    EXPECT_TRUE(a.failed.empty()) << "it was our own wish";
}

TEST_F(TcpPathsTest, ListensAtAnotherPortWhenRenewedAndKeepsItsConnections) {
    connect();
    const auto before = path(a, b);
    ASSERT_TRUE(a.paths->renew());
    EXPECT_NE(endpoint(a), before.local);
    EXPECT_EQ(send(a, before, request(9)), io::SendResult::sent);
    run_until([&] { return !b.heard.empty(); });
    EXPECT_FALSE(b.heard.empty());
}

}  // namespace
}  // namespace pinhole::shell
