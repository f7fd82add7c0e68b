// Drives the core with TCP connections and a timer: bytes in, bytes out, closes. Decides nothing. Single-threaded.
#pragma once

#include "common/base/log.hpp"
#include "rendezvous/core/server.hpp"
#include "rendezvous/shell/history_store.hpp"
#include "rendezvous/shell/tcp_link.hpp"

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace pinhole::rendezvous {

class Hub {
  public:
    /// A client that reads nothing for so long loses its connection, and what was queued for it.
    static constexpr Duration kWriteStall = 10s;

    Hub(io::asio::any_io_executor executor, crypto::KeyPair keys, Rng& rng, Duration write_stall = kWriteStall);

    /// Runs the core's timers until `stop`.
    void start();
    void stop();
    /// Reads what earlier runs have learnt, and keeps what this one learns. `store` outlives the hub.
    void keep_history(HistoryStore& store);

    /// Before the first connection: what every peer is told of relays.
    void offer_relays(Server::RelayList list, Duration renewal) { server_.offer_relays(std::move(list), renewal); }

    /// Carries one connection from its first byte to its end; the peer is told of the other port.
    [[nodiscard]] io::asio::awaitable<void> serve(std::shared_ptr<TcpLink> link,
                                                  std::optional<std::uint16_t> second_stun_port);

    [[nodiscard]] Stats stats() const { return server_.stats(); }

  private:
    [[nodiscard]] io::asio::awaitable<void> run_timers();
    [[nodiscard]] io::asio::awaitable<void> write(ConnectionId id, std::shared_ptr<TcpLink> link, Bytes bytes);
    /// After every input to the core.
    void drain();
    void log_close(const Server::Close& close, const TcpLink& link);
    void log_report(ConnectionId id);

    io::asio::any_io_executor executor_;
    Server server_;
    HistoryStore* history_ = nullptr;
    Duration write_stall_;
    std::map<ConnectionId, std::shared_ptr<TcpLink>> links_;
    io::asio::steady_timer timer_;
    bool stopping_ = false;
    /// Shared: bytes go from here into the core at once, so that an idle connection costs no buffer.
    std::array<std::uint8_t, 16 * 1024> buffer_{};
    log::RateLimit misbehaviour_{10s};
    log::RateLimit reports_{1s};
};

}  // namespace pinhole::rendezvous
