#include "peer/cli/netcheck_command.hpp"

#include "common/base/limits.hpp"
#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "common/io/connect.hpp"
#include "common/io/interfaces.hpp"
#include "peer/session/errors.hpp"
#include "peer/shell/candidates.hpp"
#include "peer/shell/net_reporter.hpp"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <limits>

#include <fmt/format.h>

namespace pinhole::cli {

namespace asio = boost::asio;

namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds{500};
/// The server takes ten reports a minute, and a network may come and go more often while somebody watches.
constexpr Duration kReportInterval = 10s;

bool answered(const net::NetReport& report) {
    return report.udp.open.value_or(false) || report.tcp.open.value_or(false) || report.ipv6.value_or(false);
}

}  // namespace

std::optional<std::chrono::seconds> parse_lifetime(const std::string& text) {
    std::int64_t number = 0;
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit{rest, end};
    if (error != std::errc{} || number < 0 || number > kMaxLifetime.count() ||
        (unit != "" && unit != "s" && unit != "min")) {
        return std::nullopt;
    }
    const std::chrono::seconds duration{unit == "min" ? 60 * number : number};
    return duration >= kMinLifetime && duration <= kMaxLifetime ? std::optional{duration} : std::nullopt;
}

NetcheckCommand::NetcheckCommand(Environment& environment, NetcheckOptions options)
    : environment_(environment),
      output_(environment.output()),
      options_(std::move(options)),
      cache_(environment),
      signals_(io_, SIGINT, SIGTERM),
      server_timer_(io_),
      progress_timer_(io_),
      report_timer_(io_) {}

Exit NetcheckCommand::execute() {
    if (const auto failure = prepare()) {
        output_.fail(*failure);
        return failure->exit;
    }
    await_signal();
    if (options_.watch) {
        watch_.emplace(io_.get_executor(), [this] { handle_network_changed(); });
        if (const auto status = watch_->start(); !status) {
            output_.fail({Exit::failure, "network", "cannot watch the network: " + status.error().message(), ""});
            return Exit::failure;
        }
    }
    if (options_.stun) {
        io::spawn(io_.get_executor(), "STUN server", resolve_stun_server());
    } else {
        connect();
    }
    show_progress();
    io_.run();
    output_.clear_progress();
    return exit_.value_or(Exit::failure);
}

std::optional<Failure> NetcheckCommand::prepare() {
    if (environment_.options().bind) {
        bind_ = net::Address::parse(*environment_.options().bind);
        const auto own = io::local_addresses(/*include_loopback=*/true);
        if (!options_.watch && std::ranges::find(own, *bind_) == own.end()) {
            return Failure{Exit::failure, "network", "no interface of this machine has the address " + bind_->text(),
                           "check the address given with --bind"};
        }
    }
    if (options_.stun) {
        server_.host = *net::parse_host_port(*options_.stun, limits::kServerPort);
        return std::nullopt;
    }
    auto server = environment_.server();
    if (!server) {
        return Failure{Exit::usage, "no-server", server.error().detail,
                       "or measure against any STUN server with --stun HOST[:PORT]"};
    }
    server_ = *std::move(server);
    return std::nullopt;
}

void NetcheckCommand::await_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int) {
        if (!error) {
            finish(Exit::interrupted);
        }
    });
}

void NetcheckCommand::connect() {
    relays_ = std::make_shared<shell::Relays>(io_.get_executor(), bind_, rng_);
    connection_ = std::make_shared<shell::ServerConnection>(
        io_, server_.host,
        session::SignalingClient::Config{.identity = &environment_.identity(),
                                         .pinned = server_.key,
                                         .agent = std::string{"pinhole/"} + PINHOLE_VERSION},
        rng_);
    connection_->start({.resolved = [this](const auto& endpoints) { handle_resolved(endpoints); },
                        .event = [this](const auto& event) { handle_server_event(event); },
                        .timers_changed = [this] { arm_server_timer(); }});
}

void NetcheckCommand::arm_server_timer() {
    const auto next = connection_->next_timeout();
    server_timer_.cancel();
    if (!next || exit_) {
        return;
    }
    server_timer_.expires_at(io::to_steady(*next));
    server_timer_.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled && !exit_) {
            connection_->handle_timeout(io::now());
        }
    });
}

asio::awaitable<void> NetcheckCommand::resolve_stun_server() {
    const auto endpoints = co_await io::resolve(io_.get_executor(), server_.host.host, server_.host.port);
    if (exit_) {
        co_return;
    }
    if (!endpoints) {
        fail({Exit::server_unreachable, "server-unreachable",
              "cannot find the STUN server " + endpoints.error().message(), "check the name given with --stun"});
        co_return;
    }
    handle_resolved(*endpoints);
}

void NetcheckCommand::handle_resolved(const std::vector<net::Endpoint>& endpoints) {
    const bool first = endpoints_.empty();
    endpoints_ = endpoints;
    if (relays_) {
        relays_->handle_servers(endpoints);
    }
    if (watch_) {
        watch_->set_destinations({endpoints.front().address});
    }
    if (first) {
        measure();
    }
}

void NetcheckCommand::handle_server_event(const session::SignalingClient::Event& event) {
    if (const auto* online = std::get_if<session::SignalingClient::Online>(&event)) {
        online_ = *online;
        if (!std::exchange(remembered_, true)) {
            environment_.remember_server(server_, online->server_key);
        }
        send_report();
    } else if (const auto* message = std::get_if<signaling::ToPeer>(&event)) {
        if (const auto* list = std::get_if<signaling::Relays>(message)) {
            relays_->handle_list(*list);
        }
    } else if (const auto* lost = std::get_if<session::SignalingClient::Lost>(&event)) {
        online_.reset();
        log::info("server connection lost: {}", lost->error.message());
        const bool wrong_key = lost->error.code == session::make_error_code(session::Errc::server_key_changed);
        // Without an address there is nobody to measure against; otherwise UDP may still get through.
        if (wrong_key || (endpoints_.empty() && !options_.watch)) {
            fail(explain(lost->error, {}));
        }
    }
}

void NetcheckCommand::handle_network_changed() {
    if (exit_) {
        return;
    }
    output_.note("the network has changed");
    if (connection_) {
        connection_->handle_network_changed(io::local_addresses(/*include_loopback=*/true), io::now());
    }
    if (!endpoints_.empty()) {
        measure();
    }
}

void NetcheckCommand::measure() {
    report_.reset();
    report_complete_ = false;
    round_began_ = std::chrono::steady_clock::now();
    std::optional<std::uint16_t> second_port;
    if (online_) {
        second_port = online_->second_stun_port;
    } else if (!options_.stun && server_.host.port < std::numeric_limits<std::uint16_t>::max()) {
        // Until the server has said so at the login: its second port is the one above.
        second_port = static_cast<std::uint16_t>(server_.host.port + 1);
    }
    shell::NetcheckDriver::Config config;
    config.check.servers = shell::stun_servers(endpoints_, second_port, bind_);
    config.check.tcp = options_.tcp;
    config.check.lifetime = options_.lifetime.value_or(std::chrono::seconds{0});
    config.bind = bind_;
    config.check.local = shell::usable_addresses(io::local_addresses(/*include_loopback=*/true),
                                                 endpoints_.front().address, config.bind);
    driver_ = std::make_unique<shell::NetcheckDriver>(io_.get_executor(), std::move(config), rng_,
                                                      [this](const netcheck::Event& event) { handle_event(event); });
    driver_->start();
}

void NetcheckCommand::handle_event(const netcheck::Event& event) {
    report_ = driver_->report();
    const bool lifetime_pending = options_.lifetime && !std::holds_alternative<netcheck::LifetimeKnown>(event);
    if (std::holds_alternative<netcheck::FirstReport>(event)) {
        show(false);
        return;
    }
    report_complete_ = true;
    send_report();
    if (!answered(*report_) && !online_ && !options_.watch) {
        fail({Exit::server_unreachable, "server-unreachable",
              fmt::format("no answer from {}, neither over UDP nor over TCP", server_.text()),
              "check that this machine is online, and the address given"});
        return;
    }
    show(!lifetime_pending);
    if (!lifetime_pending) {
        round_over();
    }
}

void NetcheckCommand::show(bool complete) {
    Measured measured{
        .server = server_.text(),
        .rendezvous = !options_.stun,
        .complete = complete,
        .elapsed_ms = environment_.elapsed_ms(),
        .server_has_ipv6 = std::ranges::any_of(endpoints_, [](const auto& one) { return !one.address.is_v4(); })};
    for (const auto& relay : relays_ ? relays_->measured() : std::vector<shell::Relays::Measured>{}) {
        measured.relays.push_back({.url = relay.url, .rtt = relay.rtt, .refused = relay.refused});
    }
    output_.event("netcheck", to_json(*report_, measured));
    if (complete) {
        for (const auto& line : screen(*report_, measured, Output::columns())) {
            output_.say(line);
        }
    } else if (!report_complete_) {
        output_.say(first_answer(*report_, measured));
        output_.say("");
    }
}

void NetcheckCommand::show_progress() {
    if (exit_ || !output_.shows_progress()) {
        return;
    }
    if (driver_ && !report_complete_) {
        output_.progress("measuring ...");
    } else if (driver_) {
        const auto elapsed = std::chrono::steady_clock::now() - round_began_;
        output_.progress(fmt::format("measuring how long mappings live: {} of at most {}",
                                     human_duration(seconds(elapsed)),
                                     human_duration(seconds(options_.lifetime.value_or(std::chrono::seconds{0})))));
    }
    progress_timer_.expires_after(kProgressInterval);
    progress_timer_.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled) {
            show_progress();
        }
    });
}

void NetcheckCommand::send_report() {
    if (!report_complete_ || !online_) {
        return;
    }
    const auto now = io::now();
    if (reported_at_ && now - *reported_at_ < kReportInterval) {
        report_timer_.expires_at(io::to_steady(*reported_at_ + kReportInterval));
        report_timer_.async_wait([this](const boost::system::error_code& cancelled) {
            if (!cancelled && !exit_) {
                send_report();
            }
        });
        return;
    }
    report_timer_.cancel();
    reported_at_ = now;
    connection_->send(signaling::Report{*report_});
    // What other commands are to rely on is whole.
    if (!options_.tcp || report_->udp.open != true) {
        return;
    }
    cache_.store({.server = server_.text(),
                  .network = shell::network_name(endpoints_),
                  .public_address = online_->observed.address.text()},
                 *report_);
}

void NetcheckCommand::round_over() {
    driver_.reset();
    if (options_.watch) {
        output_.clear_progress();
        output_.note("watching for changes of the network; Ctrl-C ends");
    } else {
        finish(Exit::done);
    }
}

void NetcheckCommand::finish(Exit exit) {
    if (exit_) {
        return;
    }
    exit_ = exit;
    driver_.reset();
    if (connection_) {
        connection_->stop();
    }
    if (relays_) {
        relays_->stop();
    }
    io_.stop();
}

void NetcheckCommand::fail(const Failure& failure) {
    if (!exit_) {
        output_.fail(failure);
        finish(failure.exit);
    }
}

}  // namespace pinhole::cli
