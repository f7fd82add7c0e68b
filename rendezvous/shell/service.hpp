// The whole server on one thread: listeners, dispatch by the first byte, STUN, the relay, signaling, signals.
#pragma once

#include "common/base/error.hpp"
#include "rendezvous/core/admission.hpp"
#include "rendezvous/core/stun_service.hpp"
#include "rendezvous/shell/hub.hpp"
#include "rendezvous/shell/listener.hpp"
#include "rendezvous/shell/relay_offers.hpp"
#include "rendezvous/shell/relay_service.hpp"
#include "rendezvous/shell/tls.hpp"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace pinhole::rendezvous {

class Service {
  public:
    struct Options {
        RelayOptions relay{};
        /// Relays besides this one, each with the secret that it knows.
        std::vector<RelayOffer> others{};
        /// Without it nothing is served over TLS.
        std::optional<Tls> tls{};
    };

    /// `rng` outlives the service.
    Service(crypto::KeyPair keys, Rng& rng, Options options);

    /// Before `run`. `store` outlives the service.
    void keep_history(HistoryStore& store) { hub_.keep_history(store); }

    /// Opens a place's primary endpoint and, with an alternate address, the three others of RFC 5780.
    [[nodiscard]] Status listen(const Place& place);
    /// After all places: a second UDP port for STUN where an address has one only, so that a peer can see whether its
    /// mapping depends on the port. A port that is taken is no failure.
    void open_second_ports();
    /// Where, with real ports; primary endpoints come first.
    [[nodiscard]] std::vector<net::Endpoint> listening() const;
    /// Until SIGINT or SIGTERM.
    void run();

  private:
    void stop();
    [[nodiscard]] io::asio::awaitable<void> watch_signals();
    [[nodiscard]] io::asio::awaitable<void> accept(Listener& listener);
    [[nodiscard]] io::asio::awaitable<void> receive(Listener& listener);
    [[nodiscard]] io::asio::awaitable<void> serve(std::shared_ptr<TcpLink> link, std::optional<std::uint16_t> second);
    [[nodiscard]] io::asio::awaitable<void> dispatch(std::shared_ptr<TcpLink> link,
                                                     std::optional<std::uint16_t> second);
    /// What the connection speaks, from its first byte; nothing if it does not say in time.
    [[nodiscard]] io::asio::awaitable<std::optional<std::uint8_t>> first_byte(std::shared_ptr<TcpLink> link);
    void handle_datagram(Listener& listener, const net::Received& datagram);
    void answer(Listener& listener, const net::Received& datagram);
    void offer_relays();
    /// Another UDP port on the address that this one is bound to.
    [[nodiscard]] std::optional<std::uint16_t> second_port_of(const net::Endpoint& bound) const;

    io::asio::io_context io_{1};
    /// Connections that have not said what they are.
    Admission guests_;
    Options options_;
    std::string relay_secret_;
    Hub hub_;
    StunService stun_;
    RelayService relay_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::size_t primary_ = 0;  ///< so many of them, in front, are primary
    std::set<std::shared_ptr<TcpLink>> links_;
    io::asio::signal_set signals_;
    bool stopping_ = false;
    log::RateLimit accept_failures_{10s};
};

}  // namespace pinhole::rendezvous
