#include "peer/transport/bbr.hpp"

#include "peer/transport/pacer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pinhole::transport {

namespace {

// Gains of the draft, §2.4: 4 ln 2 doubles the rate in a round trip; the inverse of two empties the queue that it made.
constexpr double kStartupPacing = 2.77;
constexpr double kDrainPacing = 0.5;
constexpr double kUpPacing = 1.25;
constexpr double kDownPacing = 0.9;
constexpr double kWindowGain = 2.0;
constexpr double kUpWindowGain = 2.25;
// A little below the bandwidth, so that what queue there is goes away.
constexpr double kPacingMargin = 0.99;
constexpr double kBeta = 0.7;
constexpr double kHeadroom = 0.85;
constexpr double kMinimumPackets = 4;
// §5.3.1.2: no more than a quarter faster for three round trips.
constexpr double kGrowth = 1.25;
constexpr int kRoundsWithoutGrowth = 3;
// §5.3.3.5: two to three seconds, or what a Reno flow would need to grow by its window, whichever is shorter.
constexpr Duration kProbeWait = 2s;
constexpr Duration kProbeWaitSpread = 1s;
constexpr double kMostRenoRounds = 63;
constexpr Duration kMinRttWindow = 10s;
constexpr Duration kProbeRttEvery = 5s;
constexpr Duration kProbeRttTime = 200ms;
constexpr double kProbeRttGain = 0.5;
// A round trip this near the shortest shows that the queue was empty.
constexpr int kNearMinRtt = 32;
constexpr Duration kNearMinRttFloor = 200us;
// What acknowledgements of several packets at once hide.
constexpr double kAckedTogether = 4;
// An acknowledgement opens the window by as many packets at once: with less room than that it was full.
constexpr double kLump = 12;
// Timers and wake-ups are no finer; on a shorter path the window must not be the limit.
constexpr Duration kShortestRtt = 2ms;
// A probe has filled the line when its queue adds such a part to the round trip: a quarter of what the probe sends too
// much.
constexpr int kQueueSeen = 16;
// In startup such a part of it says that the line is full, even if there was not always something to send.
constexpr int kQueueFull = 2;
// A queue that stands for as long as this is worth a few slower round trips.
constexpr Duration kStandingFloor = 1ms;
constexpr int kDrainRounds = 8;
constexpr int kExtraAckedRounds = 5;
// Nothing sent for so long: the next packet starts into an empty queue.
constexpr Duration kIdle = 1s;
constexpr int kMostUpRounds = 30;

bool is_near(Duration rtt, Duration shortest) {
    return shortest == Duration::max() || rtt <= shortest + shortest / kNearMinRtt + kNearMinRttFloor;
}

}  // namespace

Bbr::Bbr(std::size_t mtu) : mtu_(static_cast<double>(mtu)), window_(static_cast<double>(kInitialWindowPackets * mtu)) {}

double Bbr::bdp(double gain) const {
    if (min_rtt_ == Duration::max() || bandwidth() == 0) {
        return static_cast<double>(kInitialWindowPackets) * mtu_;
    }
    return gain * bandwidth() * seconds(std::max(min_rtt_, kShortestRtt));
}

double Bbr::with_headroom() const {
    return std::max(kHeadroom * inflight_high_, kMinimumPackets * mtu_);
}

double Bbr::pacing_gain() const {
    switch (state_) {
        case State::startup:
            return kStartupPacing;
        case State::drain:
            return kDrainPacing;
        case State::down:
            return kDownPacing;
        case State::cruise:
            return standing_ ? kDownPacing : 1;
        case State::up:
            return kUpPacing;
        case State::refill:
        case State::probe_rtt:
            break;
    }
    return 1;
}

double Bbr::window_gain() const {
    if (state_ == State::probe_rtt) {
        return kProbeRttGain;
    }
    return state_ == State::up ? kUpWindowGain : kWindowGain;
}

void Bbr::on_packet_sent(TimePoint now, std::uint64_t, std::size_t) {
    if (last_sent_ && now - *last_sent_ > kIdle) {
        restarted_ = true;
        if (in_probe_bw()) {
            start_cruise();
        }
    }
    last_sent_ = now;
}

void Bbr::on_packet_acked(TimePoint, std::size_t bytes) {
    acked_ += static_cast<double>(bytes);
}

void Bbr::on_ack(const AckEvent& event) {
    if (cycle_start_ == TimePoint{}) {
        cycle_start_ = phase_start_ = event.now;
    }
    note_queue(event);
    update_round(event);
    update_bandwidth(event.sample);
    update_aggregation(event);
    check_full_pipe(event);
    leave_startup(event);
    adapt_inflight_high(event);
    if (in_probe_bw()) {
        cycle(event);
    }
    update_min_rtt(event);
    if (round_start_) {
        end_round(event);
    }
    update_window(event);
    lost_before_ = event.lost;
    acked_ = 0;
    restarted_ = false;
}

void Bbr::note_queue(const AckEvent& event) {
    if (min_rtt_ == Duration::max()) {
        return;
    }
    const auto queueing = event.latest_rtt - std::min(min_rtt_, event.latest_rtt);
    judge_.on_queueing(queueing);
    round_shortest_queue_ = std::min(round_shortest_queue_, queueing);
    if (event.lost > lost_before_) {
        round_queueing_ = std::max(round_queueing_, queueing);
    }
}

/// What was lost of the packets that were on the way when the one that is acknowledged left.
LossJudge::Flight Bbr::flight_of(const RateSample& sample) const {
    return {.packets = static_cast<double>(sample.in_flight) / mtu_,
            .lost = static_cast<double>(sample.lost) / mtu_,
            .queueing = round_queueing_,
            .run = round_run_};
}

void Bbr::update_round(const AckEvent& event) {
    round_start_ = event.sample.rate > 0 && event.sample.prior_delivered >= round_end_;
    if (round_start_) {
        round_end_ = event.delivered;
        ++rounds_since_probe_;
    }
}

void Bbr::update_bandwidth(const RateSample& sample) {
    bandwidth_latest_ = std::max(bandwidth_latest_, sample.rate);
    inflight_latest_ = std::max(inflight_latest_, static_cast<double>(sample.delivered));
    if (!sample.app_limited || sample.rate >= max_bandwidth()) {
        bandwidths_[1] = std::max(bandwidths_[1], sample.rate);
    }
}

/// §5.5.10: what the losses of the last round trip say, unless they were asked for.
void Bbr::end_round(const AckEvent& event) {
    // Fewer than at its start are lost if some of them have arrived after all.
    const auto lost = event.lost - std::min(event.lost, lost_at_round_start_);
    const LossJudge::Flight flight{
        .packets = static_cast<double>(event.delivered - delivered_at_round_start_ + lost) / mtu_,
        .lost = static_cast<double>(lost) / mtu_,
        .queueing = round_queueing_,
        .run = round_run_};
    const bool congested = round_marked_ || judge_.congested(flight);
    // What was sent while probing is judged by adapt_inflight_high; it comes back a round trip later.
    if (congested && !probing() && !round_probed_) {
        lower_bounds();
    }
    round_probed_ = probing();
    judge_.learn(flight);
    judge_queue();
    delivered_at_round_start_ = event.delivered;
    lost_at_round_start_ = event.lost;
    round_queueing_ = {};
    round_run_ = false;
    round_marked_ = false;
    bandwidth_latest_ = event.sample.rate;
    inflight_latest_ = static_cast<double>(event.sample.delivered);
}

/// A queue that does not go away in a whole round trip of steady sending is of our making: the bandwidth was taken for
/// more than it is, by acknowledgements that came late and then together. If it stays all the same it is another's.
void Bbr::judge_queue() {
    const auto shortest = std::exchange(round_shortest_queue_, Duration::max());
    const auto enough = std::max(min_rtt_ / kQueueSeen, kStandingFloor);
    standing_ = state_ == State::cruise && shortest != Duration::max() && rounds_drained_ < kDrainRounds &&
                shortest > (standing_ ? enough / 2 : enough);
    rounds_drained_ += standing_ ? 1 : 0;
}

void Bbr::lower_bounds() {
    if (bandwidth_low_ == kUnlimited) {
        bandwidth_low_ = max_bandwidth();
    }
    if (inflight_low_ == kUnlimited) {
        inflight_low_ = window_;
    }
    bandwidth_low_ = kBeta * std::max(bandwidth_latest_, bandwidth_low_);
    inflight_low_ = kBeta * std::max(inflight_latest_, inflight_low_);
}

void Bbr::forget_bounds() {
    bandwidth_low_ = kUnlimited;
    inflight_low_ = kUnlimited;
}

/// §5.5.9: how much more than the bandwidth times the time is acknowledged at once.
void Bbr::update_aggregation(const AckEvent& event) {
    if (round_start_ && ++extra_rounds_ >= kExtraAckedRounds) {
        extra_rounds_ = 0;
        extra_acked_ = {extra_acked_[1], 0};
    }
    const auto expected = bandwidth() * seconds(event.now - lump_start_);
    if (lump_acked_ <= expected) {
        lump_start_ = event.now;
        lump_acked_ = acked_;
        return;
    }
    lump_acked_ += acked_;
    extra_acked_[1] = std::clamp(lump_acked_ - expected, extra_acked_[1], std::max(window_, extra_acked_[1]));
}

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

void Bbr::update_min_rtt(const AckEvent& event) {
    const bool expired = recent_min_rtt_ != Duration::max() && event.now > recent_min_rtt_at_ + kProbeRttEvery;
    if (expired || is_near(event.latest_rtt, recent_min_rtt_)) {
        recent_min_rtt_ = expired ? event.latest_rtt : std::min(recent_min_rtt_, event.latest_rtt);
        recent_min_rtt_at_ = event.now;
    }
    if (is_near(event.latest_rtt, min_rtt_)) {
        min_rtt_ = std::min(min_rtt_, event.latest_rtt);
        min_rtt_at_ = event.now;
    } else if (event.now > min_rtt_at_ + kMinRttWindow) {
        min_rtt_ = recent_min_rtt_;
        min_rtt_at_ = recent_min_rtt_at_;
    }
    probe_rtt(event, expired);
}

void Bbr::probe_rtt(const AckEvent& event, bool expired) {
    if (state_ != State::probe_rtt) {
        if (expired && !restarted_ && pipe_full_) {
            state_ = State::probe_rtt;
            window_before_ = window_;
            probe_rtt_end_.reset();
        }
        return;
    }
    if (!probe_rtt_end_ && static_cast<double>(event.in_flight) <= bdp(kProbeRttGain) + kAckedTogether * mtu_) {
        probe_rtt_end_ = event.now + std::max(kProbeRttTime, min_rtt_);
    }
    if (probe_rtt_end_ && event.now >= *probe_rtt_end_) {
        recent_min_rtt_at_ = event.now;
        window_ = std::max(window_, window_before_);
        forget_bounds();
        start_down(event.now);
        start_cruise();
    }
}

void Bbr::update_window(const AckEvent& event) {
    const auto batches = 3 * static_cast<double>(Pacer::quantum(pacing_rate({}), static_cast<std::size_t>(mtu_)));
    // While the rate still grows, more than the bandwidth of a moment ago is no lump.
    const auto lumps = pipe_full_ ? std::max(extra_acked_[0], extra_acked_[1]) : 0;
    const auto target = bdp(window_gain()) + lumps + batches;
    if (pipe_full_) {
        window_ = std::min(window_ + acked_, target);
    } else if (window_ < target || event.delivered < kInitialWindowPackets * static_cast<std::uint64_t>(mtu_)) {
        window_ += acked_;
    }
    auto cap = static_cast<double>(kMaximumWindow);
    if (state_ == State::probe_rtt) {
        cap = std::min(cap, bdp(kProbeRttGain));
    }
    if (state_ == State::cruise || state_ == State::probe_rtt || state_ == State::down) {
        cap = std::min(cap, with_headroom());
    } else if (in_probe_bw()) {
        cap = std::min(cap, inflight_high_);
    }
    cap = std::min(cap, inflight_low_);
    window_ = std::max(std::min(window_, cap), kMinimumPackets * mtu_);
}

void Bbr::on_congestion(const CongestionEvent& event) {
    round_run_ = round_run_ || event.run;
    round_marked_ = round_marked_ || event.ecn;
    if (event.persistent) {
        // RFC 9002 §7.6.2. What comes back opens the window again as fast as it comes.
        window_ = kMinimumPackets * mtu_;
    }
}

void Bbr::on_spurious_loss(TimePoint) {
    forget_bounds();
    inflight_high_ = std::max(inflight_high_, inflight_high_before_);
}

void Bbr::set_mtu(std::size_t mtu) {
    mtu_ = static_cast<double>(mtu);
}

std::uint64_t Bbr::window() const {
    return static_cast<std::uint64_t>(window_);
}

double Bbr::pacing_rate(Duration smoothed_rtt) const {
    if (bandwidth() == 0) {
        return kStartupPacing * window_ / std::max(seconds(smoothed_rtt), 1e-3);
    }
    // To be delivered at the bandwidth it has to be sent so much faster.
    return pacing_gain() * kPacingMargin * bandwidth() / (1 - judge_.ambient());
}

}  // namespace pinhole::transport
