// CUBIC (RFC 9438) with HyStart++ for slow start, and a way back when the loss turns out not to have been one.
#pragma once

#include "peer/transport/congestion.hpp"
#include "peer/transport/hystart.hpp"

#include <optional>

namespace pinhole::transport {

class Cubic final : public CongestionController {
  public:
    explicit Cubic(std::size_t mtu);

    void on_packet_sent(TimePoint now, std::uint64_t number, std::size_t bytes) override;
    void on_packet_acked(TimePoint sent, std::size_t bytes) override;
    void on_ack(const AckEvent& event) override;
    void on_congestion(const CongestionEvent& event) override;
    void on_spurious_loss(TimePoint declared) override;
    void set_mtu(std::size_t mtu) override;
    [[nodiscard]] std::uint64_t window() const override;
    [[nodiscard]] double pacing_rate(Duration smoothed_rtt) const override;

    [[nodiscard]] bool in_slow_start() const { return state_.window < state_.threshold; }

  private:
    /// Everything that a congestion event changes, so that it can be undone. Sizes are bytes.
    struct State {
        double window = 0;
        double threshold = 0;
        /// W_max, the window at the last congestion event.
        double plateau = 0;
        /// Start of the current congestion avoidance stage.
        std::optional<TimePoint> epoch;
        /// K, seconds from the epoch until the plateau is reached.
        double inflection = 0;
        /// W_est, what Reno would have.
        double reno = 0;
        /// Window at the epoch's start, cwnd_prior.
        double prior = 0;
        /// Packets sent up to here belong to the last congestion event.
        std::optional<TimePoint> recovery_start;
    };

    void avoid_congestion(const AckEvent& event, double acked);
    void begin_epoch(TimePoint now);
    void collapse();
    [[nodiscard]] double cubic_at(double time) const;

    State state_;
    std::optional<State> before_event_;
    /// Packets of the last congestion event not yet seen to have arrived.
    std::size_t still_lost_ = 0;
    HyStart hystart_;
    double mtu_;
    std::uint64_t acked_ = 0;
    TimePoint last_ack_{};
};

}  // namespace pinhole::transport
