#include "peer/transport/ledbat.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace pinhole::transport {

namespace {

// §4.1 and §4.2 of the draft.
constexpr Duration kTarget = 60ms;
constexpr double kSteepestGain = 16;
constexpr double kDecreaseConstant = 1;
// §4.3: slow start ends before the target is reached.
constexpr double kSlowStartExit = 0.75;
// §4.4: a slowdown lasts two round trips at two packets, and a tenth of the time altogether.
constexpr int kSlowdownRounds = 2;
constexpr int kSlowdownShare = 9;
constexpr double kSmallest = 2;
constexpr Duration kMinute = 60s;
constexpr double kPacing = 1.25;

}  // namespace

Ledbat::Ledbat(std::size_t mtu)
    : mtu_(static_cast<double>(mtu)), window_(kSmallest * mtu_), threshold_(std::numeric_limits<double>::infinity()) {
    recent_.fill(Duration::max());
    history_.fill(Duration::max());
}

void Ledbat::on_packet_sent(TimePoint, std::uint64_t, std::size_t) {}

void Ledbat::on_packet_acked(TimePoint, std::size_t bytes) {
    acked_ += static_cast<double>(bytes);
}

void Ledbat::on_ack(const AckEvent& event) {
    note_delay(event.latest_rtt, event.now);
    const auto acked = std::exchange(acked_, 0);
    manage_slowdown(event);
    if (!event.app_limited && !(slowdown_end_ && !ramping_)) {
        adapt(acked);
    }
    window_ = std::clamp(window_, kSmallest * mtu_, static_cast<double>(kMaximumWindow));
}

void Ledbat::note_delay(Duration rtt, TimePoint now) {
    recent_[next_recent_++ % recent_.size()] = rtt;
    if (now - minute_start_ >= kMinute) {
        std::ranges::rotate(history_, history_.end() - 1);
        history_.front() = Duration::max();
        minute_start_ = now;
    }
    history_.front() = std::min(history_.front(), rtt);
}

Duration Ledbat::base_delay() const {
    return *std::ranges::min_element(history_);
}

Duration Ledbat::queueing_delay() const {
    return *std::ranges::min_element(recent_) - base_delay();
}

/// §4.2: on short paths a whole packet each round trip would be more than Reno's share.
double Ledbat::gain() const {
    const auto steps = std::ceil(2 * seconds(kTarget) / std::max(seconds(base_delay()), 1e-6));
    return 1 / std::min(kSteepestGain, steps);
}

void Ledbat::adapt(double acked) {
    const auto delay = seconds(queueing_delay()) / seconds(kTarget);
    if ((first_slow_start_ || ramping_) && window_ < threshold_) {
        window_ = std::min(window_ + gain() * acked, threshold_);
        if (first_slow_start_ && delay > kSlowStartExit) {
            threshold_ = window_;
        }
        return;
    }
    const auto rounds = acked / window_;
    if (delay <= 1) {
        window_ += gain() * mtu_ * rounds;
        return;
    }
    const auto change = gain() * mtu_ - kDecreaseConstant * window_ * (delay - 1);
    window_ += std::max(change, -window_ / 2) * rounds;
}

void Ledbat::manage_slowdown(const AckEvent& event) {
    if (slowdown_end_) {
        if (!ramping_ && event.now >= *slowdown_end_) {
            ramping_ = true;
        }
        if (ramping_ && window_ >= threshold_) {
            next_slowdown_ = event.now + kSlowdownShare * (event.now - slowdown_start_);
            slowdown_end_.reset();
            ramping_ = false;
        }
        return;
    }
    if (window_ >= threshold_ && first_slow_start_) {
        first_slow_start_ = false;
        next_slowdown_ = event.now + kSlowdownRounds * event.smoothed_rtt;
    }
    if (next_slowdown_ && event.now >= *next_slowdown_) {
        slowdown_start_ = event.now;
        slowdown_end_ = event.now + kSlowdownRounds * event.smoothed_rtt;
        threshold_ = window_;
        window_ = kSmallest * mtu_;
    }
}

void Ledbat::on_congestion(const CongestionEvent& event) {
    if (recovery_start_ && event.newest_sent <= *recovery_start_) {
        return;
    }
    recovery_start_ = event.now;
    window_ = std::max(event.persistent ? 0 : window_ / 2, kSmallest * mtu_);
    threshold_ = slowdown_end_ ? threshold_ / 2 : window_;
}

void Ledbat::on_spurious_loss(TimePoint) {}

void Ledbat::set_mtu(std::size_t mtu) {
    mtu_ = static_cast<double>(mtu);
}

std::uint64_t Ledbat::window() const {
    return static_cast<std::uint64_t>(window_);
}

double Ledbat::pacing_rate(Duration smoothed_rtt) const {
    return kPacing * window_ / std::max(seconds(smoothed_rtt), 1e-5);
}

}  // namespace pinhole::transport
