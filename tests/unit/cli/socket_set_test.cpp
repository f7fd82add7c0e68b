#include "peer/shell/socket_set.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace pinhole::shell {
namespace {

class SocketSetTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(sockets->open(loopback));
        sockets->start(
            {.owner = owner,
             .datagram = [this](const net::Received& datagram) { arrived.push_back(datagram.path.local.port); },
             .batch_over =
                 [this] {
                     context.stop();
                     return std::optional<TimePoint>{};
                 }});
    }

    void TearDown() override {
        sockets->close();
        context.restart();
        context.poll();
    }

    [[nodiscard]] std::uint16_t port() const { return sockets->port(net::Family::v4).value_or(0); }

    /// From one of the set's sockets to another; false if it did not get there.
    bool deliver(std::uint16_t from, std::uint16_t to) {
        arrived.clear();
        const Bytes payload{1, 2, 3};
        sockets->send({.local = {loopback, from}, .remote = {loopback, to}}, payload, payload.size(),
                      net::Ecn::not_ect);
        context.restart();
        context.run_for(kPatience);
        return arrived == std::vector{to};
    }

    static constexpr auto kPatience = std::chrono::milliseconds{200};
    boost::asio::io_context context;
    net::Address loopback = *net::Address::parse("127.0.0.1");
    std::shared_ptr<SocketSet> sockets = std::make_shared<SocketSet>(context.get_executor());
    std::vector<std::uint16_t> arrived;
    std::shared_ptr<int> owner = std::make_shared<int>();
};

TEST_F(SocketSetTest, HasOtherPortsWhenRenewedAndKeepsTheOldOnesForWhomTheyServe) {
    const auto before = port();
    ASSERT_TRUE(sockets->renew());
    const auto after = port();
    EXPECT_NE(before, after);
    EXPECT_TRUE(deliver(after, before)) << "the old one receives";
    EXPECT_TRUE(deliver(before, after)) << "the old one sends";
    sockets->close_retired();
    EXPECT_FALSE(deliver(before, after));
    EXPECT_TRUE(deliver(after, after));
}

TEST_F(SocketSetTest, CallsNobodyBackWhoIsGone) {
    ASSERT_TRUE(deliver(port(), port()));
    owner.reset();
    EXPECT_FALSE(deliver(port(), port()));
    EXPECT_TRUE(arrived.empty());
}

TEST_F(SocketSetTest, KeepsNoMoreThanAFewOldOnes) {
    const auto first = port();
    for (std::size_t i = 0; i <= SocketSet::kMaxRetired; ++i) {
        ASSERT_TRUE(sockets->renew());
    }
    EXPECT_FALSE(deliver(first, port()));
}

}  // namespace
}  // namespace pinhole::shell
