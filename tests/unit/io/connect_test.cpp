#include "common/io/connect.hpp"

#include "common/io/convert.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace pinhole::io {
namespace {

using asio::ip::tcp;

const net::Address kLoopback = net::Address::v4({127, 0, 0, 1});

class ConnectTest : public testing::Test {
  protected:
    using Connected = std::optional<Result<tcp::socket>>;

    Connected connect(std::vector<net::Endpoint> endpoints, std::optional<net::Address> from = {}) {
        Connected result;
        spawn(context_.get_executor(), "test",
              run(context_.get_executor(), std::move(endpoints), std::move(from), result));
        context_.run_for(std::chrono::seconds{3});
        context_.restart();
        return result;
    }

    static asio::awaitable<void> run(asio::any_io_executor executor, std::vector<net::Endpoint> endpoints,
                                     std::optional<net::Address> from, Connected& result) {
        result.emplace(co_await tcp_connect(std::move(executor), std::move(endpoints), 2s, std::move(from)));
    }

    static asio::awaitable<void> look_up(asio::any_io_executor executor, std::string host,
                                         std::optional<Result<std::vector<net::Endpoint>>>& result,
                                         Duration timeout = kResolveTimeout) {
        result.emplace(co_await resolve(std::move(executor), std::move(host), 99, timeout));
    }

    asio::io_context context_{1};
    tcp::acceptor acceptor_{context_, to_tcp({.address = kLoopback})};
};

/// A port that was just free and has no listener.
net::Endpoint refusing(asio::io_context& context) {
    tcp::acceptor closed{context, to_tcp({.address = kLoopback})};
    return from_asio(closed.local_endpoint());
}

TEST_F(ConnectTest, GoesOnToTheNextAddressWhenOneRefuses) {
    const auto listening = from_asio(acceptor_.local_endpoint());

    const auto result = connect({refusing(context_), listening});

    ASSERT_TRUE(result && *result);
    EXPECT_EQ(from_asio((*result)->remote_endpoint()), listening);
}

TEST_F(ConnectTest, TellsTheLastErrorWhenAllRefuse) {
    const auto result = connect({refusing(context_), refusing(context_)});

    ASSERT_TRUE(result);
    ASSERT_FALSE(*result);
    EXPECT_EQ(result->error().code, std::errc::connection_refused);
}

TEST_F(ConnectTest, ConnectsFromTheAddressThatItIsBoundTo) {
    const auto from = net::Address::v4({127, 0, 0, 9});

    const auto result = connect({from_asio(acceptor_.local_endpoint())}, from);

    ASSERT_TRUE(result && *result);
    EXPECT_EQ(from_asio((*result)->local_endpoint()).address, from);
}

TEST_F(ConnectTest, AnAddressOfTheOtherFamilyReachesNothing) {
    const auto result = connect({from_asio(acceptor_.local_endpoint())}, net::Address::parse("::1"));

    ASSERT_TRUE(result);
    EXPECT_FALSE(*result);
}

TEST_F(ConnectTest, AnAddressThatIsNotOursIsAnErrorWithItsName) {
    const auto result = connect({from_asio(acceptor_.local_endpoint())}, net::Address::v4({192, 0, 2, 1}));

    ASSERT_TRUE(result);
    ASSERT_FALSE(*result);
    EXPECT_EQ(result->error().detail, "192.0.2.1");
}

TEST_F(ConnectTest, NoAddressIsAnErrorAtOnce) {
    const auto result = connect({});

    ASSERT_TRUE(result);
    EXPECT_FALSE(*result);
}

TEST_F(ConnectTest, LiteralAddressesNeedNoResolver) {
    std::optional<Result<std::vector<net::Endpoint>>> result;
    spawn(context_.get_executor(), "test", look_up(context_.get_executor(), "2001:db8::1", result));
    context_.run();

    ASSERT_TRUE(result && *result);
    ASSERT_EQ((*result)->size(), 1U);
    EXPECT_EQ((*result)->front().text(), "[2001:db8::1]:99");
}

TEST_F(ConnectTest, NamesAreLookedUp) {
    std::optional<Result<std::vector<net::Endpoint>>> result;
    spawn(context_.get_executor(), "test", look_up(context_.get_executor(), "localhost", result));
    context_.run();

    ASSERT_TRUE(result && *result) << result->error().message();
    EXPECT_TRUE((*result)->front().address.is_loopback());
    EXPECT_EQ((*result)->front().port, 99);
}

TEST_F(ConnectTest, AnUnansweredNameEndsInTime) {
    std::optional<Result<std::vector<net::Endpoint>>> result;
    spawn(context_.get_executor(), "test", look_up(context_.get_executor(), "localhost", result, Duration{}));
    context_.run();

    ASSERT_TRUE(result);
    // The resolver may have been faster than no time at all.
    EXPECT_TRUE(*result || result->error().code == std::errc::timed_out);
}

TEST_F(ConnectTest, MayBeAbandonedWhileTheResolverWorks) {
    std::optional<Result<std::vector<net::Endpoint>>> result;
    {
        asio::io_context context{1};
        spawn(context.get_executor(), "test", look_up(context.get_executor(), "localhost", result));
        context.poll_one();
    }
    EXPECT_FALSE(result);
}

}  // namespace
}  // namespace pinhole::io
