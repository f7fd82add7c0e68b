// The candidates of both sides and the pairs made of them (RFC 8445 §6.1.2), with the order in which they are to be
// checked. Knows neither messages nor time. Bounds: 100 pairs, 32 remote candidates including those learnt from checks.
#pragma once

#include "common/net/candidate.hpp"
#include "common/net/datagram.hpp"
#include "peer/ice/agent.hpp"

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pinhole::ice {

/// RFC 8445 §6.1.2.5.
inline constexpr std::size_t kMaxPairs = 100;
inline constexpr std::size_t kMaxRemoteCandidates = 32;
/// Signalled and peer-reflexive ones together.
inline constexpr std::size_t kMaxLocalCandidates = 64;

/// RFC 8445 §6.1.2.6.
enum class PairState : std::uint8_t { frozen, waiting, in_progress, succeeded, failed };

/// A local base and a remote candidate. Its entry in RFC 8445's valid list is the same object in state succeeded: with
/// one component they differ in the local candidate only, and `local_type` holds that.
struct Pair {
    net::PathAddresses path;
    PairState state = PairState::frozen;
    std::uint32_t local_priority = 0;
    std::uint32_t remote_priority = 0;
    std::uint64_t priority = 0;
    std::string foundation;
    bool checked = false;         ///< at least one check was sent
    bool queued = false;          ///< in the triggered-check queue
    bool heard = false;           ///< an authentic check came in over it
    bool nominate = false;        ///< controlling: the next check carries USE-CANDIDATE
    bool peer_nominated = false;  ///< controlled: to be selected when our own check succeeds
    bool split = false;           ///< packets arrive from another port than the one that is sent to
    /// Of the local candidate that the check revealed.
    net::CandidateType local_type = net::CandidateType::host;
    Duration rtt{};

    [[nodiscard]] bool valid() const { return state == PairState::succeeded; }

    [[nodiscard]] bool settled() const { return state == PairState::succeeded || state == PairState::failed; }
};

/// RFC 8445 §6.1.2.3.
[[nodiscard]] std::uint64_t pair_priority(std::uint32_t controlling, std::uint32_t controlled);
/// RFC 8445 §7.1.1: what a peer-reflexive candidate of this base would have.
[[nodiscard]] std::uint32_t reflexive_priority(std::uint32_t local_priority,
                                               net::Transport transport = net::Transport::udp);

class Checklist {
  public:
    explicit Checklist(Role role) : role_(role) {}

    /// Each returns true if there are new pairs.
    bool add_local(const net::Candidate& candidate);
    bool add_remote(const net::Candidate& candidate);
    /// RFC 8445 §7.3.1.3, RFC 6544 §7.2: who sends from the remote end of `path`. Returns false if there is no room.
    bool learn_remote(const net::PathAddresses& path, std::uint32_t priority);
    /// A UDP base of which only the pairs count that checks ask for. Returns false if there is no room.
    bool add_base(const net::Endpoint& base);
    /// RFC 8445 §7.2.5.3.1: the type of the local candidate that a peer saw as `mapped`, added if it is new.
    net::CandidateType learn_local(const net::Endpoint& mapped, const net::PathAddresses& path, std::uint32_t priority);

    /// The same path as pairs name it (scope of link-local addresses); nullopt if the local end is no base of ours.
    [[nodiscard]] std::optional<net::PathAddresses> canonical(const net::PathAddresses& path) const;
    [[nodiscard]] Pair* find(const net::PathAddresses& path);
    [[nodiscard]] const Pair* find(const net::PathAddresses& path) const;
    /// The pair of a check that came in, made if need be (RFC 8445 §7.3.1.4); nullptr if there is no room.
    [[nodiscard]] Pair* find_or_add(const net::PathAddresses& path);

    /// Appends to the triggered-check queue, and makes an unsettled or failed pair wait.
    void trigger(Pair& pair);

    /// Of a path that differs by direction: any other is better.
    void mark_split(Pair& pair);

    [[nodiscard]] bool has_triggered() const { return !triggered_.empty(); }

    [[nodiscard]] Pair* pop_triggered();
    [[nodiscard]] bool has_ordinary() const;
    /// RFC 8445 §6.1.4.2, for one pacing slot.
    [[nodiscard]] Pair* next_ordinary();

    /// Until then pairs over TCP are none that an ordinary check is for.
    void admit_tcp() { tcp_admitted_ = true; }

    [[nodiscard]] std::size_t tcp_pairs() const;
    /// The best unchecked pair of each kind that a relay takes part in, once: at our end, at the other, or at both.
    [[nodiscard]] Pair* next_relayed();
    /// RFC 8445 §7.2.5.3.3.
    void thaw(const std::string& foundation);

    [[nodiscard]] Pair* best_valid();
    [[nodiscard]] const Pair* best_valid() const;
    /// The best of the valid pairs to have besides this one: see Spare.
    [[nodiscard]] const Pair* best_besides(const Pair& selected) const;
    [[nodiscard]] bool has_unsettled_above(std::uint64_t priority) const;
    [[nodiscard]] bool all_failed() const;
    /// Gives up every pair that is not valid.
    void abandon_unsettled();
    /// Recomputes what depends on the role (RFC 8445 §7.2.5.1) and forgets nominations.
    void set_role(Role role);

    [[nodiscard]] PairInfo describe(const Pair& pair) const;

    [[nodiscard]] std::size_t pairs() const { return pairs_.size(); }

    [[nodiscard]] std::size_t remotes() const { return remotes_.size(); }

  private:
    /// With which remote candidates a local one makes pairs: with all; with those that a check names; with none, as
    /// peer-reflexive ones (RFC 8445 §7.2.5.3.1).
    enum class Pairing : std::uint8_t { all, named, none };

    struct Local {
        net::Candidate candidate;
        Pairing pairing = Pairing::all;
    };

    [[nodiscard]] const Local* best_local(const net::PathAddresses& path) const;
    [[nodiscard]] const net::Candidate* best_remote(const net::PathAddresses& path) const;
    bool form(const Local& local, const net::Candidate& remote);
    Pair* insert(const Local& local, const net::Candidate& remote, bool proven);
    void rate(Pair& pair, const Local& local, const net::Candidate& remote) const;
    bool make_room(std::optional<std::uint64_t> above);
    bool evict_remote();
    [[nodiscard]] bool is_active(const std::string& foundation) const;
    void thaw_idle_foundations();
    [[nodiscard]] bool admitted(const Pair& pair) const;
    [[nodiscard]] Pair* best(PairState state);
    [[nodiscard]] std::size_t relay_kind(const Pair& pair) const;

    Role role_;
    bool tcp_admitted_ = false;
    std::vector<Local> locals_;
    std::vector<net::Candidate> remotes_;
    std::map<net::PathAddresses, Pair> pairs_;
    std::deque<net::PathAddresses> triggered_;
    std::uint32_t learnt_ = 0;
    std::array<bool, 4> relayed_checked_{};  ///< by relay_kind
};

}  // namespace pinhole::ice
