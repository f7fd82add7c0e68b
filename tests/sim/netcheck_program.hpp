// `pinhole netcheck` in the simulator: the real core with the sockets of one host.
#pragma once

#include "peer/netcheck/netcheck.hpp"
#include "tests/sim/world.hpp"

#include <functional>
#include <map>
#include <optional>

namespace pinhole::sim {

class NetcheckProgram final : public Program {
  public:
    /// Starts at once. Of `config` the local addresses are filled in.
    NetcheckProgram(World& world, std::string_view host, netcheck::Config config);

    [[nodiscard]] const net::NetReport& report() const { return core_.report(); }

    [[nodiscard]] std::optional<Duration> first_after() const { return first_; }

    [[nodiscard]] std::optional<Duration> complete_after() const { return complete_; }

    [[nodiscard]] std::optional<Duration> lifetime_after() const { return lifetime_; }

    /// As it was when the first report was announced.
    [[nodiscard]] const std::optional<net::NetReport>& first_report() const { return first_report_; }

    /// Sockets open now.
    [[nodiscard]] std::size_t sockets() const { return udp_.size() + tcp_.size(); }

    [[nodiscard]] std::size_t most_sockets() const { return most_sockets_; }

    /// Told of each event, after it has been noted.
    std::function<void(const netcheck::Event&)> on_event;

    [[nodiscard]] std::optional<TimePoint> next_timeout() const override { return core_.next_timeout(); }

    void handle_timeout(TimePoint now) override;

  private:
    void drain();
    void open(const netcheck::OpenUdp& action);
    void open(const netcheck::OpenTcp& action);
    void send(const netcheck::Send& action);
    void close(netcheck::SocketId socket);
    void note(const netcheck::Event& event);

    World& world_;
    Host& host_;
    SeededRng rng_;
    TimePoint started_;
    netcheck::Netcheck core_;
    std::map<netcheck::SocketId, net::Endpoint> udp_;
    std::map<netcheck::SocketId, TcpId> tcp_;
    std::map<netcheck::SocketId, std::uint16_t> tcp_ports_;
    std::optional<Duration> first_;
    std::optional<Duration> complete_;
    std::optional<Duration> lifetime_;
    std::optional<net::NetReport> first_report_;
    std::size_t most_sockets_ = 0;
    bool draining_ = false;
};

}  // namespace pinhole::sim
