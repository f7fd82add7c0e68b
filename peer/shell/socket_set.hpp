// The UDP sockets of a peer, one a family, as one thing to send from and to hear of. Decides nothing; what arrives goes
// to its owner's callbacks.
#pragma once

#include "common/io/udp_socket.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

namespace pinhole::shell {

class SocketSet : public std::enable_shared_from_this<SocketSet> {
  public:
    struct Callbacks {
        std::function<void(const net::Received&)> datagram;
        std::function<void()> batch_over;  ///< what had arrived is handed over
    };

    explicit SocketSet(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

    /// Opens what can be opened: both families, or the one of `bind`. An error when that is none.
    [[nodiscard]] Status open(const std::optional<net::Address>& bind);
    /// Receives until close().
    void start(Callbacks callbacks);
    /// No callback follows.
    void close();

    io::SendResult send(const net::PathAddresses& path, ByteView payload, std::size_t segment, net::Ecn ecn);

    [[nodiscard]] std::optional<std::uint16_t> port(net::Family family) const;

  private:
    boost::asio::awaitable<void> receive_loop(std::shared_ptr<io::UdpSocket> socket);

    boost::asio::any_io_executor executor_;
    std::map<net::Family, std::shared_ptr<io::UdpSocket>> sockets_;
    Callbacks callbacks_;
    bool closed_ = false;
};

}  // namespace pinhole::shell
