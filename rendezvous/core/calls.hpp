// Calls being set up: one caller, the instances of the callee that ring, the one that answers. The caller knows a call
// by an id of its own, all connections of the callee by another one: where a network has cut off the connection that a
// call went to, it rings again on the one that its peer makes next, which tells by the id if it has had the call
// already. Knows neither links nor who is online; what it wants said comes out of `poll_delivery`. Driven by Server.
//
// Timers: ringing ends after `ring`; a call that was answered is forgotten `linger` later, when its sides talk
// directly or have given up.
#pragma once

#include "common/base/error.hpp"
#include "common/base/rng.hpp"
#include "rendezvous/core/deadlines.hpp"
#include "rendezvous/core/ids.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace pinhole::rendezvous {

class Calls {
  public:
    struct Config {
        Duration ring = 30s;
        Duration linger = 60s;
        /// Candidates one side may trickle in a call, on top of those it begins with: 4 * kMaxCandidates.
        std::size_t max_trickled = 128;
    };

    struct Delivery {
        ConnectionId to;
        signaling::ToPeer message;
    };

    /// Two sides to be started together.
    struct Pair {
        Side caller;
        Side callee;
        /// Where each says that it can be reached without a relay.
        std::vector<net::Endpoint> caller_endpoints;
        std::vector<net::Endpoint> callee_endpoints;
    };

    Calls(const Config& config, Rng& rng) : config_(config), rng_(rng) {}

    /// Rings `callees`. An error if the caller uses an id twice, which no correct peer does.
    [[nodiscard]] Status handle_connect(ConnectionId from, const crypto::PeerId& identity,
                                        const signaling::Connect& connect, const std::vector<ConnectionId>& callees,
                                        TimePoint now);
    /// Another connection of this identity: it rings for whatever nobody has answered yet.
    void handle_online(ConnectionId connection, const crypto::PeerId& identity);
    /// The sides to start, if this answer took the call. Late and unknown ones are ignored, as races are natural.
    [[nodiscard]] std::optional<Pair> handle_answer(ConnectionId from, signaling::Answer answer, TimePoint now);
    void handle_trickle(ConnectionId from, const signaling::Trickle& trickle);
    void handle_end(ConnectionId from, const signaling::End& end);
    void handle_lost(ConnectionId connection);
    void handle_timeout(TimePoint now);

    [[nodiscard]] std::optional<Delivery> poll_delivery();

    [[nodiscard]] std::optional<TimePoint> next_timeout() const { return deadlines_.next(); }

    [[nodiscard]] std::size_t size() const { return calls_.size(); }

    [[nodiscard]] std::size_t sides() const { return sides_.size(); }

  private:
    using CallKey = StrongId<struct CallKeyTag>;

    struct Call {
        Side caller;
        crypto::PeerId callee_identity;
        /// What the callee's connections call it.
        signaling::CallId leg;
        /// What those hear that come online later: until the answer; at most max_trickled candidates in `trickled`.
        signaling::Incoming incoming;
        std::vector<signaling::Trickle> trickled{};
        /// Instances that may still answer; empty once one has.
        std::vector<Side> ringing;
        std::optional<Side> callee;
        /// The most informative refusal so far.
        signaling::End verdict;
        /// Of the caller's candidates until the answer, at most kMaxCandidates.
        std::vector<net::Endpoint> endpoints{};
        std::size_t caller_trickled = 0;
        std::size_t callee_trickled = 0;
    };

    using Iterator = std::map<CallKey, Call>::iterator;

    [[nodiscard]] Iterator find(const Side& side);
    enum class Role : std::uint8_t { caller, callee };
    /// Calls of a connection in one role: those that ring it must not use up what it may place itself.
    [[nodiscard]] std::size_t count_of(ConnectionId connection, Role role) const;
    /// False: the connection has enough calls, or rings already.
    bool ring(CallKey key, Call& call, ConnectionId connection);
    void stop_ringing(Iterator call);
    void decline(Iterator call, const Side& leg, const signaling::End& end);
    void lose(Iterator call, const Side& side);
    void end_others(const Call& call, const Side& from, signaling::EndReason reason, std::int64_t detail_ms);
    void forget(Iterator call);
    void deliver_end(const Side& to, signaling::EndReason reason, std::int64_t detail_ms = 0);

    Config config_;
    Rng& rng_;
    std::uint64_t last_key_ = 0;
    std::map<CallKey, Call> calls_;
    std::map<Side, CallKey> sides_;
    std::set<std::pair<crypto::PeerId, CallKey>> ringing_;
    Deadlines<CallKey> deadlines_;
    std::deque<Delivery> deliveries_;
};

}  // namespace pinhole::rendezvous
