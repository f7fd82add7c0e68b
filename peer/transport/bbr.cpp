#include "peer/transport/bbr.hpp"

#include "peer/transport/pacer.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::transport {

namespace {

// Gains of the draft, §2.4: 4 ln 2 doubles the rate in a round trip; the inverse of two empties the queue that it made.
constexpr double kStartupPacing = 2.77;
constexpr double kDrainPacing = 0.5;
constexpr double kDownPacing = 0.9;
constexpr double kWindowGain = 2.0;
constexpr double kUpWindowGain = 2.25;
// A little below the bandwidth, so that what queue there is goes away.
constexpr double kPacingMargin = 0.99;
constexpr double kHeadroom = 0.85;
constexpr double kMinimumPackets = 4;
// How long a shortest round trip counts, how often a new one is looked for, and how.
constexpr Duration kMinRttWindow = 10s;
constexpr Duration kProbeRttEvery = 5s;
constexpr Duration kProbeRttTime = 200ms;
constexpr double kProbeRttGain = 0.5;
// A round trip this near the shortest shows that the queue was empty.
constexpr int kNearMinRtt = 32;
constexpr Duration kNearMinRttFloor = 200us;
// Timers and wake-ups are no finer; on a shorter path the window must not be the limit.
constexpr Duration kShortestRtt = 2ms;
// A queue that stands for as long as this is worth a few slower round trips.
constexpr Duration kStandingFloor = 1ms;
constexpr int kDrainRounds = 8;
constexpr int kExtraAckedRounds = 5;
// Nothing sent for so long: the next packet starts into an empty queue.
constexpr Duration kIdle = 1s;

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
