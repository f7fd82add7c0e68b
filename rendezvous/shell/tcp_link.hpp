// One accepted TCP connection and the time it has left. Shared by the coroutines that read, write and end it.
#pragma once

#include "common/base/time.hpp"
#include "common/io/tokens.hpp"
#include "common/net/datagram.hpp"

#include <memory>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::rendezvous {

class TcpLink : public std::enable_shared_from_this<TcpLink> {
  public:
    TcpLink(io::asio::ip::tcp::socket socket, const net::Endpoint& remote);

    [[nodiscard]] io::asio::ip::tcp::socket& socket() { return socket_; }

    [[nodiscard]] const net::Endpoint& remote() const { return path_.remote; }

    [[nodiscard]] const net::PathAddresses& path() const { return path_; }

    /// Closes the socket after `time` unless armed anew or disarmed.
    void close_after(Duration time);
    void disarm();
    void close();

  private:
    io::asio::ip::tcp::socket socket_;
    net::PathAddresses path_;
    io::asio::steady_timer timer_;
};

}  // namespace pinhole::rendezvous
