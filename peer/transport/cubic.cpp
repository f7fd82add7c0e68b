#include "peer/transport/cubic.hpp"

#include <cmath>
#include <limits>
#include <utility>

namespace pinhole::transport {

namespace {

// RFC 9438 §4.1 and §5.1: the scaling constant in packets per cubic second, and the multiplicative decrease.
constexpr double kScale = 0.4;
constexpr double kDecrease = 0.7;
// RFC 9438 §4.3.
constexpr double kRenoIncrease = 3.0 * (1.0 - kDecrease) / (1.0 + kDecrease);
// RFC 9002 §7.7 suggests 1.25; slow start has to be able to double in a round.
constexpr double kPacingGain = 1.25;
constexpr double kSlowStartPacingGain = 2.0;

}  // namespace

Cubic::Cubic(std::size_t mtu) : mtu_(static_cast<double>(mtu)) {
    state_.window = static_cast<double>(kInitialWindowPackets) * mtu_;
    state_.threshold = std::numeric_limits<double>::infinity();
}

void Cubic::on_packet_sent(TimePoint, std::uint64_t, std::size_t) {}

void Cubic::on_packet_acked(TimePoint sent, std::size_t bytes) {
    // RFC 9002 §7.3.2: what was sent before the reduction does not grow the window.
    if (!state_.recovery_start || sent > *state_.recovery_start) {
        acked_ += bytes;
    }
}

void Cubic::on_ack(const AckEvent& event) {
    const auto acked = static_cast<double>(std::exchange(acked_, 0));
    const auto since_last = event.now - std::exchange(last_ack_, event.now);
    const bool slow_start = in_slow_start();
    if (slow_start) {
        hystart_.on_ack(event.largest_acked, event.next_packet, event.latest_rtt);
    }
    if (acked == 0) {
        return;
    }
    if (event.app_limited) {
        // RFC 9438 §5.8: time without demand is not time in which the path was probed.
        if (state_.epoch) {
            *state_.epoch += since_last;
        }
        return;
    }
    if (slow_start) {
        state_.window += static_cast<double>(hystart_.growth(static_cast<std::uint64_t>(acked)));
        if (hystart_.finished()) {
            state_.threshold = state_.window;
        }
    } else {
        avoid_congestion(event, acked);
    }
    state_.window = std::min(state_.window, static_cast<double>(kMaximumWindow));
}

void Cubic::avoid_congestion(const AckEvent& event, double acked) {
    if (!state_.epoch) {
        begin_epoch(event.now);
    }
    const auto time = seconds(event.now - *state_.epoch);
    // RFC 9438 §4.2: where the curve will be one round trip ahead, within [window, 1.5 window].
    const auto target = std::clamp(cubic_at(time + seconds(event.smoothed_rtt)), state_.window, 1.5 * state_.window);
    const auto increase = state_.reno >= state_.prior ? 1.0 : kRenoIncrease;
    state_.reno += increase * mtu_ * acked / state_.window;
    if (cubic_at(time) < state_.reno) {
        state_.window = std::max(state_.window, state_.reno);
    } else {
        state_.window += (target - state_.window) * acked / state_.window;
    }
}

void Cubic::begin_epoch(TimePoint now) {
    state_.epoch = now;
    state_.reno = state_.window;
    if (state_.window >= state_.plateau) {
        state_.plateau = state_.window;
        state_.prior = state_.window;
        state_.inflection = 0;
    } else {
        state_.inflection = std::cbrt((state_.plateau - state_.window) / mtu_ / kScale);
    }
}

double Cubic::cubic_at(double time) const {
    const auto distance = time - state_.inflection;
    return state_.plateau + kScale * distance * distance * distance * mtu_;
}

void Cubic::on_congestion(const CongestionEvent& event) {
    if (state_.recovery_start && event.newest_sent <= *state_.recovery_start) {
        // One reduction a round trip; these packets belong to it.
        still_lost_ += event.packets;
        if (event.persistent) {
            collapse();
        }
        return;
    }
    before_event_ = event.ecn ? std::nullopt : std::optional{state_};
    still_lost_ = event.packets;
    // RFC 9438 §4.7: fast convergence.
    state_.plateau = state_.window < state_.plateau ? state_.window * (1.0 + kDecrease) / 2.0 : state_.window;
    state_.prior = state_.window;
    state_.threshold = std::max(state_.window * kDecrease, static_cast<double>(kMinimumWindowPackets) * mtu_);
    state_.window = state_.threshold;
    state_.epoch.reset();
    state_.recovery_start = event.now;
    if (event.persistent) {
        collapse();
    }
}

// RFC 9002 §7.6.2 and RFC 9438 §4.8: from the bottom, in slow start up to the threshold.
void Cubic::collapse() {
    state_.window = static_cast<double>(kMinimumWindowPackets) * mtu_;
    state_.epoch.reset();
}

void Cubic::on_spurious_loss(TimePoint declared) {
    if (!before_event_ || !state_.recovery_start || declared < *state_.recovery_start || still_lost_ == 0) {
        return;
    }
    if (--still_lost_ > 0) {
        return;
    }
    // RFC 9438 §4.9: all of them arrived, so there was no congestion event.
    const auto grown = state_.window;
    state_ = *before_event_;
    state_.window = std::max(state_.window, grown);
    before_event_.reset();
}

void Cubic::set_mtu(std::size_t mtu) {
    mtu_ = static_cast<double>(mtu);
}

std::uint64_t Cubic::window() const {
    return static_cast<std::uint64_t>(std::max(state_.window, static_cast<double>(kMinimumWindowPackets) * mtu_));
}

double Cubic::pacing_rate(Duration smoothed_rtt) const {
    const auto gain = in_slow_start() ? kSlowStartPacingGain : kPacingGain;
    return gain * static_cast<double>(window()) / std::max(seconds(smoothed_rtt), 1e-5);
}

}  // namespace pinhole::transport
