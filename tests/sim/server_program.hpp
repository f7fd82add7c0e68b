// pinhole-rendezvous in the simulator: the real cores of signaling and STUN on one host. Does what rendezvous/shell
// does: tells STUN from signaling by the first byte of a TCP connection, frames STUN over TCP (RFC 8489 §6.2.2).
#pragma once

#include "rendezvous/core/server.hpp"
#include "rendezvous/core/stun_service.hpp"
#include "tests/sim/world.hpp"

#include <map>

namespace pinhole::sim {

struct ServerOptions {
    std::uint16_t port = 3478;
    /// Of STUN on every address. With a second address of the host it makes an RFC 5780 server. 0: none.
    std::uint16_t second_port = 3479;
};

class ServerProgram final : public Program {
  public:
    ServerProgram(World& world, std::string_view host, const ServerOptions& options = {});

    [[nodiscard]] net::Endpoint endpoint() const;

    [[nodiscard]] const crypto::Key32& key() const { return key_; }

    [[nodiscard]] rendezvous::Server& core() { return core_; }

    [[nodiscard]] std::optional<TimePoint> next_timeout() const override { return core_.next_timeout(); }

    void handle_timeout(TimePoint now) override;

  private:
    enum class Speaks : std::uint8_t { unknown, stun, signaling };

    struct Link {
        Speaks speaks = Speaks::unknown;
        rendezvous::ConnectionId connection;
        net::Endpoint local;
        net::Endpoint remote;
        Bytes partial;
    };

    void open(std::uint16_t port);
    void add_sites();
    [[nodiscard]] std::optional<std::uint16_t> second_port() const;
    TcpHandler accept(TcpId id, const net::Endpoint& local, const net::Endpoint& remote);
    void handle_bytes(TcpId id, ByteView bytes);
    void handle_stun_bytes(TcpId id, Link& link, ByteView bytes);
    void handle_closed(TcpId id);
    void drain();

    World& world_;
    Host& host_;
    ServerOptions options_;
    SeededRng rng_;
    crypto::Key32 key_{};
    rendezvous::Server core_;
    rendezvous::StunService stun_;
    std::map<TcpId, Link> links_;
    std::map<rendezvous::ConnectionId, TcpId> by_connection_;
};

}  // namespace pinhole::sim
