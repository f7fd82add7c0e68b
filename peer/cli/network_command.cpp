#include "peer/cli/network_command.hpp"

#include "common/base/encoding.hpp"
#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "peer/files/errors.hpp"
#include "peer/session/errors.hpp"

#include <chrono>
#include <csignal>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

namespace pinhole::cli {

namespace asio = boost::asio;

namespace {

/// How long the end may take: the goodbye is repeated for 3 PTO, which is less than this on any usable path.
constexpr auto kEndPatience = std::chrono::seconds{3};
/// How long a last word may take behind what the transport has taken already: 8 MB at 8 Mbit/s.
constexpr auto kLastWordPatience = std::chrono::seconds{8};
constexpr auto kPing = static_cast<std::uint8_t>(session::Service::ping);
/// Contacts that measure round trips to here at once.
constexpr std::size_t kMaxPingedBy = 8;
constexpr std::size_t kReadChunk = 256 * 1024;

double milliseconds(Duration duration) {
    return static_cast<double>(duration.count()) / 1e6;
}

}  // namespace

NetworkCommand::NetworkCommand(Environment& environment, std::uint8_t services)
    : environment_(environment),
      output_(environment.output()),
      report_cache_(environment),
      services_(services),
      signals_(io_, SIGINT, SIGTERM),
      end_timer_(io_),
      retry_timer_(io_) {}

Exit NetworkCommand::run() {
    auto server = environment_.server();
    if (!server) {
        output_.fail({Exit::usage, "no-server", server.error().detail, ""});
        return Exit::usage;
    }
    server_ = *std::move(server);
    shell::NodeConfig config;
    config.identity = &environment_.identity();
    config.server = server_.host;
    config.pinned_server_key = server_.key;
    config.services = static_cast<std::uint8_t>(services_ | kPing);
    config.report_cache = &report_cache_;
    config.without = environment_.options().without;
    config.congestion = environment_.options().congestion;
    if (environment_.options().bind) {
        config.bind = net::Address::parse(*environment_.options().bind);
    }
    node_.emplace(io_, std::move(config), *this);
    await_signal();
    if (const auto status = node_->start(); !status) {
        output_.fail({Exit::failure, "network", "cannot open a UDP socket: " + status.error().message(), ""});
        return Exit::failure;
    }
    io_.run();
    node_->stop();
    output_.clear_progress();
    return exit_.value_or(Exit::failure);
}

void NetworkCommand::await_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int) {
        if (error) {
            return;
        }
        if (interrupted_) {
            exit_ = Exit::interrupted;
            io_.stop();  // asked twice: at once
            return;
        }
        interrupted_ = true;
        await_signal();
        end_after_patience(Exit::interrupted, kEndPatience);
        interrupt();
    });
}

void NetworkCommand::on_online(const session::SignalingClient::Online& online, std::optional<net::Endpoint> reflexive) {
    const auto seen = reflexive.value_or(online.observed);
    output_.event(
        "online",
        {{"id", environment_.identity().id().text()}, {"server", server_.text()}, {"reflexive", seen.text()}});
    if (was_online_) {
        output_.note("connected to the rendezvous server again");
        retry();
        return;
    }
    was_online_ = true;
    environment_.remember_server(server_, online.server_key);
    ready();
}

void NetworkCommand::on_server_lost(const Error& error, bool was_online) {
    if (finishing()) {
        return;
    }
    if (!was_online_ || error.code == session::make_error_code(session::Errc::server_key_changed)) {
        fail(error, {});
    } else if (was_online) {
        server_lost(error);
    }
}

void NetworkCommand::server_lost(const Error& error) {
    log::info("server connection lost: {}", error.message());
    output_.note("lost the rendezvous server; trying again");
}

bool NetworkCommand::knows(const crypto::PeerId& caller) {
    const auto contact = environment_.database().contacts().find(caller);
    const bool known = contact && *contact;
    if (!known && stranger_notes_.pass(io::now())) {
        output_.note("refused a call from a stranger; if you know this ID: pinhole contacts add NAME " + caller.text());
    }
    return known;
}

std::expected<peer_store::Contact, Exit> NetworkCommand::find_contact(const std::string& name) {
    auto contact = environment_.contact(name);
    if (!contact) {
        const auto failure = explain(contact.error(), {});
        output_.fail(failure);
        return std::unexpected(failure.exit);
    }
    return *std::move(contact);
}

shell::SessionId NetworkCommand::call(const peer_store::Contact& contact, shell::CallOptions options) {
    output_.event("connecting", {{"peer", contact.id.text()}, {"name", contact.name}});
    const auto id = node_->call(contact.id, services_, options);
    sessions_.emplace(id, contact.id);
    return id;
}

bool NetworkCommand::may_try_again(const Error& error) const {
    using enum session::Errc;
    const auto is = [&](session::Errc code) { return error.code == session::make_error_code(code); };
    return is(no_path) || (retries_.waiting() && (is(peer_offline) || is(peer_unwanting) || is(no_answer)));
}

void NetworkCommand::wait_for_path(const peer_store::Contact& contact, const Error& error,
                                   session::RetryPolicy::Role role) {
    const auto now = io::now();
    retries_.handle_failed(role, now);
    const auto failure = explain(error, contact.name);
    Json in_s;
    std::string when = "waiting for another network, or for a call";
    if (const auto due = retries_.next_timeout()) {
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::max(*due - now, Duration{})).count();
        in_s = seconds;
        when = seconds < 60 ? "trying once more"
                            : fmt::format("trying again in {} min, and whenever this network changes", seconds / 60);
    }
    output_.event("retry", {{"peer", contact.id.text()},
                            {"name", contact.name},
                            {"code", failure.code},
                            {"message", failure.message},
                            {"in_s", in_s}});
    output_.note(failure.message + "; " + when);
    await_retry();
}

void NetworkCommand::await_retry() {
    retry_timer_.cancel();
    if (const auto due = retries_.next_timeout()) {
        retry_timer_.expires_at(io::to_steady(*due));
        retry_timer_.async_wait([this](const boost::system::error_code& cancelled) {
            if (!cancelled) {
                retry();
            }
        });
    }
}

// Without the server nobody can be called: on_online comes back here.
void NetworkCommand::retry() {
    if (finishing() || !node_->online()) {
        return;
    }
    if (const auto attempt = retries_.poll_attempt(io::now())) {
        try_again({.fresh_port = attempt->fresh_port, .other_side_first = attempt->other_side_first});
    }
}

void NetworkCommand::on_network_changed() {
    retries_.handle_network_changed(io::now());
    await_retry();
}

shell::CallDecision NetworkCommand::on_call(const crypto::PeerId& from, std::uint8_t services) {
    answering_ping_ = services == kPing;
    if (!answering_ping_) {
        return incoming_call(from, static_cast<std::uint8_t>(services & ~kPing));
    }
    if (!answers_pings() || finishing() || pinged_by_.size() >= kMaxPingedBy) {
        return shell::CallDecision::not_here;
    }
    return knows(from) ? shell::CallDecision::take : shell::CallDecision::refuse;
}

void NetworkCommand::on_answering(shell::SessionId id, const crypto::PeerId& from) {
    sessions_.emplace(id, from);
    if (std::exchange(answering_ping_, false)) {
        pinged_by_.insert(id);
        return;
    }
    output_.event("connecting", {{"peer", from.text()}, {"name", environment_.name_of(from)}});
}

void NetworkCommand::on_pinged(shell::SessionId id, const session::Event& event) {
    if (const auto* stream = std::get_if<transport::Event>(&event)) {
        if (std::holds_alternative<transport::Opened>(*stream)) {
            node_->close(id);  // nothing was agreed that needs one
        }
    } else if (std::holds_alternative<session::Ended>(event)) {
        pinged_by_.erase(id);
        sessions_.erase(id);
        stop_when_closed();
    }
}

void NetworkCommand::on_session(shell::SessionId id, const session::Event& event) {
    if (pinged_by_.contains(id)) {
        on_pinged(id, event);
        return;
    }
    if (const auto* planned = std::get_if<session::Planned>(&event)) {
        output_.event("plan", {{"topology", planned->topology}, {"steps", planned->steps}});
    } else if (const auto* path = std::get_if<session::PathInUse>(&event)) {
        report_path(id, *path);
        path_in_use(id, *path);
    } else if (std::holds_alternative<session::Connected>(event)) {
        retries_.handle_over();
        await_retry();
        const auto& peer = peer_of(id);
        output_.event(
            "connected",
            {{"peer", peer.text()}, {"name", environment_.name_of(peer)}, {"elapsed_ms", environment_.elapsed_ms()}});
        connected(id);
    } else if (const auto* stream = std::get_if<transport::Event>(&event)) {
        stream_event(id, *stream);
    } else if (const auto* over = std::get_if<session::Ended>(&event)) {
        ended(id, over->error);
        sessions_.erase(id);
        stalled_.erase(id);
        stop_when_closed();
    }
}

void NetworkCommand::report_path(shell::SessionId id, const session::PathInUse& path) {
    if (path.stalled) {
        stalled_.insert(id);
        say_stalled(id, path.reason);
    } else if (stalled_.erase(id) > 0) {
        say_recovered(id, path.reason);
    }
    output_.event("path", {{"kind", kind_of(path)},
                           {"transport", transport_of(path)},
                           {"strategy", path.strategy},
                           {"local", path.addresses.local.text()},
                           {"remote", path.addresses.remote.text()},
                           {"rtt_ms", milliseconds(path.rtt)},
                           {"elapsed_ms", environment_.elapsed_ms()},
                           {"reason", path.reason}});
}

void NetworkCommand::say_stalled(shell::SessionId id, const std::string& trying) {
    const auto text = fmt::format("{}: stalled, {}", environment_.name_of(peer_of(id)), trying);
    if (output_.shows_progress()) {
        output_.progress(text.substr(0, Output::columns() - 1));
    } else {
        output_.note(text);
    }
}

/// Takes the place of the line that said that nothing is heard, which nothing else may replace for long.
void NetworkCommand::say_recovered(shell::SessionId id, const std::string& how) {
    output_.note(fmt::format("{}: goes on, {}", environment_.name_of(peer_of(id)), how));
}

void NetworkCommand::finish(Exit exit) {
    if (exit_) {
        return;
    }
    exit_ = exit;
    std::vector<shell::SessionId> open;
    open.reserve(sessions_.size());
    for (const auto& [id, peer] : sessions_) {
        open.push_back(id);
    }
    end_after_patience(exit, kEndPatience);
    asio::post(io_, [this, open] {
        for (const auto id : open) {
            node_->close(id, *exit_ == Exit::interrupted ? session::Goodbye::cancelled : session::Goodbye::done);
        }
        stop_when_closed();
    });
}

void NetworkCommand::end_after_patience(Exit exit, std::chrono::seconds patience) {
    end_timer_.expires_after(patience);
    end_timer_.async_wait([this, exit](const boost::system::error_code& cancelled) {
        if (cancelled) {
            return;
        }
        if (exit_) {
            io_.stop();
        } else {
            finish(concluding_.value_or(exit));
        }
    });
}

void NetworkCommand::conclude(Exit exit) {
    if (!concluding_ && !exit_) {
        concluding_ = exit;
        end_after_patience(exit, exit == Exit::interrupted ? kEndPatience : kLastWordPatience);
    }
}

void NetworkCommand::stop_when_closed() {
    if (finishing() && sessions_.empty()) {
        // Behind what is queued: the node finishes draining the session that has just ended.
        asio::post(io_, [this] { io_.stop(); });
    }
}

void NetworkCommand::fail(const Failure& failure) {
    if (!finishing()) {
        output_.fail(failure);
        finish(failure.exit);
    }
}

const char* kind_of(const session::PathInUse& path) {
    if (path.stalled) {
        return "stalled";
    }
    return path.strategy == "relay" ? "relay" : "direct";
}

std::string transport_of(const session::PathInUse& path) {
    return path.transport.empty() ? net::name(path.addresses.transport) : path.transport;
}

Error broken_off(const Error& error) {
    const bool cancelled = error.code == session::make_error_code(session::Errc::peer_cancelled);
    return {.code = files::make_error_code(cancelled ? files::Errc::cancelled_by_peer : files::Errc::peer_gone),
            .detail = error.message()};
}

Bytes read_some(transport::Connection& transport, transport::StreamId stream, std::size_t limit) {
    Bytes buffer(std::min(limit, kReadChunk));
    const auto count = transport.read(stream, buffer);
    buffer.resize(count.value_or(0));
    return buffer;
}

}  // namespace pinhole::cli
