// One simulated machine: its addresses, UDP sockets and TCP connections, and what a kernel answers by itself. Knows
// neither the network nor what its programs are; World carries its packets and tells it the time.
#pragma once

#include "common/base/ids.hpp"
#include "common/base/rng.hpp"
#include "common/net/datagram.hpp"
#include "tests/sim/tcp.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pinhole::sim {

using TcpId = StrongId<struct TcpIdTag>;

/// What happens on a connection; any of them may be empty. Nothing comes after `closed`, or after close_tcp.
struct TcpHandler {
    std::function<void()> connected;
    std::function<void(ByteView)> received;
    /// Refused, ended by the other side, or not heard for too long.
    std::function<void()> closed;
};

class Host {
  public:
    using OnDatagram = std::function<void(const net::Received&)>;
    using OnAccept = std::function<TcpHandler(TcpId, const net::Endpoint& local, const net::Endpoint& remote)>;
    using Output = std::function<void(lab::Packet)>;

    Host(std::string name, std::vector<net::Address> addresses, std::uint64_t seed, Output output);
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }

    [[nodiscard]] const std::vector<net::Address>& addresses() const { return addresses_; }

    void set_addresses(std::vector<net::Address> addresses) { addresses_ = std::move(addresses); }

    /// The ports that the system gives to sockets that want any; as Linux gives them if not told otherwise.
    void use_ports(std::uint16_t first, std::uint16_t last);

    /// Where packets to this family leave from.
    [[nodiscard]] std::optional<net::Address> source(net::Family family) const;

    /// One socket for all addresses. Port 0: a free one by chance. The port, or nothing if it is in use.
    [[nodiscard]] std::optional<std::uint16_t> open_udp(std::uint16_t port, OnDatagram on_datagram);
    void close_udp(std::uint16_t port);
    /// `ttl` 0 is the usual one. A source that is not ours is replaced, as the kernel picks one for a wildcard.
    void send_udp(const net::PathAddresses& path, ByteView payload, net::Ecn ecn = net::Ecn::not_ect,
                  std::uint8_t ttl = 0);

    void listen(std::uint16_t port, OnAccept on_accept);
    /// Port 0: a free one by chance. `port` may be in use by connections elsewhere. Nothing if this very connection
    /// exists or there is no address of the family.
    [[nodiscard]] std::optional<TcpId> connect(const net::Endpoint& remote, std::uint16_t port, TcpHandler handler,
                                               TimePoint now);
    [[nodiscard]] std::optional<net::Endpoint> local(TcpId id) const;
    void write(TcpId id, ByteView bytes, TimePoint now);
    void close_tcp(TcpId id, TimePoint now);

    void handle_packet(lab::Packet packet, TimePoint now);
    void handle_timeout(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

  private:
    struct Tcp {
        lab::Flow flow;
        TcpConnection connection;
        TcpHandler handler;
        bool announced = false;
        bool abandoned = false;
    };

    void handle_tcp(const lab::Packet& packet, TimePoint now);
    void handle_report(const lab::IcmpReport& report);
    void refuse(const lab::Packet& packet);
    [[nodiscard]] TcpId add(const lab::Flow& flow, bool active, TimePoint now);
    [[nodiscard]] std::optional<TcpId> find(const lab::Flow& flow) const;
    [[nodiscard]] bool owns(const net::Address& address) const;
    [[nodiscard]] std::uint16_t free_port(lab::Protocol protocol);
    void drain(TcpId id);
    void flush(Tcp& tcp);

    std::string name_;
    std::vector<net::Address> addresses_;
    SeededRng rng_;
    Output output_;
    std::map<std::uint16_t, OnDatagram> udp_;
    std::map<std::uint16_t, OnAccept> listeners_;
    std::map<TcpId, Tcp> tcp_;
    std::map<lab::Flow, TcpId> flows_;
    std::uint64_t last_tcp_ = 0;
    /// Linux: net.ipv4.ip_local_port_range.
    std::uint16_t first_port_ = 32768;
    std::uint16_t last_port_ = 60999;
};

}  // namespace pinhole::sim
