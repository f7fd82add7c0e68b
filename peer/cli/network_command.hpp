// What commands that talk to a peer share: the node, the first connection to the server, the events that every session
// reports, Ctrl-C, and an orderly end. A command overrides what it wants to know.
#pragma once

#include "common/base/log.hpp"
#include "peer/cli/database_report_cache.hpp"
#include "peer/cli/environment.hpp"
#include "peer/session/retry_policy.hpp"
#include "peer/shell/node.hpp"

#include <chrono>
#include <expected>
#include <map>
#include <optional>
#include <set>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::cli {

class NetworkCommand : public shell::NodeHandler {
  public:
    NetworkCommand(Environment& environment, std::uint8_t services);

    /// Runs until the command is done; the exit code.
    [[nodiscard]] Exit run();

  protected:
    /// The contact of that name or ID; without one the user is told, and the command ends with this code.
    [[nodiscard]] std::expected<peer_store::Contact, Exit> find_contact(const std::string& name);

    /// Logged in for the first time.
    virtual void ready() = 0;

    /// The first Ctrl-C: end what is under way, then finish(Exit::interrupted) at once or when it has ended.
    virtual void interrupt() { finish(Exit::interrupted); }

    /// Both sides heard each other.
    virtual void connected(shell::SessionId id) = 0;

    /// The path in use is another.
    virtual void path_in_use(shell::SessionId, const session::PathInUse&) {}

    virtual void stream_event(shell::SessionId id, const transport::Event& event) = 0;
    /// A session is over; the error has no code when this side closed it.
    virtual void ended(shell::SessionId id, const Error& error) = 0;
    /// Called while the server is away although we need it for nothing but new calls.
    virtual void server_lost(const Error& error);
    /// What to do with a call for the services of this command.
    virtual shell::CallDecision incoming_call(const crypto::PeerId& from, std::uint8_t services) = 0;

    /// Whether contacts may measure round trips to here; the command hears nothing of it.
    virtual bool answers_pings() const { return false; }

    /// Whether a caller is a contact; a stranger is mentioned, at most every ten seconds, so that the user can add it.
    [[nodiscard]] bool knows(const crypto::PeerId& caller);
    /// Calls a contact and reports `connecting`.
    shell::SessionId call(const peer_store::Contact& contact, shell::CallOptions options = {});

    /// For a command that stays: a call found no path, or a later one nobody; says so and calls try_again() when it is
    /// time, until a session is connected.
    void wait_for_path(const peer_store::Contact& contact, const Error& error, session::RetryPolicy::Role role);

    virtual void try_again(shell::CallOptions) {}

    /// Whether wait_for_path() is what such an end of a call wants, if the command stays.
    [[nodiscard]] bool may_try_again(const Error& error) const;

    [[nodiscard]] bool waiting_for_path() const { return retries_.waiting(); }

    /// Closes what is open, then ends run() with this code. The first call decides the code.
    void finish(Exit exit);
    void fail(const Failure& failure);
    /// The same, but leaves the sessions open until finish() is called, for some seconds at most: a last word is on its
    /// way.
    void conclude(Exit exit);

    [[nodiscard]] const std::optional<Exit>& concluding() const { return concluding_; }

    void fail(const Error& error, const std::string& peer) { fail(explain(error, peer)); }

    [[nodiscard]] bool finishing() const { return exit_.has_value(); }

    [[nodiscard]] const crypto::PeerId& peer_of(shell::SessionId id) const { return sessions_.at(id); }

    [[nodiscard]] bool live(shell::SessionId id) const { return sessions_.contains(id); }

    [[nodiscard]] std::size_t live_sessions() const { return sessions_.size(); }

    Environment& environment_;
    Output& output_;
    boost::asio::io_context io_;
    DatabaseReportCache report_cache_;
    std::optional<shell::Node> node_;
    bool interrupted_ = false;

  private:
    void on_online(const session::SignalingClient::Online& online, std::optional<net::Endpoint> reflexive) final;
    void on_server_lost(const Error& error, bool was_online) final;
    void on_network_changed() final;
    shell::CallDecision on_call(const crypto::PeerId& from, std::uint8_t services) final;
    void on_answering(shell::SessionId id, const crypto::PeerId& from) final;
    void on_pinged(shell::SessionId id, const session::Event& event);
    void on_session(shell::SessionId id, const session::Event& event) final;
    void report_path(shell::SessionId id, const session::PathInUse& path);
    void say_stalled(shell::SessionId id, const std::string& trying);
    void say_recovered(shell::SessionId id, const std::string& how);
    void await_signal();
    void await_retry();
    void retry();
    void stop_when_closed();
    void end_after_patience(Exit exit, std::chrono::seconds patience);

    std::uint8_t services_;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer end_timer_;
    ServerAddress server_;
    std::map<shell::SessionId, crypto::PeerId> sessions_;
    std::set<shell::SessionId> pinged_by_;  ///< of these, the sessions that are nothing but pings
    std::set<shell::SessionId> stalled_;    ///< and it was said
    bool answering_ping_ = false;           ///< the call that was just taken is one
    session::RetryPolicy retries_;
    boost::asio::steady_timer retry_timer_;
    bool was_online_ = false;
    std::optional<Exit> exit_;
    std::optional<Exit> concluding_;
    log::RateLimit stranger_notes_{10s};
};

/// The path event's kind: direct, relay or stalled.
[[nodiscard]] const char* kind_of(const session::PathInUse& path);
/// Of the contract: how this side's packets leave the machine.
[[nodiscard]] std::string transport_of(const session::PathInUse& path);

/// What the end of a session means for a transfer that was under way.
[[nodiscard]] Error broken_off(const Error& error);

/// Reads once from a stream, up to `limit` bytes; empty when there is nothing now.
[[nodiscard]] Bytes read_some(transport::Connection& transport, transport::StreamId stream, std::size_t limit);

}  // namespace pinhole::cli
