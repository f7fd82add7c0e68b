// The hub on real connections: what only sockets can do, that is to stop taking what is written to them.
#include "rendezvous/shell/hub.hpp"

#include "common/base/limits.hpp"
#include "common/io/convert.hpp"
#include "common/signaling/codec.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

using io::asio::ip::tcp;

constexpr int kSmallBuffer = 2048;

crypto::Identity identity(std::uint8_t number) {
    crypto::Key32 seed{};
    seed.fill(number);
    return crypto::Identity::from_seed(crypto::SecretKey{seed});
}

/// A peer on a socket of its own.
struct Client {
    tcp::socket socket;
    signaling::SecureLink link;
    std::vector<signaling::ToPeer> inbox{};
};

class HubTest : public testing::Test {
  protected:
    HubTest() {
        EXPECT_TRUE(crypto::initialize());
        // Accepted sockets inherit it.
        acceptor_.set_option(tcp::acceptor::send_buffer_size{kSmallBuffer});
        hub_.start();
    }

    ~HubTest() override {
        hub_.stop();
        context_.poll();
    }

    Client connect(std::uint8_t number) {
        const auto who = identity(number);
        const signaling::Hello hello{.id = who.id(), .version = 1, .agent = "test"};
        tcp::socket socket{context_, tcp::v4()};
        socket.set_option(tcp::socket::receive_buffer_size{kSmallBuffer});
        socket.connect(acceptor_.local_endpoint());
        socket.non_blocking(true);
        auto accepted = acceptor_.accept();
        accepted.non_blocking(true);
        const auto remote = io::from_asio(accepted.remote_endpoint());
        auto link = std::make_shared<TcpLink>(std::move(accepted), remote);
        io::spawn(context_.get_executor(), "hub", hub_.serve(std::move(link), std::nullopt));
        return {.socket = std::move(socket),
                .link = signaling::SecureLink::client(who.noise_keys(), signaling::serialize(hello), rng_)};
    }

    /// One exchange with the server: writes what there is to say, reads what there is to hear.
    void turn(Client& client) {
        if (const auto bytes = client.link.poll_output(); !bytes.empty()) {
            boost::system::error_code ec;
            client.socket.non_blocking(false);
            io::asio::write(client.socket, io::asio::buffer(bytes), ec);
            client.socket.non_blocking(true);
        }
        context_.run_for(std::chrono::milliseconds{2});
        context_.restart();
        std::array<std::uint8_t, 4096> buffer{};
        boost::system::error_code ec;
        const auto size = client.socket.read_some(io::asio::buffer(buffer), ec);
        if (!ec && client.link.handle_bytes(ByteView{buffer}.first(size))) {
            while (const auto frame = client.link.poll_frame()) {
                client.inbox.push_back(signaling::parse_to_peer(*frame).value());
            }
        }
    }

    template <class Condition>
    void turn_until(Client& client, Condition condition) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{5};
        while (!condition() && std::chrono::steady_clock::now() < end) {
            turn(client);
        }
        EXPECT_TRUE(condition());
    }

    void log_in(Client& client) {
        turn_until(client, [&] { return !client.inbox.empty(); });
    }

    SeededRng rng_{1};
    io::asio::io_context context_{1};
    tcp::acceptor acceptor_{context_, tcp::endpoint{io::asio::ip::address_v4::loopback(), 0}};
    Hub hub_{context_.get_executor(), identity(255).noise_keys(), rng_, 200ms};
};

TEST_F(HubTest, AClientThatStopsReadingLosesItsConnectionAfterTheWriteStall) {
    auto deaf = connect(1);
    auto caller = connect(2);
    log_in(deaf);
    log_in(caller);
    ASSERT_EQ(hub_.stats().connections, 2U);
    for (std::uint64_t id = 1; id <= limits::kMaxCallsPerConnection; ++id) {
        ASSERT_TRUE(caller.link.send(signaling::serialize(
            signaling::ToServer{signaling::Connect{.call = {id},
                                                   .to = identity(1).id(),
                                                   .handshake = Bytes(limits::kMaxSessionHandshake),
                                                   .candidates = {}}})));
    }
    turn_until(caller, [&] { return hub_.stats().connections == 1; });
    EXPECT_EQ(hub_.stats().closed, 0U) << "the stall closed the socket, not the core";
    turn_until(caller, [&] {
        return std::ranges::any_of(caller.inbox, [](const auto& message) {
            const auto* end = std::get_if<signaling::End>(&message);
            return end != nullptr && end->reason == signaling::EndReason::lost;
        });
    });
}

TEST_F(HubTest, AClientThatReadsSlowlyKeepsIt) {
    auto slow = connect(1);
    auto caller = connect(2);
    log_in(slow);
    log_in(caller);
    for (std::uint64_t id = 1; id <= 8; ++id) {
        ASSERT_TRUE(caller.link.send(signaling::serialize(
            signaling::ToServer{signaling::Connect{.call = {id},
                                                   .to = identity(1).id(),
                                                   .handshake = Bytes(limits::kMaxSessionHandshake),
                                                   .candidates = {}}})));
        turn(caller);
    }
    turn_until(slow, [&] { return slow.inbox.size() >= 9; });
    EXPECT_EQ(hub_.stats().connections, 2U);
}

}  // namespace
}  // namespace pinhole::rendezvous
