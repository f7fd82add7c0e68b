// When Bbr changes from one state to the next, and what a probe says of how much may be on the way.
#include "peer/transport/bbr.hpp"

#include <algorithm>
#include <cmath>

namespace pinhole::transport {

namespace {

// §5.3.1.2: no more than a quarter faster for three round trips.
constexpr double kGrowth = 1.25;
constexpr int kRoundsWithoutGrowth = 3;
// §5.3.3.5: two to three seconds, or what a Reno flow would need to grow by its window, whichever is shorter.
constexpr Duration kProbeWait = 2s;
constexpr Duration kProbeWaitSpread = 1s;
constexpr double kMostRenoRounds = 63;
// An acknowledgement opens the window by as many packets at once: with less room than that it was full.
constexpr double kLump = 12;
// In startup such a part of it says that the line is full, even if there was not always something to send.
constexpr int kQueueFull = 2;
// The step in which a probe raises the bound halves that often at most.
constexpr int kMostUpRounds = 30;

}  // namespace

/// Who has sent all there was, or as much as the peer has room for, has filled the line all the same if more was on the
/// way than it holds and came late.
bool Bbr::overfull(const AckEvent& event) const {
    return state_ == State::startup && min_rtt_ != Duration::max() &&
           event.latest_rtt >= min_rtt_ + min_rtt_ / kQueueFull &&
           static_cast<double>(event.sample.in_flight) > bdp(1) + kAckedTogether * mtu_;
}

void Bbr::check_full_pipe(const AckEvent& event) {
    if (growth_stopped_ || !round_start_ || (event.sample.app_limited && !overfull(event))) {
        return;
    }
    // A probe that our own bound holds back says nothing about the line.
    if (event.sample.rate >= kGrowth * full_bandwidth_ || (state_ == State::up && bounded(event))) {
        full_bandwidth_ = event.sample.rate;
        rounds_without_growth_ = 0;
        return;
    }
    growth_stopped_ = ++rounds_without_growth_ >= kRoundsWithoutGrowth;
    pipe_full_ = pipe_full_ || growth_stopped_;
}

void Bbr::leave_startup(const AckEvent& event) {
    if (state_ == State::startup) {
        // Losses while the rate still grows are those of a burst; a mark is a router's word.
        if (!pipe_full_ &&
            (round_marked_ || (rounds_without_growth_ > 0 && judge_.congested(flight_of(event.sample))))) {
            pipe_full_ = true;
            inflight_high_ = std::max(bdp(1), inflight_latest_);
        }
        if (pipe_full_) {
            state_ = State::drain;
        }
    }
    if (state_ == State::drain && static_cast<double>(event.in_flight) <= bdp(1) + kAckedTogether * mtu_) {
        start_down(event.now);
    }
}

/// §5.3.3.6, the long-term bound: lowered by a probe that met congestion, raised by one that did not.
void Bbr::adapt_inflight_high(const AckEvent& event) {
    if (!pipe_full_) {
        return;
    }
    if (probe_acks_stopping_ && round_start_) {
        probe_acks_stopping_ = false;
        probe_samples_ = false;
        // The cycle's best sample has been seen: the one before the last may go.
        if (in_probe_bw() && bandwidths_[1] > 0 && !event.sample.app_limited) {
            bandwidths_ = {bandwidths_[1], 0};
        }
    }
    const auto in_flight = static_cast<double>(event.sample.in_flight);
    if (round_marked_ || judge_.congested(flight_of(event.sample))) {
        if (probe_samples_) {
            on_inflight_too_high(event);
        }
        return;
    }
    if (inflight_high_ == kUnlimited) {
        return;
    }
    inflight_high_ = std::max(inflight_high_, in_flight);
    if (state_ == State::up) {
        raise_inflight_high(event);
    }
}

void Bbr::on_inflight_too_high(const AckEvent& event) {
    probe_samples_ = false;
    if (!event.sample.app_limited) {
        inflight_high_before_ = inflight_high_;
        inflight_high_ = std::max(static_cast<double>(event.sample.in_flight), kBeta * std::min(bdp(1), window_));
    }
    if (state_ == State::up) {
        start_down(event.now);
    }
}

/// The window was the limit, and the long-term bound was the window.
bool Bbr::bounded(const AckEvent& event) const {
    return static_cast<double>(event.sample.in_flight) + kLump * mtu_ >= window_ && window_ >= inflight_high_;
}

/// Slowly at first, then faster: the step doubles each round trip.
void Bbr::raise_inflight_high(const AckEvent& event) {
    if (!bounded(event)) {
        return;
    }
    up_acked_ += acked_;
    if (up_step_ > 0 && up_acked_ >= up_step_) {
        const auto steps = std::floor(up_acked_ / up_step_);
        up_acked_ -= steps * up_step_;
        inflight_high_ += steps * mtu_;
    }
    if (round_start_) {
        up_step_ = std::max(window_ / static_cast<double>(1U << static_cast<unsigned>(up_rounds_)), mtu_);
        up_rounds_ = std::min(up_rounds_ + 1, kMostUpRounds);
    }
}

bool Bbr::probe_due(TimePoint now) const {
    const auto reno_rounds = std::min(bdp(1) / mtu_, kMostRenoRounds);
    return now - cycle_start_ > probe_wait_ || static_cast<double>(rounds_since_probe_) >= reno_rounds;
}

void Bbr::cycle(const AckEvent& event) {
    const auto in_flight = static_cast<double>(event.in_flight);
    switch (state_) {
        case State::down:
            if (probe_due(event.now)) {
                start_refill(event);
            } else if (in_flight <= std::min(with_headroom(), bdp(1) + kAckedTogether * mtu_)) {
                start_cruise();
            }
            break;
        case State::cruise:
            if (probe_due(event.now)) {
                start_refill(event);
            }
            break;
        case State::refill:
            if (round_start_) {
                start_up(event);
            }
            break;
        case State::up:
            // As long as more is delivered than before, or nothing queues, the end of the line has not been seen.
            if (growth_stopped_ || (event.now - phase_start_ >= min_rtt_ && in_flight >= bdp(kUpPacing) &&
                                    event.latest_rtt >= min_rtt_ + min_rtt_ / kQueueSeen)) {
                start_down(event.now);
            }
            break;
        case State::startup:
        case State::drain:
        case State::probe_rtt:
            break;
    }
}

void Bbr::start_down(TimePoint now) {
    state_ = State::down;
    cycle_start_ = now;
    rounds_since_probe_ = 0;
    rounds_drained_ = 0;
    probe_acks_stopping_ = true;
    // Flows that met should not probe together for ever: what was delivered is as good as a die.
    probe_wait_ =
        kProbeWait + Duration{static_cast<Duration::rep>((round_end_ * 0x9e3779b97f4a7c15U) %
                                                         static_cast<std::uint64_t>(kProbeWaitSpread.count()))};
}

void Bbr::start_cruise() {
    state_ = State::cruise;
    standing_ = false;
}

void Bbr::start_refill(const AckEvent& event) {
    state_ = State::refill;
    forget_bounds();
    up_rounds_ = 0;
    up_acked_ = 0;
    probe_samples_ = false;
    // In the round trip that begins the pipe fills up again, without a queue; its end begins the probe.
    round_end_ = event.delivered;
}

void Bbr::start_up(const AckEvent& event) {
    state_ = State::up;
    phase_start_ = event.now;
    probe_samples_ = true;
    growth_stopped_ = false;
    full_bandwidth_ = event.sample.rate;
    rounds_without_growth_ = 0;
    up_step_ = window_;
    round_end_ = event.delivered;
}

}  // namespace pinhole::transport
