// Paths over TCP: connections that carry datagrams, each named by its two endpoints whoever has opened it (RFC 6544
// §3). One local port a family listens and connects, so that connections of both sides that cross on the way become one
// (simultaneous open). Decides nothing but bounds: ICE says by its first check where to connect to, and which of those
// who connected to us belong to a peer (`confirm`). Driven by Node.
//
// Timers: a connection is tried for kConnectPatience, again after every refusal; whoever has connected and is not
// confirmed after kConfirmPatience is closed.
#pragma once

#include "common/base/error.hpp"
#include "common/base/time.hpp"
#include "common/io/udp_socket.hpp"
#include "common/net/datagram.hpp"
#include "common/net/datagram_stream.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace pinhole::shell {

class TcpPaths : public std::enable_shared_from_this<TcpPaths> {
  public:
    /// Several SYNs of the system, and time for the other side to begin: a NAT or host that answers an early SYN with a
    /// refusal is asked again (RFC 5382 REQ-4).
    static constexpr Duration kConnectPatience = 6s;
    static constexpr Duration kConfirmPatience = 5s;
    /// Connections of all kinds, and those of strangers among them: of all, and of one address (IPv6: of one /64).
    static constexpr std::size_t kMaxConnections = 256;
    static constexpr std::size_t kMaxStrangers = 32;
    static constexpr std::size_t kMaxStrangersOfSource = 4;
    /// Bytes of one connection that the system has not taken: one batch of the transport with its lengths, and checks.
    static constexpr std::size_t kMaxUnsent = 96 * 1024;

    struct Callbacks {
        std::function<void(const net::Received&)> datagram;
        std::function<void()> batch_over;  ///< what had arrived is handed over
        /// A connection could not be made, or broke; never from within a call of ours.
        std::function<void(const net::PathAddresses&)> failed;
        /// Somebody may connect to us: a session is there that may know them.
        std::function<bool()> expecting;
    };

    explicit TcpPaths(boost::asio::any_io_executor executor);
    ~TcpPaths();

    /// Listens on what can be listened on: both families, or `bind`. An error when that is none.
    [[nodiscard]] Status open(const std::optional<net::Address>& bind);
    /// Accepts and reads until close().
    void start(Callbacks callbacks);
    /// Another port for connections from now on; those that are there go on.
    [[nodiscard]] Status renew();
    /// No callback follows.
    void close();

    /// `payload` as datagrams of `segment` bytes, the last one maybe shorter. A STUN request makes the connection if
    /// there is none; anything else is lost then. would_block: the connection has taken what it can, this is lost.
    io::SendResult send(const net::PathAddresses& path, ByteView payload, std::size_t segment);
    /// A STUN request to a server, which speaks STUN without lengths in front (RFC 8489 §6.2.2).
    void ask(const net::PathAddresses& path, ByteView request);

    /// An authentic check came over this connection: it stays.
    void confirm(const net::PathAddresses& path);
    /// Closes the connections between peers that nobody uses.
    void close_unused(const std::function<bool(const net::PathAddresses&)>& used);

    [[nodiscard]] std::optional<std::uint16_t> port(net::Family family) const;

    [[nodiscard]] std::size_t connections() const { return connections_.size(); }

  private:
    struct Connection;
    struct Listener;
    using Shared = std::shared_ptr<Connection>;
    using Listeners = std::map<net::Family, std::shared_ptr<Listener>>;

    [[nodiscard]] Result<Listeners> listen() const;
    boost::asio::awaitable<void> accept_loop(std::shared_ptr<Listener> listener);
    void admit(boost::asio::ip::tcp::socket socket);
    [[nodiscard]] bool has_room_for(const net::Address& stranger) const;
    Shared connect(const net::PathAddresses& path, net::Framing framing);
    boost::asio::awaitable<void> connect_loop(Shared connection);
    void opened(const Shared& connection);
    boost::asio::awaitable<void> read_loop(Shared connection);
    [[nodiscard]] bool hand_over(const Shared& connection);
    boost::asio::awaitable<void> write_loop(Shared connection);
    io::SendResult write(const Shared& connection, ByteView framed, bool keep);
    void close_at(const Shared& connection, Duration delay);
    void drop(const Shared& connection, bool tell);

    boost::asio::any_io_executor executor_;
    std::optional<net::Address> bind_;
    Listeners listeners_;
    std::map<net::PathAddresses, Shared> connections_;
    Callbacks callbacks_;
    Bytes scratch_;
    bool closed_ = false;
};

}  // namespace pinhole::shell
