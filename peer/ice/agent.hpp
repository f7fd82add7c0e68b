// A full ICE agent (RFC 8445, one component; RFC 8838 trickle; RFC 7675 consent) as a state machine without sockets.
// The judge of every path: a pair counts only after an authenticated check. Fed with candidates, datagrams and time;
// after each input drain poll_transmit and poll_event, then sleep until next_timeout.
//
// Over TCP (RFC 6544) a path is one connection, made by whoever drives this when the first check on it is sent; it says
// by handle_path_failed when a connection cannot be made or breaks.
//
// Timers: Ta (pacing, 50 ms between new checks and retransmissions), one RTO per check under way (500 ms, doubled, 7
// sends; at most 2 s where the other side was heard), consent every 5 s ±20 % on the selected pair and on a spare one
// (dead after 30 s), give-up (`Config::patience`) while no pair is valid; a split path is adopted a round trip and 100
// ms after it was seen; pairs over TCP are not checked before admit_tcp's instant.
#pragma once

#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "common/net/candidate.hpp"
#include "common/net/datagram.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace pinhole::ice {

enum class Role : std::uint8_t { controlling, controlled };

/// RFC 8445 §5.3. `ufrag` 4 to 256, `pwd` 22 to 256 ice-chars.
struct Credentials {
    std::string ufrag;
    std::string pwd;

    [[nodiscard]] static Credentials generate(Rng& rng);
};

struct Config {
    Role role = Role::controlling;
    Credentials local;
    /// Ta, RFC 8445 §14.2.
    Duration pacing = 50ms;
    /// Time from start() with no valid pair until Failed. Shorter than the 39.5 s of RFC 8863: both ends are ours,
    /// start together, and say when no candidate will follow.
    Duration patience = 10s;
};

struct PairInfo {
    net::PathAddresses path;
    net::CandidateType local_type = net::CandidateType::host;
    net::CandidateType remote_type = net::CandidateType::host;
    Duration rtt{};
};

/// Its packets go by a relay of either side.
[[nodiscard]] inline bool is_relayed(const PairInfo& pair) {
    return pair.local_type == net::CandidateType::relayed || pair.remote_type == net::CandidateType::relayed;
}

/// The pair that both sides use from here on (nominated); again when a better one replaces it.
struct Selected {
    PairInfo pair;
};

/// A pair passed its check; may carry data already.
struct Validated {
    PairInfo pair;
};

/// Consent on the selected pair expired (RFC 7675 §5.1).
struct ConsentLost {
    net::PathAddresses path;
};

/// A valid pair besides the selected one is kept alive, so that data can move there at once: a relayed one if the
/// selected one is not, by the controlling side's relay if there is such a pair; otherwise the best. Again when another
/// one takes its place; it is never the selected one.
struct Spare {
    PairInfo pair;
};

/// Nothing comes back over the spare pair any more, or it was given up for another one.
struct SpareLost {
    net::PathAddresses path;
};

/// No pair became valid within the patience.
struct Failed {
    std::size_t pairs = 0;      ///< pairs that were checked
    std::size_t tcp_pairs = 0;  ///< those over TCP among them
    std::size_t remote_candidates = 0;
    bool heard_anything = false;  ///< an authenticated check arrived, though none of ours was answered
};

using Event = std::variant<Validated, Selected, ConsentLost, Spare, SpareLost, Failed>;

class Agent {
  public:
    Agent(Config config, Rng& rng);
    Agent(Agent&&) noexcept;
    Agent& operator=(Agent&&) noexcept;
    ~Agent();

    [[nodiscard]] const Credentials& local_credentials() const;
    void set_remote_credentials(Credentials remote);
    void add_local_candidate(const net::Candidate& candidate, TimePoint now);
    void add_remote_candidate(const net::Candidate& candidate, TimePoint now);
    /// RFC 8838 §14: nothing more will be offered by the other side.
    void end_of_remote_candidates(TimePoint now);
    /// Begins to check. Checks that arrive before are answered and queued as triggered.
    /// `at_once`: so many checks need not wait for a slot of their own.
    void start(TimePoint now, int at_once = 1);
    /// Something came in on this path that was not a check: is it a pair? `path.local` may be a socket that was never
    /// offered as a candidate; it makes no pairs but those named here.
    void check(const net::PathAddresses& path, TimePoint now);
    /// Paths that nobody offers may be named by `check` until then: Failed does not come before.
    void keep_until(TimePoint when);
    /// Over TCP nothing is checked by ourselves before this instant, and nothing ever if this is never said: a NAT that
    /// refuses early connections remembers them. Checks of the other side are answered and returned at any time.
    void admit_tcp(TimePoint when);
    /// There is no connection on this path over TCP, or there is none any more. One that has worked is tried once more.
    void handle_path_failed(const net::PathAddresses& path, TimePoint now);
    /// An authentic check or answer came in over this path.
    [[nodiscard]] bool heard_on(const net::PathAddresses& path) const;
    /// It is one of our pairs that has not failed.
    [[nodiscard]] bool uses(const net::PathAddresses& path) const;
    /// Stops everything; no output after it.
    void close();

    /// The pair that packets arriving on this path belong to: of a path that differs by direction (split_paths.hpp) the
    /// one that is sent to, otherwise the same.
    [[nodiscard]] net::PathAddresses pair_of(const net::PathAddresses& path) const;

    /// True if the datagram was STUN (first byte 0–3) and is dealt with, right or wrong.
    bool handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now);
    void handle_timeout(TimePoint now);

    [[nodiscard]] std::optional<net::Transmit> poll_transmit();
    [[nodiscard]] std::optional<Event> poll_event();
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    [[nodiscard]] Role role() const;
    [[nodiscard]] std::optional<PairInfo> selected() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pinhole::ice
