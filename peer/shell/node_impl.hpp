// Node's inside: what its files share. node.cpp moves datagrams, time and what the machine says; node_calls.cpp makes
// calls and takes them; node_relays.cpp is where its relays meet its sessions.
#pragma once

#include "common/io/clock.hpp"
#include "common/io/network_watch.hpp"
#include "peer/shell/awaited_calls.hpp"
#include "peer/shell/gathering.hpp"
#include "peer/shell/held_calls.hpp"
#include "peer/shell/net_reporter.hpp"
#include "peer/shell/node.hpp"
#include "peer/shell/relays.hpp"
#include "peer/shell/server_connection.hpp"
#include "peer/shell/socket_set.hpp"
#include "peer/shell/tcp_paths.hpp"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>

namespace pinhole::shell {

/// One full UDP GSO send.
inline constexpr std::size_t kSendBuffer = 64 * 1024;

using SocketPlace = std::pair<net::Family, std::uint16_t>;

inline SocketPlace place_of(const net::Endpoint& local) {
    return {local.address.family(), local.port};
}

class Node::Impl : public std::enable_shared_from_this<Impl> {
  public:
    Impl(boost::asio::io_context& io, NodeConfig config, NodeHandler& handler)
        : io_(io),
          config_(std::move(config)),
          handler_(handler),
          timer_(io),
          sockets_(std::make_shared<SocketSet>(io.get_executor())),
          tcp_(std::make_shared<TcpPaths>(io.get_executor())),
          gathering_(rng_, *sockets_, *tcp_, config_.bind),
          send_buffer_(kSendBuffer) {}

    Status start();
    SessionId call(const crypto::PeerId& peer, std::uint8_t services, CallOptions options);
    void close(SessionId id, session::Goodbye goodbye);
    void stop();
    void kick(SessionId id);

    [[nodiscard]] session::Session* find(SessionId id) {
        const auto found = sessions_.find(id);
        return found == sessions_.end() ? nullptr : found->second.get();
    }

    [[nodiscard]] bool online() const { return server_ && server_->online(); }

  private:
    void start_tcp();
    void handle_datagram(const net::Received& datagram);
    void handle_stun(const net::Received& datagram, TimePoint now);
    void handle_path_failed(const net::PathAddresses& path);
    void start_reporter();
    void start_relays();
    void handle_relayed(const net::Received& datagram);
    void handle_relays_settled();
    void permit_at_relay(const signaling::ToPeer& message);
    void want_relay();
    [[nodiscard]] std::vector<net::Candidate> candidates() const;
    [[nodiscard]] bool candidates_complete() const;
    /// How packets of this path leave the machine, which a session does not know.
    void note_transport(session::Event& event) const;
    void handle_resolved(const std::vector<net::Endpoint>& endpoints);
    void handle_reported(const net::NetReport& report);
    void redial(SessionId id);
    void renew_sockets();
    void place(SessionId id);
    void answer_held(bool all);
    void take(const signaling::Incoming& incoming);
    void resume(const signaling::Incoming& incoming, session::IncomingCall read);
    void restart(session::Session& session);
    void tell_sessions_of_server(bool online);
    void await_again(SessionId id);
    void end_awaited(SessionId id, Error error);
    void handle_network_changed();
    void notice_sleep();
    void handle_server_event(const session::SignalingClient::Event& event);
    void handle_message(const signaling::ToPeer& message);
    void drain_gathering();
    void add(SessionId id, std::unique_ptr<session::Session> session);
    void remove(SessionId id);
    void drain(SessionId id);
    bool tell_events(SessionId id, session::Session& session);
    void serve_socket_requests(SessionId id, session::Session& session);
    void close_sockets(SessionId id);
    void send_packets(SessionId id, session::Session& session);
    void send_stun(const net::Transmit& transmit, session::Session& session);
    void send(const net::PathAddresses& path, ByteView payload, std::size_t segment, net::Ecn ecn,
              session::Session* session);
    void pump();
    void rearm();
    [[nodiscard]] std::optional<TimePoint> next_receive();
    void handle_timer();
    [[nodiscard]] session::SessionConfig session_config(const crypto::PeerId& remote, std::uint8_t services);

    boost::asio::io_context& io_;
    NodeConfig config_;
    NodeHandler& handler_;
    crypto::SystemRng rng_;
    boost::asio::steady_timer timer_;
    std::optional<TimePoint> armed_;
    std::optional<net::Endpoint> stun_;  ///< the server's, IPv4
    std::shared_ptr<ServerConnection> server_;
    std::shared_ptr<NetReporter> reporter_;
    std::optional<io::NetworkWatch> watch_;
    std::shared_ptr<SocketSet> sockets_;
    std::shared_ptr<TcpPaths> tcp_;
    Gathering gathering_;
    std::shared_ptr<Relays> relays_;
    session::ReplayGuard replay_guard_;
    punch::ProbeBudget probe_budget_;
    std::map<SessionId, std::unique_ptr<session::Session>> sessions_;
    std::map<std::uint64_t, SessionId> by_connection_;
    std::map<SocketPlace, SessionId> socket_owners_;  ///< of sockets that sessions asked for
    std::map<SessionId, std::set<SocketPlace>> sockets_of_;
    std::set<SessionId> dirty_;
    HeldCalls held_;
    AwaitedCalls awaited_;
    std::set<SessionId> answering_;  ///< sessions whose calls we answered and that are not connected yet
    std::set<SessionId> unplaced_;   ///< calls that wait for the addresses of new sockets
    std::set<SessionId> blind_;      ///< calls that went out before the server knew of our NAT
    Duration suspended_ = io::time_suspended();
    std::uint64_t last_session_ = 0;
    bool pumping_ = false;
    bool stopped_ = false;
    Bytes send_buffer_;
};

}  // namespace pinhole::shell
