#include "peer/transport/hystart.hpp"

namespace pinhole::transport {

namespace {

// RFC 9406 §4.3.
constexpr Duration kMinThreshold = 4ms;
constexpr Duration kMaxThreshold = 16ms;
constexpr int kThresholdDivisor = 8;
constexpr int kSamples = 8;
constexpr std::uint64_t kGrowthDivisor = 4;
constexpr int kConservativeRounds = 5;

}  // namespace

void HyStart::on_ack(std::uint64_t largest_acked, std::uint64_t next_packet, Duration rtt) {
    if (phase_ == Phase::finished) {
        return;
    }
    round_min_ = std::min(round_min_, rtt);
    ++samples_;
    judge();
    if (largest_acked < round_end_) {
        return;
    }
    if (phase_ == Phase::conservative && ++conservative_rounds_ >= kConservativeRounds) {
        phase_ = Phase::finished;
    }
    last_round_min_ = round_min_;
    round_min_ = Duration::max();
    samples_ = 0;
    round_end_ = next_packet;
}

// RFC 9406 §4.2.
void HyStart::judge() {
    if (samples_ < kSamples) {
        return;
    }
    if (phase_ == Phase::slow_start && last_round_min_ != Duration::max()) {
        const auto threshold = std::clamp(last_round_min_ / kThresholdDivisor, kMinThreshold, kMaxThreshold);
        if (round_min_ >= last_round_min_ + threshold) {
            phase_ = Phase::conservative;
            baseline_ = round_min_;
            conservative_rounds_ = 0;
        }
    } else if (phase_ == Phase::conservative && round_min_ < baseline_) {
        phase_ = Phase::slow_start;
        baseline_ = Duration::max();
    }
}

std::uint64_t HyStart::growth(std::uint64_t acked) const {
    return phase_ == Phase::conservative ? acked / kGrowthDivisor : acked;
}

}  // namespace pinhole::transport
