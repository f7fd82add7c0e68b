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
#include "rendezvous/core/punches.hpp"
#include "rendezvous/core/registry.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace pinhole::rendezvous {

struct Config {
    Admission::Config admission;
    Client::Config client;
    Calls::Config calls;
    Punches::Config punches;
    /// Calls that one source network may begin; more end with `limit`. An office makes a few a minute; each costs the
    /// callee's instances a message and an answer.
    PrefixLimiter::Config connects{.per_second = 20, .burst = 200, .max_prefixes = 16384};
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
    std::uint64_t limited = 0;     ///< connects that came too fast from one network
    std::uint64_t introduced = 0;  ///< calls that were answered
    std::uint64_t reports = 0;
    std::uint64_t scans = 0;     ///< samples that became ports to scan
    std::uint64_t outcomes = 0;  ///< that peers told of their punching
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

    /// A connection that is too many comes out of `poll_close` at once. `second_stun_port` is what its peer is told
    /// about the address that it came to.
    [[nodiscard]] ConnectionId open(const net::Endpoint& from, TimePoint now,
                                    std::optional<std::uint16_t> second_stun_port = std::nullopt);
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

    /// A connection whose peer has reported on its network since the last call; it may be asked for with `report`.
    [[nodiscard]] std::optional<ConnectionId> poll_report();
    /// The newest report of the peer, nullptr if there is none. Valid until the next input.
    [[nodiscard]] const net::NetReport* report(ConnectionId connection) const;

    /// Every peer that logs in is told of the relays that `list` has for it, and again each `renewal`, before their
    /// credentials expire. From then on, for good; peers that are online already are not told.
    using RelayList = std::function<signaling::Relays(const crypto::PeerId&)>;
    void offer_relays(RelayList list, Duration renewal);

    /// How strategies did: what an earlier run of the server has learnt goes in, what changed comes out of it.
    [[nodiscard]] PunchHistory& history() { return punches_.history(); }

    /// Who is logged in on it.
    [[nodiscard]] std::optional<crypto::PeerId> peer(ConnectionId connection) const;

    [[nodiscard]] Stats stats() const;

  private:
    struct Connection {
        Client client;
        bool paused = false;
        std::optional<net::NetReport> report{};
    };

    void handle_message(ConnectionId from, signaling::ToServer message, TimePoint now);
    void handle_connect(ConnectionId from, const signaling::Connect& connect, TimePoint now);
    void handle_answer(ConnectionId from, signaling::Answer answer, TimePoint now);
    void handle_punch(ConnectionId from, const signaling::ToServer& message, TimePoint now);
    [[nodiscard]] Punches::Party party(const Side& side, const std::vector<net::Endpoint>& endpoints) const;
    void handle_report(ConnectionId from, signaling::Report report);
    void log_in(ConnectionId connection, TimePoint now);
    void tell_relays(ConnectionId connection, TimePoint now);
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
    PrefixLimiter connects_;
    Registry registry_;
    Calls calls_;
    Punches punches_;
    Deadlines<ConnectionId> deadlines_;
    RelayList relays_;
    Duration relay_renewal_{};
    Deadlines<ConnectionId> relay_renewals_;
    std::set<ConnectionId> with_output_;
    std::set<ConnectionId> with_report_;
    std::deque<Close> closes_;
    Stats totals_;
};

}  // namespace pinhole::rendezvous
