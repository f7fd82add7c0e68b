// The rendezvous server as a state machine: peers log in, call each other and are introduced. Knows bytes and time, but
// neither sockets nor STUN (stun_service.hpp). Driven by rendezvous/shell: after each input, poll_output and poll_close
// until empty, then next_timeout.
//
// A peer that sends garbage, too much, too slowly or nothing loses its own connection only.
#pragma once

#include "common/crypto/keys.hpp"
#include "rendezvous/core/admission.hpp"
#include "rendezvous/core/calls.hpp"
#include "rendezvous/core/client.hpp"
#include "rendezvous/core/deadlines.hpp"
#include "rendezvous/core/registry.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace pinhole::rendezvous {

struct Config {
    Admission::Config admission;
    Client::Config client;
    Calls::Config calls;
};

struct Stats {
    // present
    std::size_t connections = 0;
    std::size_t identities = 0;
    std::size_t calls = 0;
    // since the start
    std::uint64_t opened = 0;
    std::uint64_t turned_away = 0;  ///< by Admission
    std::uint64_t logins = 0;
    std::uint64_t closed = 0;  ///< by the server, for whatever reason
    std::uint64_t connects = 0;
    std::uint64_t introduced = 0;  ///< calls that were answered
};

class Server {
  public:
    struct Output {
        ConnectionId connection;
        Bytes bytes;
    };

    /// The connection is gone already: close its socket. The reason is for the log.
    struct Close {
        ConnectionId connection;
        std::string reason;
    };

    Server(crypto::KeyPair keys, const Config& config, Rng& rng);

    /// A connection that is too many comes out of `poll_close` at once.
    [[nodiscard]] ConnectionId open(const net::Endpoint& from, TimePoint now);
    void handle_bytes(ConnectionId connection, ByteView bytes, TimePoint now);
    void handle_closed(ConnectionId connection, TimePoint now);
    void handle_timeout(TimePoint now);

    /// Between these two nothing of this connection comes out of `poll_output`: its socket is busy. What gathers
    /// meanwhile is bounded by kMaxSignalingBacklog.
    void pause_output(ConnectionId connection);
    void resume_output(ConnectionId connection);

    [[nodiscard]] std::optional<Output> poll_output();
    [[nodiscard]] std::optional<Close> poll_close();
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    [[nodiscard]] Stats stats() const;

  private:
    struct Connection {
        Client client;
        bool paused = false;
    };

    void handle_message(ConnectionId from, signaling::ToServer message, TimePoint now);
    void handle_connect(ConnectionId from, const signaling::Connect& connect, TimePoint now);
    void handle_answer(ConnectionId from, signaling::Answer answer, TimePoint now);
    void log_in(ConnectionId connection);
    void send(ConnectionId to, const signaling::ToPeer& message);
    void deliver_calls();
    /// What other peers cause must not fill the queue of a peer whose link is slow: past half of it, calls are declined
    /// and candidates dropped instead of the connection being closed.
    [[nodiscard]] bool sheds(const Calls::Delivery& delivery);
    /// The only way out: of the map, the registry, the calls and the counts.
    void remove(ConnectionId connection);
    void close(ConnectionId connection, std::string reason);
    /// After any use of the client: its next deadline, and perhaps output.
    void touch(ConnectionId connection);

    crypto::KeyPair keys_;
    Config config_;
    Rng& rng_;
    std::uint64_t last_id_ = 0;
    std::map<ConnectionId, Connection> connections_;
    Admission admission_;
    Registry registry_;
    Calls calls_;
    Deadlines<ConnectionId> deadlines_;
    std::set<ConnectionId> with_output_;
    std::deque<Close> closes_;
    Stats totals_;
};

}  // namespace pinhole::rendezvous
