// Netcheck on a host of the lab's network, the STUN service on another, in virtual time: everything follows from the
// seed. TCP is the least that carries STUN: handshake, one request, one answer, each repeated until it gets through.
#pragma once

#include "peer/netcheck/netcheck.hpp"
#include "rendezvous/core/stun_service.hpp"
#include "tests/lab/model/network.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pinhole::netcheck::testing {

struct WorldConfig {
    std::uint64_t seed = 1;
    /// From the one next to the host outwards.
    std::vector<lab::NatConfig> nats{};
    /// Of the host and of every NAT; each direction.
    lab::LinkConfig link{.delay = 10ms};
    std::size_t external_addresses = 1;
    bool second_address = true;
    /// Told to the client, as the Welcome does.
    bool second_port = false;
    bool tcp = true;
    bool ipv6 = false;
    /// The client knows only the server's IPv6 address.
    bool only_ipv6 = false;
    /// Nothing answers at all.
    bool dead_server = false;
    Duration lifetime{};
    /// The server knows its second address but nothing arrives there.
    bool dead_second_address = false;
};

class World {
  public:
    explicit World(const WorldConfig& config);

    /// Until netcheck has nothing more to do.
    const net::NetReport& run();
    const net::NetReport& run_until(Duration end);

    [[nodiscard]] lab::Network& network() { return network_; }

    [[nodiscard]] const net::NetReport& report() const { return netcheck_->report(); }

    /// Since the start.
    [[nodiscard]] std::optional<Duration> first_report_at() const { return first_at_; }

    [[nodiscard]] std::optional<Duration> complete_at() const { return complete_at_; }

    [[nodiscard]] std::optional<Duration> lifetime_at() const { return lifetime_at_; }

    /// As it was with the first report.
    [[nodiscard]] const net::NetReport& first_report() const { return first_report_; }

    [[nodiscard]] std::size_t open_sockets() const { return sockets_.size(); }

    [[nodiscard]] std::size_t most_sockets() const { return most_sockets_; }

    [[nodiscard]] std::size_t sent_within(Duration end) const;

    [[nodiscard]] std::size_t sent() const { return sent_at_.size(); }

    /// Mappings that others made on the outermost NAT until Complete.
    [[nodiscard]] std::uint64_t background_mappings() const { return background_; }

    /// Asked before a datagram reaches netcheck; false drops it.
    std::function<bool(const net::Endpoint& from, Bytes& payload)> on_inbound;
    /// Asked before the server sees a datagram; false drops it.
    std::function<bool(const net::PathAddresses& path, Bytes& payload)> on_request;

    /// A datagram of a stranger for every open UDP socket.
    void inject(const net::Endpoint& from, const Bytes& payload);

    [[nodiscard]] net::Endpoint server_endpoint() const { return {.address = server_[0], .port = 3478}; }

    [[nodiscard]] TimePoint now() const { return now_; }

  private:
    struct Socket {
        net::Endpoint local;
        bool tcp = false;
        bool established = false;
        bool answered = false;
        net::Endpoint remote{};
        Bytes request{};
        std::optional<TimePoint> repeat{};
        int repeats = 0;
    };

    void drain();
    void perform(const Action& action);
    void note(const Event& event);
    void open_udp(const OpenUdp& open);
    void open_tcp(const OpenTcp& open);
    void send(const Send& send);
    void send_tcp(const Socket& socket, lab::TcpFlags flags, Bytes payload);
    void repeat_tcp();
    void deliver(const lab::Delivery& delivery);
    void to_client(const lab::Packet& packet);
    void to_client_tcp(const lab::Packet& packet);
    void to_server(const lab::Packet& packet);
    void to_server_tcp(const lab::Packet& packet);
    [[nodiscard]] std::uint16_t fresh_port();
    [[nodiscard]] std::optional<TimePoint> next() const;

    WorldConfig config_;
    lab::Network network_;
    lab::HostId client_host_;
    lab::HostId server_host_;
    std::vector<net::Address> server_;
    rendezvous::StunService service_;
    SeededRng rng_;
    SeededRng ports_;
    TimePoint start_;
    TimePoint now_;
    std::map<SocketId, Socket> sockets_;
    std::map<SocketId, std::uint16_t> tcp_ports_;
    std::set<std::uint16_t> used_ports_;
    std::vector<TimePoint> sent_at_;
    std::size_t most_sockets_ = 0;
    std::uint64_t background_ = 0;
    std::optional<Duration> first_at_;
    std::optional<Duration> complete_at_;
    std::optional<Duration> lifetime_at_;
    net::NetReport first_report_;
    std::optional<Netcheck> netcheck_;
};

}  // namespace pinhole::netcheck::testing
