#include "peer/cli/ping_command.hpp"

#include "common/io/clock.hpp"

#include <fmt/format.h>

namespace pinhole::cli {

namespace {

constexpr auto kPause = std::chrono::seconds{1};

}  // namespace

PingCommand::PingCommand(Environment& environment, PingOptions options)
    : NetworkCommand(environment, static_cast<std::uint8_t>(session::Service::ping)),
      options_(std::move(options)),
      pause_(io_) {}

Exit PingCommand::execute() {
    auto contact = find_contact(options_.to);
    if (!contact) {
        return contact.error();
    }
    contact_ = *std::move(contact);
    return run();
}

void PingCommand::ready() {
    output_.note(fmt::format("calling {} ...", contact_.name));
    session_ = call(contact_);
}

void PingCommand::connected(shell::SessionId) {
    ask();
}

void PingCommand::ask() {
    if (auto* transport = session_ ? node_->transport(*session_) : nullptr; transport != nullptr && !finishing()) {
        transport->ping(io::now());
        node_->kick(*session_);
    }
}

void PingCommand::path_in_use(shell::SessionId, const session::PathInUse& path) {
    const auto before = path_ ? describe(*path_) : std::string{};
    path_ = path;
    // An answer that comes in a stall comes over this path all the same.
    path_->stalled = false;
    const auto after = describe(*path_);
    if (!before.empty() && before != after) {
        output_.say(fmt::format("{}: moved from {} to {}: {}", contact_.name, before, after, path.reason));
    }
}

std::string PingCommand::describe(const session::PathInUse& path) {
    return fmt::format("{} {} {} {}", kind_of(path), transport_of(path), path.strategy, path.addresses.remote.text());
}

void PingCommand::stream_event(shell::SessionId, const transport::Event& event) {
    const auto* pong = std::get_if<transport::Pong>(&event);
    if (pong == nullptr || finishing()) {
        return;
    }
    report(pong->rtt);
    ++answered_;
    const bool direct = path_ && std::string_view{kind_of(*path_)} == "direct";
    if (options_.until_direct ? direct : answered_ >= options_.count) {
        finish(Exit::done);
        return;
    }
    pause_.expires_after(kPause);
    pause_.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled) {
            ask();
        }
    });
}

void PingCommand::report(Duration rtt) {
    const auto milliseconds = static_cast<double>(rtt.count()) / 1e6;
    const auto path = path_ ? describe(*path_) : std::string{"unknown"};
    output_.event("pong", {{"rtt_ms", milliseconds}, {"path", path}});
    output_.say(fmt::format("{}: {:.1f} ms, {}", contact_.name, milliseconds, path));
}

void PingCommand::ended(shell::SessionId, const Error& error) {
    session_.reset();
    if (options_.until_direct && !finishing() && may_try_again(error)) {
        wait_for_path(contact_, error, session::RetryPolicy::Role::caller);
    } else {
        fail(error, contact_.name);
    }
}

void PingCommand::try_again(shell::CallOptions options) {
    session_ = call(contact_, options);
}

void PingCommand::server_lost(const Error& error) {
    if (answered_ == 0 && !waiting_for_path()) {
        fail(error, {});
    }
}

shell::CallDecision PingCommand::incoming_call(const crypto::PeerId&, std::uint8_t) {
    return shell::CallDecision::not_here;
}

}  // namespace pinhole::cli
