// A small UDP socket for a handful of STUN messages: a fresh port, a TTL for each packet, no batches and no large
// buffers (io::UdpSocket has those, for the traffic of sessions).
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"
#include "common/net/endpoint.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <system_error>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/udp.hpp>

namespace pinhole::shell {

class ProbeSocket {
  public:
    using OnDatagram = std::function<void(const net::Endpoint& from, ByteView payload)>;

    /// Binds to a free port of `address`.
    [[nodiscard]] static Result<std::shared_ptr<ProbeSocket>> open(const boost::asio::any_io_executor& executor,
                                                                   const net::Address& address);

    explicit ProbeSocket(const boost::asio::any_io_executor& executor) : socket_(executor) {}

    [[nodiscard]] std::uint16_t port() const { return port_; }

    [[nodiscard]] bool is_open() const { return socket_.is_open(); }

    /// Ends with an error when the socket is closed.
    [[nodiscard]] boost::asio::awaitable<std::error_code> wait_readable();
    /// Hands over what has arrived; `on_datagram` may close the socket.
    void receive(const OnDatagram& on_datagram);
    /// What cannot be sent is lost, as on the network.
    void send(const net::Endpoint& to, ByteView payload, std::optional<std::uint8_t> ttl);
    void close();

  private:
    boost::asio::ip::udp::socket socket_;
    std::uint16_t port_ = 0;
};

}  // namespace pinhole::shell
