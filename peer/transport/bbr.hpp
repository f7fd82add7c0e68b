// BBR in its third version (draft-ietf-ccwg-bbr): a model of the path, the highest delivery rate and the shortest round
// trip, says how fast to send and how much may be on the way. What differs from the draft: which losses count as
// congestion (LossJudge), samples taken while this machine was late never lower the model (DeliveryRate marks them),
// a round trip near the shortest is as good as a new measurement of it, so that a flow which keeps the queue empty need
// not stop to look, a queue that stands is drained, and startup has no room for lumps and ends on an overfull line.
#pragma once

#include "peer/transport/congestion.hpp"
#include "peer/transport/loss_judge.hpp"

#include <array>
#include <limits>
#include <optional>

namespace pinhole::transport {

class Bbr final : public CongestionController {
  public:
    enum class State : std::uint8_t {
        startup,
        drain,
        // ProbeBW
        down,
        cruise,
        refill,
        up,
        probe_rtt
    };

    explicit Bbr(std::size_t mtu);

    void on_packet_sent(TimePoint now, std::uint64_t number, std::size_t bytes) override;
    void on_packet_acked(TimePoint sent, std::size_t bytes) override;
    void on_ack(const AckEvent& event) override;
    void on_congestion(const CongestionEvent& event) override;
    void on_spurious_loss(TimePoint declared) override;
    void set_mtu(std::size_t mtu) override;
    [[nodiscard]] std::uint64_t window() const override;
    [[nodiscard]] double pacing_rate(Duration smoothed_rtt) const override;

    [[nodiscard]] State state() const { return state_; }

    /// Bytes a second; 0 before the first sample.
    [[nodiscard]] double bandwidth() const { return std::min(max_bandwidth(), bandwidth_low_); }

    [[nodiscard]] Duration min_rtt() const { return min_rtt_; }

  private:
    static constexpr double kUnlimited = std::numeric_limits<double>::infinity();
    /// Of the bandwidth, while probing for more.
    static constexpr double kUpPacing = 1.25;
    /// What a bound keeps of itself in congestion.
    static constexpr double kBeta = 0.7;
    /// What acknowledgements of several packets at once hide.
    static constexpr double kAckedTogether = 4;
    /// A probe has filled the line when its queue adds such a part to the round trip: a quarter of what the probe sends
    /// too much.
    static constexpr int kQueueSeen = 16;

    [[nodiscard]] double max_bandwidth() const { return std::max(bandwidths_[0], bandwidths_[1]); }

    [[nodiscard]] bool in_probe_bw() const { return state_ >= State::down && state_ <= State::up; }

    /// Losses of these states answer a question that was asked.
    [[nodiscard]] bool probing() const {
        return state_ == State::startup || state_ == State::drain || state_ == State::refill || state_ == State::up;
    }

    [[nodiscard]] double bdp(double gain) const;
    [[nodiscard]] double with_headroom() const;
    [[nodiscard]] double window_gain() const;
    [[nodiscard]] double pacing_gain() const;

    void note_queue(const AckEvent& event);
    [[nodiscard]] LossJudge::Flight flight_of(const RateSample& sample) const;
    void update_round(const AckEvent& event);
    void update_bandwidth(const RateSample& sample);
    void end_round(const AckEvent& event);
    void judge_queue();
    void lower_bounds();
    void forget_bounds();
    void update_aggregation(const AckEvent& event);
    [[nodiscard]] bool overfull(const AckEvent& event) const;
    void check_full_pipe(const AckEvent& event);
    void leave_startup(const AckEvent& event);
    void adapt_inflight_high(const AckEvent& event);
    void on_inflight_too_high(const AckEvent& event);
    [[nodiscard]] bool bounded(const AckEvent& event) const;
    void raise_inflight_high(const AckEvent& event);
    void cycle(const AckEvent& event);
    [[nodiscard]] bool probe_due(TimePoint now) const;
    void start_down(TimePoint now);
    void start_cruise();
    void start_refill(const AckEvent& event);
    void start_up(const AckEvent& event);
    void update_min_rtt(const AckEvent& event);
    void probe_rtt(const AckEvent& event, bool expired);
    void update_window(const AckEvent& event);

    State state_ = State::startup;
    double mtu_;
    double window_;
    double acked_ = 0;  ///< since the last on_ack

    // --- the model
    std::array<double, 2> bandwidths_{};  ///< the best sample of this probing cycle and of the one before
    double bandwidth_low_ = kUnlimited;
    double inflight_low_ = kUnlimited;
    double inflight_high_ = kUnlimited;
    Duration min_rtt_ = Duration::max();
    TimePoint min_rtt_at_;
    Duration recent_min_rtt_ = Duration::max();
    TimePoint recent_min_rtt_at_;
    LossJudge judge_;

    // --- this round trip
    bool round_start_ = false;
    std::uint64_t round_end_ = 0;
    std::uint64_t lost_at_round_start_ = 0;
    std::uint64_t delivered_at_round_start_ = 0;
    Duration round_queueing_{};
    Duration round_shortest_queue_ = Duration::max();
    bool standing_ = false;
    int rounds_drained_ = 0;
    bool round_run_ = false;
    bool round_marked_ = false;
    bool round_probed_ = true;  ///< what was sent in the round before was a probe
    double bandwidth_latest_ = 0;
    double inflight_latest_ = 0;
    std::uint64_t lost_before_ = 0;

    // --- is the pipe full
    double full_bandwidth_ = 0;
    int rounds_without_growth_ = 0;
    bool pipe_full_ = false;       ///< once, at the end of startup
    bool growth_stopped_ = false;  ///< in this probe

    // --- ProbeBW
    TimePoint cycle_start_;
    Duration probe_wait_{};
    std::uint64_t rounds_since_probe_ = 0;
    bool probe_acks_stopping_ = false;
    bool probe_samples_ = false;  ///< what is acknowledged now was sent while probing
    double up_step_ = 0;
    double up_acked_ = 0;
    int up_rounds_ = 0;
    TimePoint phase_start_;

    // --- ProbeRTT
    std::optional<TimePoint> probe_rtt_end_;
    double window_before_ = 0;
    bool restarted_ = false;
    std::optional<TimePoint> last_sent_;

    // --- acknowledgements that come in lumps
    TimePoint lump_start_;
    double lump_acked_ = 0;
    std::array<double, 2> extra_acked_{};
    std::uint64_t extra_rounds_ = 0;

    // --- undone when a loss was none
    double inflight_high_before_ = kUnlimited;
};

}  // namespace pinhole::transport
