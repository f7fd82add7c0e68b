// One conversation with one peer as a state machine: the handshake through signaling, ICE with the punching that the
// server planned, and the transport on the paths that ICE found. Knows neither sockets nor streams' contents; the shell
// feeds signaling messages, candidates, sockets, datagrams and time, and drains signaling, requests for sockets,
// datagrams and events after each input, and then starts a restart if one is due.
//
// A restart (RFC 8445 §9) is another call through the server that names this session: it has a generation of ICE and of
// punching of its own, the one before carries on until the new one has a path, and keys and streams stay.
//
// Timers: no answer within 35 s of calling (the server gives up after 30 s), of a restart 4 s; a generation that was
// replaced lives for 3 s more; a restart that has a valid pair selects one within 5 s; when to restart and to give up
// is Survival's; the rest belongs to ICE and the transport.
#pragma once

#include "common/signaling/messages.hpp"
#include "peer/ice/agent.hpp"
#include "peer/punch/puncher.hpp"
#include "peer/session/handshake.hpp"
#include "peer/session/no_path.hpp"
#include "peer/session/survival.hpp"
#include "peer/transport/connection.hpp"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace pinhole::session {

/// Ta between checks. RFC 8445 §14.2 recommends 50 ms and allows 5: a session has few pairs of 100-byte checks, and the
/// pair that works is rarely the first, so that every wait shows in the time to connect.
inline constexpr Duration kCheckPacing = 5ms;

struct SessionConfig {
    const crypto::Identity* identity = nullptr;  ///< outlives the session
    crypto::PeerId remote;
    std::uint8_t services = 0;
    Duration answer_patience = 35s;
    Survival::Config survival{};
    Duration path_patience = 10s;  ///< from "go" until no path counts as none; longer if the server plans longer
    transport::Config transport;
    /// The server's STUN over UDP, IPv4; nullopt: ports cannot be sampled, so that some predictions are not possible.
    std::optional<net::Endpoint> stun{};
    /// The smallest TTL of a packet that opens our own NATs, if it was measured.
    std::optional<std::uint8_t> opening_ttl{};
    /// Strategies that must not be used.
    std::vector<net::Strategy> without{};
    /// Shared by all sessions of a node, and outlives them; null: each is bounded by its own plan only.
    punch::ProbeBudget* probe_budget = nullptr;
    /// Our checks begin so much later than the other side's.
    Duration head_start{};
};

/// A call that was read and is this peer's to take or to refuse.
struct IncomingCall {
    signaling::CallId call;
    OfferPayload offer;
    crypto::NoiseHandshake handshake;
    std::vector<net::Candidate> candidates;
};

/// Why an incoming call was not even shown: what to tell the caller.
struct RejectedCall {
    signaling::End end;
    Error error;
};

/// Decrypts an incoming call and checks key and claimed identity.
[[nodiscard]] std::expected<IncomingCall, RejectedCall> read_call(const signaling::Incoming& incoming,
                                                                  const crypto::Identity& self, Rng& rng);

/// Refuses a call that is old or was seen before. Only for callers that are known: what the guard remembers is bounded,
/// and a stranger must not be able to fill it.
[[nodiscard]] std::expected<void, RejectedCall> check_age(const signaling::Incoming& incoming, const IncomingCall& call,
                                                          ReplayGuard& guard, WallTime now);

/// How this side ends a conversation; travels in the transport's CLOSE.
enum class Goodbye : std::uint8_t { done, cancelled };

/// The plan that the server announced.
struct Planned {
    std::string topology;
    std::vector<std::string> steps;
};

/// First authenticated packets in both directions.
struct Connected {};

/// The path in use changed, or it is silent and no other one is known, or it has come back; `strategy` as in the
/// command-line contract.
struct PathInUse {
    net::PathAddresses addresses;
    std::string strategy;
    Duration rtt{};
    std::string reason;  ///< of a stall, what is being tried: "trying …"
    bool stalled = false;
    /// How this side's packets leave the machine on their way to a relay of ours, which the shell knows; empty: as
    /// `addresses` says.
    std::string transport{};
};

/// The conversation is over; nothing follows.
struct Ended {
    Error error;  ///< no code when both sides were done
};

/// For the shell: `OpenSocket` wants a UDP socket of its own with a port by chance, of the same local address as the
/// candidates, answered by handle_socket or handle_socket_failed; `CloseSocket` is about one of these.
using SocketRequest = std::variant<punch::OpenSocket, punch::CloseSocket>;

using Event = std::variant<Planned, Connected, PathInUse, Ended, transport::Event>;

class Session {
  public:
    /// Calls a peer; `locals` are the candidates known so far.
    Session(SessionConfig config, signaling::CallId call, std::vector<net::Candidate> locals, Rng& rng);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Starts the outgoing call, or answers the incoming one.
    void call(WallTime wall, TimePoint now);
    void answer(IncomingCall incoming, TimePoint now);

    /// Whether this call asks to go on with this very session.
    [[nodiscard]] bool resumed_by(const IncomingCall& incoming) const;
    /// The same as `answer` for such a call; `locals` are the candidates known now.
    void resume(IncomingCall incoming, std::vector<net::Candidate> locals, TimePoint now);
    /// A call that the server lets ring again, because our connection to it is another one: true if this session has
    /// had it already. The answer may have been lost with that connection and is given again.
    bool handle_repeated(signaling::CallId call);
    /// The session wants to be restarted, and there is a server to do it by: call restart().
    [[nodiscard]] bool restart_due(TimePoint now) const;
    void restart(std::vector<net::Candidate> locals, WallTime wall, TimePoint now);
    /// Without a connection to the server nothing can be restarted.
    void handle_server(bool online, TimePoint now);
    /// This machine's addresses are others, or it has slept: both sides' paths may be gone.
    void handle_network_changed(TimePoint now);

    /// What our network was measured to be, for the sentence that says why there is no path: newer than the plan's.
    void handle_own_class(net::NatClass ours);
    void add_local_candidate(const net::Candidate& candidate, TimePoint now);
    void end_of_local_candidates();

    /// Answered, Trickle, Go, PunchScan and End of this call.
    void handle_signaling(const signaling::ToPeer& message, WallTime wall, TimePoint now);
    [[nodiscard]] std::optional<signaling::ToServer> poll_signaling();

    /// Requests may come at any time and are served in order; CloseSocket also after the session is over.
    [[nodiscard]] std::optional<SocketRequest> poll_socket_request();
    /// `local` as datagrams of this socket will name it. An unspecified address stands for that of the candidates.
    void handle_socket(punch::SocketToken token, const net::Endpoint& local, TimePoint now);
    void handle_socket_failed(punch::SocketToken token, TimePoint now);

    /// STUN that came in on any socket of the session, those that it asked for included.
    void handle_stun(const net::PathAddresses& path, ByteView payload, TimePoint now);
    void handle_packet(const net::Received& datagram, TimePoint now);
    /// Over TCP: there is no connection on this path, or it broke. The shell makes one for the first check that
    /// poll_stun gives for a path.
    void handle_path_failed(const net::PathAddresses& path, TimePoint now);
    /// The other side was heard there with its ICE password.
    [[nodiscard]] bool heard_on(const net::PathAddresses& path) const;
    /// It is one that checks or data may go over.
    [[nodiscard]] bool uses(const net::PathAddresses& path) const;
    void handle_timeout(TimePoint now);
    /// ICE checks and probes of punching; each names its local endpoint and may ask for a TTL.
    [[nodiscard]] std::optional<net::Transmit> poll_stun();
    [[nodiscard]] std::optional<transport::TransmitBatch> poll_packets(ByteSpan buffer, TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;
    [[nodiscard]] std::optional<Event> poll_event();

    /// Ends the conversation: cancels the call, or closes the transport, which takes up to 3 PTO.
    void close(Goodbye goodbye, TimePoint now);

    /// Nothing is left to send or to wait for.
    [[nodiscard]] bool over() const { return state_ == State::over; }

    /// Over, or on its way there by close().
    [[nodiscard]] bool closing() const { return state_ == State::closing || over(); }

    [[nodiscard]] signaling::CallId call_id() const { return call_; }

    [[nodiscard]] const crypto::PeerId& remote() const { return config_.remote; }

    [[nodiscard]] std::uint64_t connection_id() const { return config_.transport.local_connection_id; }

    /// Set once keys are agreed.
    [[nodiscard]] transport::Connection* transport() { return transport_ ? &*transport_ : nullptr; }

    /// What both sides take; known once keys are agreed.
    [[nodiscard]] std::uint8_t services() const { return config_.services; }

    [[nodiscard]] bool connected() const { return connected_; }

    /// A check has succeeded, though the other side may not have been heard over it yet.
    [[nodiscard]] bool has_path() const { return path_.has_value(); }

  private:
    enum class State : std::uint8_t { calling, waiting_go, checking, closing, over };

    void send_offer(WallTime wall, TimePoint now);
    void handle_answered(const signaling::Answered& answered, TimePoint now);
    void handle_trickle(const signaling::Trickle& trickle, TimePoint now);
    void handle_end(const signaling::End& end, WallTime wall, TimePoint now);
    void answer_offer(IncomingCall incoming, TimePoint now);
    void agree(crypto::NoiseHandshake& handshake, const ice::Credentials& remote, TimePoint now);
    void send_end_of_candidates();
    void add_remote(const std::vector<net::Candidate>& candidates, TimePoint now);
    void make_agent(ice::Role role, TimePoint now);
    void drain_transport();
    [[nodiscard]] bool announces_again(const transport::Event& event) const;
    void end(Error error);

    // paths.cpp
    void drain_agent(TimePoint now);
    void handle_agent_event(const ice::Event& event, TimePoint now);
    /// True if the event was about a spare pair.
    bool handle_spare(const ice::Event& event, TimePoint now);
    void use_pair(const ice::PairInfo& pair, const char* reason, TimePoint now);
    void note_path(const transport::PathChanged& changed);
    [[nodiscard]] std::string guessed_strategy(const net::PathAddresses& path) const;
    void note_detour(TimePoint now);
    void forget_paths(TimePoint now);
    void report_path(std::string reason, bool stalled);

    // restarting.cpp
    /// One ICE agent and what punched for it.
    struct Generation {
        ice::Agent agent;
        std::optional<punch::Puncher> puncher;
        std::optional<TimePoint> until;  ///< set when it is not needed any more
    };

    [[nodiscard]] bool in_trouble_before_connected(TimePoint now) const;
    void begin_generation(ice::Role role, std::vector<net::Candidate> locals, TimePoint now);
    void drop(Generation generation);
    void drop_current();
    void accept(IncomingCall incoming, TimePoint now);
    void restart_succeeded(TimePoint now);
    void restart_failed(std::optional<signaling::EndReason> reason, TimePoint now);
    void tend_previous(TimePoint now);
    void note_sleep(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> survival_timeout() const;
    void tend_survival(TimePoint now);

    // punching.cpp
    void handle_go(const signaling::Go& go, TimePoint now);
    void start_puncher(net::PunchPlan plan, TimePoint now);
    [[nodiscard]] bool allowed(net::Strategy strategy) const;
    [[nodiscard]] bool behind_nats() const;
    [[nodiscard]] Duration opening_gap() const;
    [[nodiscard]] bool hosts_go_first() const;
    /// A path of a strategy that must not be used carries no check, neither way.
    [[nodiscard]] bool usable(const net::PathAddresses& path) const;
    void admit_tcp(const net::PunchPlan& plan);
    /// Opens our own NATs for the other side's reflexive endpoints, from the one at this place on, without reaching the
    /// NATs there.
    void open_own_nats(std::size_t first);
    void drain_puncher(TimePoint now);
    void tell_outcome(std::optional<net::Strategy> strategy, TimePoint now);
    void await_outcome(TimePoint now);
    void note_remote_relayed(const net::Endpoint& endpoint);
    [[nodiscard]] bool relayed(const net::PathAddresses& path) const;
    [[nodiscard]] std::string strategy_of(const ice::PairInfo& pair) const;
    [[nodiscard]] std::optional<net::Endpoint> main_base() const;
    [[nodiscard]] Error no_path(const ice::Failed& failed) const;
    [[nodiscard]] bool behind_one_nat() const;
    [[nodiscard]] std::vector<net::Candidate> offered_candidates();

    SessionConfig config_;
    Rng& rng_;
    signaling::CallId call_;
    ice::Role role_ = ice::Role::controlling;
    State state_ = State::calling;
    std::vector<net::Candidate> locals_;
    bool locals_complete_ = false;
    bool locals_end_sent_ = false;
    std::optional<crypto::NoiseHandshake> handshake_;
    std::optional<ice::Agent> agent_;
    std::optional<transport::Connection> transport_;
    std::optional<TimePoint> answer_deadline_;
    std::optional<signaling::Answer> answer_;  ///< ours, until Go shows that it has arrived
    std::optional<TimePoint> go_at_;           ///< when checks start
    bool one_side_open_ = false;               ///< by the plan
    std::optional<TimePoint> went_at_;         ///< the instant that both sides start from; until the outcome was told
    std::optional<punch::Puncher> puncher_;
    NoPathFacts facts_;
    std::vector<net::Endpoint> remote_reflexives_;
    std::vector<net::Endpoint> remote_hosts_;
    std::vector<net::Endpoint> remote_relayed_;  ///< the newest; a restart forgets none, because the old path goes on
    std::optional<TimePoint> plan_end_;          ///< of what the plan does besides checks
    std::optional<TimePoint> outcome_at_;        ///< until then a direct path may replace the relay
    std::vector<net::Endpoint> remote_tcp_hosts_;
    std::deque<SocketRequest> socket_requests_;
    std::deque<net::Transmit> probes_;
    std::optional<std::pair<transport::PathId, net::PathAddresses>> path_;

    struct KnownPath {
        transport::PathId id;
        std::string strategy;
    };

    std::map<net::PathAddresses, KnownPath> known_paths_;  ///< of the transport
    std::optional<net::PathAddresses> spare_;
    std::optional<Generation> previous_;

    /// A call of the other side's that came while ours was on its way to it.
    struct Glare {
        IncomingCall incoming;
        TimePoint until;
    };

    std::optional<Glare> glare_;
    TimePoint called_at_{};
    /// A pair of the restart works: by then one of them is in use, or it was the last thing that worked there.
    std::optional<TimePoint> select_by_;
    bool restarting_ = false;
    bool silent_ = false;  ///< the transport has said so since it was looked at last
    bool left_path_ = false;
    std::optional<TimePoint> stalled_since_;
    bool stall_shown_ = false;
    Survival survival_;
    std::int64_t clock_correction_ms_ = 0;
    bool corrected_clock_ = false;
    bool connected_ = false;
    std::string last_strategy_;
    std::deque<signaling::ToServer> signaling_;
    std::deque<Event> events_;
};

}  // namespace pinhole::session
