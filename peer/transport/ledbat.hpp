// LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus): for transfers that nobody waits for. Keeps its own queue at 60 ms,
// gives way to anything that makes it longer, and lets the queue run empty from time to time, to see the path without
// itself.
#pragma once

#include "peer/transport/congestion.hpp"

#include <array>
#include <optional>

namespace pinhole::transport {

class Ledbat final : public CongestionController {
  public:
    explicit Ledbat(std::size_t mtu);

    void on_packet_sent(TimePoint now, std::uint64_t number, std::size_t bytes) override;
    void on_packet_acked(TimePoint sent, std::size_t bytes) override;
    void on_ack(const AckEvent& event) override;
    void on_congestion(const CongestionEvent& event) override;
    void on_spurious_loss(TimePoint declared) override;
    void set_mtu(std::size_t mtu) override;
    [[nodiscard]] std::uint64_t window() const override;
    [[nodiscard]] double pacing_rate(Duration smoothed_rtt) const override;

    [[nodiscard]] bool slowed_down() const { return slowdown_end_.has_value(); }

  private:
    void note_delay(Duration rtt, TimePoint now);
    [[nodiscard]] Duration base_delay() const;
    [[nodiscard]] Duration queueing_delay() const;
    [[nodiscard]] double gain() const;
    void adapt(double acked);
    void manage_slowdown(const AckEvent& event);

    double mtu_;
    double window_;
    double threshold_;
    double acked_ = 0;
    bool first_slow_start_ = true;
    std::optional<TimePoint> recovery_start_;

    /// Of the last samples: a single one is noise.
    std::array<Duration, 4> recent_;
    std::size_t next_recent_ = 0;
    /// The shortest of each minute.
    std::array<Duration, 10> history_;
    TimePoint minute_start_;

    /// When the next slowdown begins; since when and until when the present one lasts.
    std::optional<TimePoint> next_slowdown_;
    TimePoint slowdown_start_;
    std::optional<TimePoint> slowdown_end_;
    bool ramping_ = false;
};

}  // namespace pinhole::transport
