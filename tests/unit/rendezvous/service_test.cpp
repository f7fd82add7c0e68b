// The whole server on loopback: what a peer is told when it logs in, and guests that cannot keep it out.
#include "rendezvous/shell/service.hpp"

#include "common/io/convert.hpp"
#include "common/signaling/codec.hpp"

#include <csignal>
#include <thread>

#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

using io::asio::ip::tcp;

const net::Address kLoopback = net::Address::v4({127, 0, 0, 1});

crypto::Identity identity(std::uint8_t number) {
    crypto::Key32 seed{};
    seed.fill(number);
    return crypto::Identity::from_seed(crypto::SecretKey{seed});
}

class ServiceTest : public testing::Test {
  protected:
    ServiceTest() { EXPECT_TRUE(crypto::initialize()); }

    ~ServiceTest() override {
        if (thread_.joinable()) {
            std::ignore = std::raise(SIGTERM);
            thread_.join();
        }
    }

    void start() {
        thread_ = std::thread{[this] { service_.run(); }};
    }

    tcp::socket connect(const net::Endpoint& to) {
        tcp::socket socket{context_};
        socket.connect(io::to_tcp(to));
        return socket;
    }

    signaling::Welcome welcome(tcp::socket socket) { return first_of<signaling::Welcome>(std::move(socket)); }

    /// Logs in and returns the first message of its kind.
    template <class T>
    T first_of(tcp::socket socket) {
        const auto who = identity(1);
        const signaling::Hello hello{.id = who.id(), .version = 1, .agent = "test"};
        auto link = signaling::SecureLink::client(who.noise_keys(), signaling::serialize(hello), rng_);
        std::array<std::uint8_t, 4096> buffer{};
        for (;;) {
            if (const auto bytes = link.poll_output(); !bytes.empty()) {
                io::asio::write(socket, io::asio::buffer(bytes));
            }
            while (const auto frame = link.poll_frame()) {
                const auto message = signaling::parse_to_peer(*frame).value();
                if (const auto* wanted = std::get_if<T>(&message)) {
                    return *wanted;
                }
            }
            boost::system::error_code ec;
            const auto size = socket.read_some(io::asio::buffer(buffer), ec);
            if (ec || !link.handle_bytes(ByteView{buffer}.first(size))) {
                ADD_FAILURE() << "the server closed the connection";
                return {};
            }
        }
    }

    crypto::SystemRng server_rng_;
    SeededRng rng_{2};
    io::asio::io_context context_;
    Service service_{identity(255).noise_keys(), server_rng_, {}};
    std::thread thread_;
};

TEST_F(ServiceTest, TellsPeersOfTheOtherStunPort) {
    ASSERT_TRUE(service_.listen({.at = {.address = kLoopback}}));
    service_.open_second_ports();
    const auto listening = service_.listening();
    ASSERT_EQ(listening.size(), 2U);
    EXPECT_EQ(listening[1].port, listening[0].port + 1);
    start();
    EXPECT_EQ(welcome(connect(listening[0])).second_stun_port, listening[1].port);
}

TEST_F(ServiceTest, SaysNothingOfASecondPortThatItCouldNotOpen) {
    ASSERT_TRUE(service_.listen({.at = {.address = kLoopback}}));
    const auto first = service_.listening().front();
    const net::Endpoint next{.address = kLoopback, .port = static_cast<std::uint16_t>(first.port + 1)};
    const auto holder = io::UdpSocket::open(context_.get_executor(), next);
    testing::internal::CaptureStderr();
    service_.open_second_ports();
    EXPECT_NE(testing::internal::GetCapturedStderr().find("no second port"), std::string::npos);
    start();
    EXPECT_EQ(welcome(connect(first)).second_stun_port, std::nullopt);
}

TEST_F(ServiceTest, AnotherPortThatWasAskedForIsTheSecondOne) {
    ASSERT_TRUE(service_.listen({.at = {.address = kLoopback}}));
    ASSERT_TRUE(service_.listen({.at = {.address = kLoopback}}));
    service_.open_second_ports();
    const auto listening = service_.listening();
    ASSERT_EQ(listening.size(), 2U);
    start();
    EXPECT_EQ(welcome(connect(listening[0])).second_stun_port, listening[1].port);
    EXPECT_EQ(welcome(connect(listening[1])).second_stun_port, listening[0].port);
}

TEST_F(ServiceTest, WithAnAlternateEveryEndpointTakesLogins) {
    const auto other = net::Address::v4({127, 0, 0, 2});
    ASSERT_TRUE(service_.listen(
        {.at = {.address = kLoopback}, .alternate = Place::Alternate{.primary = kLoopback, .address = other}}));
    service_.open_second_ports();
    const auto listening = service_.listening();
    ASSERT_EQ(listening.size(), 4U);
    start();
    for (const auto& endpoint : listening) {
        const auto second = welcome(connect(endpoint)).second_stun_port;
        EXPECT_EQ(second, endpoint.port == listening[0].port ? listening[0].port + 1 : listening[0].port);
    }
}

TEST_F(ServiceTest, PeersAreToldOfTheRelayOnTheServersOwnPort) {
    ASSERT_TRUE(service_.listen({.at = {.address = kLoopback}}));
    const auto at = service_.listening().front();
    start();
    const auto relays = first_of<signaling::Relays>(connect(at)).relays;
    ASSERT_EQ(relays.size(), 1U);
    EXPECT_TRUE(relays[0].host.empty());
    EXPECT_TRUE(relays[0].udp && relays[0].tcp);
    EXPECT_FALSE(relays[0].tls) << "this service has no certificate";
}

TEST_F(ServiceTest, ClientsOfStunCannotKeepLoginsOut) {
    ASSERT_TRUE(service_.listen({.at = {.address = kLoopback}}));
    const auto at = service_.listening().front();
    start();
    std::vector<tcp::socket> guests;
    for (int i = 0; i < 100; ++i) {
        guests.push_back(connect(at));
        const std::uint8_t first = 0;
        io::asio::write(guests.back(), io::asio::buffer(&first, 1));
    }
    // Those beyond the bound of one source are turned away, and the last of them after all others were sorted.
    std::uint8_t byte = 0;
    boost::system::error_code ec;
    guests.back().read_some(io::asio::buffer(&byte, 1), ec);
    EXPECT_TRUE(ec);
    EXPECT_EQ(welcome(connect(at)).version, signaling::kVersion);
}

}  // namespace
}  // namespace pinhole::rendezvous
