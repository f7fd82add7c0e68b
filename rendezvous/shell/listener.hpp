// One address and port, heard by UDP and TCP alike, or by UDP only.
#pragma once

#include "common/base/error.hpp"
#include "common/io/udp_socket.hpp"
#include "rendezvous/core/stun_binding.hpp"
#include "rendezvous/shell/listen_plan.hpp"

#include <optional>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace pinhole::rendezvous {

class Listener {
  public:
    enum class Hears : std::uint8_t { both, udp };

    /// Port 0 becomes one that both protocols have free.
    [[nodiscard]] static Result<Listener> open(const io::asio::any_io_executor& executor, const net::Endpoint& at,
                                               Hears hears = Hears::both);

    [[nodiscard]] net::Endpoint local() const { return udp_.local(); }

    [[nodiscard]] io::UdpSocket& udp() { return udp_; }

    /// Null if it hears UDP only.
    [[nodiscard]] io::asio::ip::tcp::acceptor* tcp() { return tcp_ ? &*tcp_ : nullptr; }

    /// True if datagrams can be sent from `local` here: it is bound to that, or to all addresses with that port.
    [[nodiscard]] bool covers(const net::Endpoint& local) const;

    void close();

  private:
    Listener(std::optional<io::asio::ip::tcp::acceptor> tcp, io::UdpSocket udp)
        : tcp_(std::move(tcp)), udp_(std::move(udp)) {}

    std::optional<io::asio::ip::tcp::acceptor> tcp_;
    io::UdpSocket udp_;
};

/// The listeners of one place, the primary one first, and with an alternate address what they are to STUN.
struct OpenPlace {
    std::vector<Listener> listeners;
    std::optional<StunSite> site;
};

/// With an alternate address: both addresses with the port and the one above it. All of them, or none and the error.
[[nodiscard]] Result<OpenPlace> open_place(const io::asio::any_io_executor& executor, const Place& place);

}  // namespace pinhole::rendezvous
