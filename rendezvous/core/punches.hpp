// The plans of calls that were answered, until both sides have a path or have given up: plans, continues with what the
// sides sample, keeps the caps, learns from the outcome. Knows neither links nor Protobuf; driven by Server. What is to
// be sent comes out of `poll_delivery`.
//
// Timers: a plan is forgotten `linger` after it began.
#pragma once

#include "rendezvous/core/calls.hpp"
#include "rendezvous/core/deadlines.hpp"
#include "rendezvous/core/planner.hpp"
#include "rendezvous/core/punch_history.hpp"
#include "rendezvous/core/scan_guard.hpp"

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <vector>

namespace pinhole::rendezvous {

class Punches {
  public:
    struct Config {
        Duration linger = 60s;
        /// Plans that are kept at once; calls beyond them get ICE's checks alone.
        std::size_t max_plans = 20'000;
        ScanGuard::Config guard{};
    };

    struct Party {
        Side side;
        crypto::PeerId id;
        PlanSide plan;  ///< its report is not looked at after `begin`
    };

    explicit Punches(const Config& config) : config_(config), guard_(config.guard) {}

    /// What the caller and the callee are to be told.
    [[nodiscard]] std::array<net::PunchPlan, 2> begin(const Party& caller, const Party& callee, TimePoint now);
    void handle_samples(ConnectionId from, const signaling::PunchSamples& samples, TimePoint now);
    void handle_outcome(ConnectionId from, const signaling::PunchOutcome& outcome, TimePoint now);
    /// One side has ended the call.
    void handle_end(const Side& side);
    void handle_lost(ConnectionId connection);
    void handle_timeout(TimePoint now);

    [[nodiscard]] std::optional<Calls::Delivery> poll_delivery();

    [[nodiscard]] std::optional<TimePoint> next_timeout() const { return deadlines_.next(); }

    [[nodiscard]] std::size_t size() const { return plans_.size(); }

    [[nodiscard]] PunchHistory& history() { return history_; }

    [[nodiscard]] const ScanGuard& guard() const { return guard_; }

  private:
    using PlanKey = StrongId<struct PlanKeyTag>;

    struct Samples {
        std::vector<std::uint16_t> before;
        TimePoint received;
    };

    struct Link {
        PunchLink link;
        bool answered = false;
        std::array<std::optional<Samples>, 2> samples{};
    };

    struct Plan {
        std::array<Side, 2> sides;
        std::array<net::Address, 2> observed;
        std::array<Duration, 2> rtt{};
        std::array<net::PunchPlan, 2> plans;
        std::vector<Link> links;
        std::array<net::NatClass, 2> classes{};
        /// What each side probes; none once it is released.
        std::array<std::optional<ScanGuard::Claim>, 2> claims;
        bool recorded = false;
    };

    using Iterator = std::map<PlanKey, Plan>::iterator;

    struct Found {
        Iterator plan;
        std::size_t who = 0;
    };

    [[nodiscard]] std::optional<Found> find(const Side& side);
    /// Takes the turns of all that it probes, or takes it out of the plan.
    void reserve(PunchPlanPair& planned, Plan& plan, const std::array<crypto::PeerId, 2>& ids, TimePoint now);
    void answer_bracket(Plan& plan, Link& link, const signaling::PunchSamples& samples);
    void answer_count(Plan& plan, Link& link, const signaling::PunchSamples& samples);
    void answer_aim(Plan& plan, Link& link, TimePoint now);
    void scan(const Side& to, std::size_t step, std::vector<net::PortRange> ranges);
    void record(Plan& plan, const std::optional<net::Strategy>& worked, Duration elapsed);
    void forget(Iterator plan);

    Config config_;
    ScanGuard guard_;
    PunchHistory history_;
    std::uint64_t last_key_ = 0;
    std::map<PlanKey, Plan> plans_;
    std::map<Side, PlanKey> sides_;
    Deadlines<PlanKey> deadlines_;
    std::deque<Calls::Delivery> deliveries_;
};

}  // namespace pinhole::rendezvous
