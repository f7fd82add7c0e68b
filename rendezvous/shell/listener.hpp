// One address and port, heard by UDP and TCP alike.
#pragma once

#include "common/base/error.hpp"
#include "common/io/udp_socket.hpp"

#include <boost/asio/ip/tcp.hpp>

namespace pinhole::rendezvous {

class Listener {
  public:
    /// Port 0 becomes one that both protocols have free.
    [[nodiscard]] static Result<Listener> open(const io::asio::any_io_executor& executor, const net::Endpoint& at);

    [[nodiscard]] net::Endpoint local() const { return udp_.local(); }

    [[nodiscard]] io::UdpSocket& udp() { return udp_; }

    [[nodiscard]] io::asio::ip::tcp::acceptor& tcp() { return tcp_; }

    void close();

  private:
    Listener(io::asio::ip::tcp::acceptor tcp, io::UdpSocket udp) : tcp_(std::move(tcp)), udp_(std::move(udp)) {}

    io::asio::ip::tcp::acceptor tcp_;
    io::UdpSocket udp_;
};

}  // namespace pinhole::rendezvous
