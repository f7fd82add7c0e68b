// `pinhole netcheck`: measures the network this machine is in and says what it means for connecting. Measuring and the
// login at the rendezvous server go on side by side: neither waits for the other.
#pragma once

#include "common/io/network_watch.hpp"
#include "peer/cli/database_report_cache.hpp"
#include "peer/cli/environment.hpp"
#include "peer/cli/net_report_text.hpp"
#include "peer/shell/netcheck_driver.hpp"
#include "peer/shell/relays.hpp"
#include "peer/shell/server_connection.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::cli {

/// How long `--lifetime` measures without a DURATION: most NATs have forgotten a silent mapping by then.
inline constexpr std::chrono::seconds kDefaultLifetime{120};
/// Below and above nothing is measured: NATs forget after more than 10 s, and after 5 minutes it no longer matters.
inline constexpr std::chrono::seconds kMinLifetime{10};
inline constexpr std::chrono::seconds kMaxLifetime{300};

struct NetcheckOptions {
    std::optional<std::string> stun;                 ///< measure against this STUN server only
    std::optional<std::chrono::seconds> lifetime{};  ///< measure the life of idle mappings, up to this long
    bool tcp = true;
    bool watch = false;
};

/// "90", "90s", "2min"; kMinLifetime to kMaxLifetime.
[[nodiscard]] std::optional<std::chrono::seconds> parse_lifetime(const std::string& text);

class NetcheckCommand {
  public:
    NetcheckCommand(Environment& environment, NetcheckOptions options);

    [[nodiscard]] Exit execute();

  private:
    [[nodiscard]] std::optional<Failure> prepare();
    void connect();
    [[nodiscard]] boost::asio::awaitable<void> resolve_stun_server();
    void handle_resolved(const std::vector<net::Endpoint>& endpoints);
    void handle_server_event(const session::SignalingClient::Event& event);
    void handle_network_changed();
    void await_signal();
    void arm_server_timer();
    void measure();
    void handle_event(const netcheck::Event& event);
    void show(bool complete);
    void show_progress();
    void round_over();
    void send_report();
    void finish(Exit exit);
    void fail(const Failure& failure);

    Environment& environment_;
    Output& output_;
    NetcheckOptions options_;
    DatabaseReportCache cache_;
    crypto::SystemRng rng_;
    boost::asio::io_context io_;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer server_timer_;
    boost::asio::steady_timer progress_timer_;
    boost::asio::steady_timer report_timer_;  ///< until the next report may be sent
    ServerAddress server_;
    std::optional<net::Address> bind_;
    std::shared_ptr<shell::ServerConnection> connection_;
    std::optional<io::NetworkWatch> watch_;
    std::optional<session::SignalingClient::Online> online_;
    std::vector<net::Endpoint> endpoints_;
    std::shared_ptr<shell::Relays> relays_;
    std::unique_ptr<shell::NetcheckDriver> driver_;
    std::optional<net::NetReport> report_;
    bool report_complete_ = false;
    std::optional<TimePoint> reported_at_;
    std::chrono::steady_clock::time_point round_began_;
    bool remembered_ = false;
    std::optional<Exit> exit_;
};

}  // namespace pinhole::cli
