// The TCP connection under a SignalingClient: resolves, connects, reads, writes; all decisions are the client's.
#pragma once

#include "common/net/endpoint.hpp"
#include "peer/session/signaling_client.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace pinhole::shell {

class ServerConnection : public std::enable_shared_from_this<ServerConnection> {
  public:
    struct Callbacks {
        /// The server's addresses are known (every attempt resolves anew); before any packet goes there.
        std::function<void(const std::vector<net::Endpoint>&)> resolved;
        std::function<void(const session::SignalingClient::Event&)> event;  ///< never ConnectNow
        std::function<void()> timers_changed;
    };

    ServerConnection(boost::asio::io_context& io, net::HostPort server, session::SignalingClient::Config config,
                     Rng& rng);

    void start(Callbacks callbacks);
    void send(const signaling::ToServer& message);
    void handle_timeout(TimePoint now);
    /// See SignalingClient::doubt.
    void doubt(TimePoint now);
    /// After a change of the network: connects anew unless the connection still has its local address.
    void handle_network_changed(const std::vector<net::Address>& local_addresses, TimePoint now);

    [[nodiscard]] std::optional<TimePoint> next_timeout() const { return client_.next_timeout(); }

    [[nodiscard]] bool online() const { return client_.online(); }

    void stop();

  private:
    boost::asio::awaitable<void> connect_and_read(std::uint64_t attempt);
    boost::asio::awaitable<void> write_loop(std::uint64_t attempt);
    void drain();
    /// Writes what the socket takes at once, so that a last word is out before the process ends.
    void write_now();
    void drop_socket();

    boost::asio::io_context& io_;
    net::HostPort server_;
    session::SignalingClient client_;
    Callbacks callbacks_;
    std::optional<boost::asio::ip::tcp::socket> socket_;
    /// Counts connections, so that the end of an old one is not taken for the end of the new one.
    std::uint64_t attempt_ = 0;
    Bytes outgoing_;
    bool writing_ = false;
    bool draining_ = false;
    bool stopped_ = false;
};

}  // namespace pinhole::shell
