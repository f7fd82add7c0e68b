// Keeps the server informed of where this peer stands: takes a fresh report from the cache or measures one in the
// background, once the peer is online and again when the network is another. Knows no session; Node tells it what
// happened and when calls go first.
//
// Timers: the first time it measures at once, whatever else goes on: without a report the server can plan nothing for a
// difficult NAT. Later kGrace after the last change, but kInterval after the measurement before at the earliest, and
// not while a call is being set up.
#pragma once

#include "common/signaling/messages.hpp"
#include "peer/session/signaling_client.hpp"
#include "peer/shell/netcheck_driver.hpp"
#include "peer/shell/report_cache.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::shell {

class NetReporter : public std::enable_shared_from_this<NetReporter> {
  public:
    /// Long enough for a short command to be through with its call, and soon enough for the next one.
    static constexpr Duration kGrace = 1500ms;
    /// Between the starts of two measurements, however often the network changes: each sends two reports, and the
    /// server takes ten a minute.
    static constexpr Duration kInterval = 15s;
    /// A NAT with several public addresses may show another one for each question: that is no reason to measure often.
    static constexpr Duration kReflexiveInterval = 60s;

    struct Config {
        std::string server;
        std::optional<net::Address> bind;
        ReportCache* cache = nullptr;  ///< outlives the reporter; may be null
    };

    struct Callbacks {
        std::function<void(const signaling::ToServer&)> send;
        std::function<bool()> busy;  ///< a call is being set up
        /// The server knows this of us now; again when more was measured.
        std::function<void(const net::NetReport&)> reported;
    };

    NetReporter(const boost::asio::any_io_executor& executor, Config config, Rng& rng, Callbacks callbacks);

    /// Logged in (again).
    void handle_online(const session::SignalingClient::Online& online);
    void handle_offline();
    /// Every attempt to connect resolves anew.
    void handle_servers(const std::vector<net::Endpoint>& servers);
    void handle_network_changed();
    /// Where STUN saw our socket: another address says that the network is another, even if nothing here changed.
    void handle_reflexive(const std::optional<net::Endpoint>& reflexive);
    /// Nothing follows.
    void stop();

    /// The server has been told where we stand, at least in part.
    [[nodiscard]] bool told() const { return sent_.has_value(); }

    /// It has not, but will be as soon as a measurement knows something.
    [[nodiscard]] bool about_to_tell() const { return !told() && driver_ != nullptr; }

    /// The smallest TTL that opens our own NATs, if it was measured here.
    [[nodiscard]] std::optional<std::uint8_t> opening_ttl() const;

  private:
    /// Sends what is known of this place; false if that is nothing.
    bool known();
    void wait();
    /// Tells Node, and the server unless it was told the same already.
    void tell(const net::NetReport& report);
    void measure();
    void handle_event(const netcheck::Event& event);
    void forget();
    [[nodiscard]] ReportKey key() const;
    [[nodiscard]] std::vector<net::Address> local_addresses() const;
    [[nodiscard]] std::optional<net::NetReport> cached(const ReportKey& place) const;

    boost::asio::any_io_executor executor_;
    Config config_;
    Rng& rng_;
    Callbacks callbacks_;
    boost::asio::steady_timer timer_;
    std::vector<net::Endpoint> servers_;
    std::optional<session::SignalingClient::Online> online_;
    std::optional<net::Address> reflexive_;
    ReportKey measured_for_;
    std::optional<TimePoint> measured_at_;
    std::optional<net::NetReport> report_;  ///< complete
    std::optional<net::NetReport> newest_;  ///< of this place; maybe not complete
    std::optional<net::NetReport> sent_;    ///< the last one over this connection
    std::unique_ptr<NetcheckDriver> driver_;
};

/// Gateway and interface on the way to a server, as text.
[[nodiscard]] std::string network_name(const std::vector<net::Endpoint>& servers);
/// The first server of each family that this machine can send to at all (from `bind`, if there is one), as netcheck
/// wants them; of every family if that is none, so that the report says what cannot be reached.
[[nodiscard]] std::vector<netcheck::StunServer> stun_servers(const std::vector<net::Endpoint>& endpoints,
                                                             std::optional<std::uint16_t> second_port,
                                                             const std::optional<net::Address>& bind);

}  // namespace pinhole::shell
