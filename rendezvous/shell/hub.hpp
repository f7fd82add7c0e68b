// Drives the core with TCP connections and a timer: bytes in, bytes out, closes. Decides nothing. Single-threaded.
#pragma once

#include "common/base/log.hpp"
#include "rendezvous/core/server.hpp"
#include "rendezvous/shell/tcp_link.hpp"

#include <array>
#include <map>
#include <memory>

namespace pinhole::rendezvous {

class Hub {
  public:
    Hub(io::asio::any_io_executor executor, crypto::KeyPair keys, Rng& rng);

    /// Runs the core's timers until `stop`.
    void start();
    void stop();
    /// Carries one connection from its first byte to its end.
    [[nodiscard]] io::asio::awaitable<void> serve(std::shared_ptr<TcpLink> link);

    [[nodiscard]] Stats stats() const { return server_.stats(); }

  private:
    [[nodiscard]] io::asio::awaitable<void> run_timers();
    [[nodiscard]] io::asio::awaitable<void> write(ConnectionId id, std::shared_ptr<TcpLink> link, Bytes bytes);
    /// After every input to the core.
    void drain();
    void report(const Server::Close& close, const TcpLink& link);

    io::asio::any_io_executor executor_;
    Server server_;
    std::map<ConnectionId, std::shared_ptr<TcpLink>> links_;
    io::asio::steady_timer timer_;
    bool stopping_ = false;
    /// Shared: bytes go from here into the core at once, so that an idle connection costs no buffer.
    std::array<std::uint8_t, 16 * 1024> buffer_{};
    log::RateLimit misbehaviour_{10s};
};

}  // namespace pinhole::rendezvous
