// The whole server on one thread: listeners, dispatch by the first byte, STUN over UDP and TCP, signaling, signals.
#pragma once

#include "common/base/error.hpp"
#include "rendezvous/core/admission.hpp"
#include "rendezvous/core/stun_service.hpp"
#include "rendezvous/shell/hub.hpp"
#include "rendezvous/shell/listener.hpp"

#include <memory>
#include <set>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace pinhole::rendezvous {

class Service {
  public:
    /// `rng` outlives the service.
    Service(crypto::KeyPair keys, Rng& rng);

    [[nodiscard]] Status listen(const net::Endpoint& at);
    /// Where, with real ports.
    [[nodiscard]] std::vector<net::Endpoint> listening() const;
    /// Until SIGINT or SIGTERM.
    void run();

  private:
    void stop();
    [[nodiscard]] io::asio::awaitable<void> watch_signals();
    [[nodiscard]] io::asio::awaitable<void> accept(Listener& listener);
    [[nodiscard]] io::asio::awaitable<void> receive(Listener& listener);
    [[nodiscard]] io::asio::awaitable<void> serve(std::shared_ptr<TcpLink> link);
    [[nodiscard]] io::asio::awaitable<void> dispatch(std::shared_ptr<TcpLink> link);
    void answer(Listener& listener, const net::Received& datagram);

    io::asio::io_context io_{1};
    Hub hub_;
    StunService stun_;
    /// Connections that are not signaling, or not yet.
    Admission guests_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::set<std::shared_ptr<TcpLink>> links_;
    io::asio::signal_set signals_;
    bool stopping_ = false;
    log::RateLimit accept_failures_{10s};
};

}  // namespace pinhole::rendezvous
