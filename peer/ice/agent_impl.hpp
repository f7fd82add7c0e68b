// The agent's state, shared by its parts: agent.cpp (inputs, outputs, time), agent_checks.cpp (our checks and their
// answers), agent_requests.cpp (checks of the other side), agent_nomination.cpp (which pair carries data, and consent
// for it), agent_spare.cpp (the pair that is kept alive besides).
#pragma once

#include "common/stun/message.hpp"
#include "peer/ice/agent.hpp"
#include "peer/ice/checklist.hpp"
#include "peer/ice/consent.hpp"
#include "peer/ice/split_paths.hpp"
#include "peer/ice/transactions.hpp"

#include <deque>
#include <optional>

namespace pinhole::ice {

class Agent::Impl {
  public:
    Impl(Config config, Rng& rng);

    void set_remote_credentials(Credentials remote);
    void add_local_candidate(const net::Candidate& candidate, TimePoint now);
    void add_remote_candidate(const net::Candidate& candidate, TimePoint now);
    void end_of_remote_candidates(TimePoint now);
    void start(TimePoint now, int at_once);
    void check(const net::PathAddresses& path, TimePoint now);
    void keep_until(TimePoint when);

    void admit_tcp(TimePoint when);

    void handle_path_failed(const net::PathAddresses& path, TimePoint now);
    [[nodiscard]] bool heard_on(const net::PathAddresses& path) const;
    [[nodiscard]] bool uses(const net::PathAddresses& path) const;
    void close();

    [[nodiscard]] net::PathAddresses pair_of(const net::PathAddresses& path) const { return splits_.pair_of(path); }

    bool handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now);

    void handle_timeout(TimePoint now) { advance(now); }

    [[nodiscard]] std::optional<net::Transmit> poll_transmit();
    [[nodiscard]] std::optional<Event> poll_event();
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    [[nodiscard]] const Credentials& local_credentials() const { return config_.local; }

    [[nodiscard]] Role role() const { return role_; }

    [[nodiscard]] std::optional<PairInfo> selected() const;

  private:
    enum class Phase : std::uint8_t { idle, running, over };

    // agent.cpp
    /// Whatever time asks for: at most one check is sent, so that each has a pacing slot of its own.
    void advance(TimePoint now);
    void transmit(const net::PathAddresses& path, Bytes payload);
    void begin_tcp(TimePoint now);
    /// A pair works that needs no relay.
    [[nodiscard]] bool has_direct_path() const;
    [[nodiscard]] std::optional<TimePoint> tcp_end() const;
    void fail_if_hopeless(TimePoint now);
    void give_up();
    void new_pairs(TimePoint now);

    // agent_checks.cpp
    bool send_one(TimePoint now);
    void send_relayed(TimePoint now);
    void start_check(Pair& pair, TimePoint now);
    void send_request(Transaction transaction, TimePoint now);
    void handle_response(const net::PathAddresses& path, const stun::MessageView& message, TimePoint now);
    void handle_success(const Transaction& asked, const net::Endpoint& mapped, TimePoint now);
    void handle_conflict(const Transaction& asked, TimePoint now);
    void expire_transactions(TimePoint now);
    void fail_pair(const Transaction& asked);
    void note_split(const Transaction& asked, const net::Endpoint& source, TimePoint now);
    void adopt_split(TimePoint now);
    void switch_role(Role role);

    // agent_requests.cpp
    void handle_request(const net::PathAddresses& seen, const stun::MessageView& message, TimePoint now);
    [[nodiscard]] bool authentic(const stun::MessageView& request) const;
    /// False if the conflict was answered with 487 and the request is done with.
    [[nodiscard]] bool settle_roles(const net::PathAddresses& path, const stun::MessageView& request);

    // agent_nomination.cpp
    void consider_nomination(TimePoint now);
    void nominate(Pair& pair);
    [[nodiscard]] std::optional<TimePoint> nomination_due() const;
    void select(Pair& pair, TimePoint now);
    void tend_consent(TimePoint now);
    void lose_consent();
    // agent_spare.cpp
    void tend_spare(TimePoint now);
    void choose_spare(TimePoint now);
    void lose_spare();

    void extend_checks(TimePoint now);
    void finish_checks(TimePoint now);

    Config config_;
    Rng* rng_;
    Role role_;
    std::uint64_t tie_breaker_;
    std::optional<Credentials> remote_;
    Checklist checklist_;
    Transactions transactions_;
    SplitPaths splits_;
    Consent consent_;
    Consent spare_consent_;

    Phase phase_ = Phase::idle;
    bool remote_complete_ = false;
    bool heard_anything_ = false;
    bool ordinary_last_ = false;  ///< so that retransmissions and new checks take turns
    std::size_t pairs_checked_ = 0;
    std::size_t tcp_pairs_checked_ = 0;
    TimePoint next_slot_{};
    int at_once_ = 1;  ///< checks that this slot has room for
    std::optional<TimePoint> give_up_at_;
    std::optional<TimePoint> keep_until_;  ///< paths may be named by then that nobody offers
    std::optional<TimePoint> tcp_at_;      ///< until pairs over TCP are admitted
    std::optional<TimePoint> nominate_at_;
    std::optional<TimePoint> checks_end_;
    std::optional<net::PathAddresses> nominated_;  ///< controlling: under way or done
    std::optional<net::PathAddresses> selected_;
    std::optional<net::PathAddresses> spare_;

    std::deque<net::Transmit> transmits_;
    std::deque<Event> events_;
};

}  // namespace pinhole::ice
