// The UDP sockets of a peer, one a family and those that sessions asked for besides, as one thing to send from and to
// hear of. Decides nothing but how many there may be; what arrives goes to its owner's callbacks. Driven by Node.
#pragma once

#include "common/io/udp_socket.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

namespace pinhole::shell {

class SocketSet : public std::enable_shared_from_this<SocketSet> {
  public:
    /// Sockets besides the main ones, of all sessions: two that punch with as many as a plan may ask for, within the
    /// 1024 files that a process may have open on many systems.
    static constexpr std::size_t kMaxExtra = 2 * 258;

    static constexpr std::size_t kMaxRetired = 4;

    struct Callbacks {
        /// Held while it is called back, and when it is gone nothing is received any more.
        std::weak_ptr<void> owner;
        std::function<void(const net::Received&)> datagram;
        /// What had arrived is handed over. When to look again; nullopt: as soon as something arrives.
        std::function<std::optional<TimePoint>()> batch_over;
    };

    explicit SocketSet(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

    /// Opens what can be opened: both families, or the one of `bind`. An error when that is none.
    [[nodiscard]] Status open(const std::optional<net::Address>& bind);
    /// Receives until close().
    void start(Callbacks callbacks);
    /// New main sockets, of other ports. The ones before go on until close_retired(), but no more than kMaxRetired.
    [[nodiscard]] Status renew();
    void close_retired();
    /// No callback follows.
    void close();

    /// One more socket, of a port by chance; its local endpoint, unspecified address included.
    [[nodiscard]] Result<net::Endpoint> open_extra(net::Family family);
    void close_extra(const net::Endpoint& local);

    /// From the socket whose port `path.local` names; port 0 means the main one of the family.
    io::SendResult send(const net::PathAddresses& path, ByteView payload, std::size_t segment, net::Ecn ecn);
    /// One datagram with a TTL of its own.
    io::SendResult send_with_ttl(const net::PathAddresses& path, ByteView payload, std::uint8_t ttl);

    [[nodiscard]] std::optional<std::uint16_t> port(net::Family family) const;

  private:
    using Place = std::pair<net::Family, std::uint16_t>;

    boost::asio::awaitable<void> receive_loop(std::shared_ptr<io::UdpSocket> socket);
    [[nodiscard]] Result<std::map<net::Family, std::shared_ptr<io::UdpSocket>>> open_main() const;
    [[nodiscard]] io::UdpSocket* socket_for(const net::PathAddresses& path) const;

    boost::asio::any_io_executor executor_;
    std::optional<net::Address> bind_;
    std::map<net::Family, std::shared_ptr<io::UdpSocket>> sockets_;
    std::map<Place, std::shared_ptr<io::UdpSocket>> extra_;
    std::vector<std::shared_ptr<io::UdpSocket>> retired_;  ///< the oldest first
    Callbacks callbacks_;
    bool closed_ = false;
};

}  // namespace pinhole::shell
