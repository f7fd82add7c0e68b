#include "peer/transport/rtt.hpp"

namespace pinhole::transport {

void Rtt::add_sample(Duration sample, Duration ack_delay) {
    latest_ = std::max(sample, Duration{1});
    if (!sampled_) {
        sampled_ = true;
        min_ = latest_;
        smoothed_ = latest_;
        variation_ = latest_ / 2;
        return;
    }
    // RFC 9002 §5.3: the delay is subtracted as far as the result stays above the minimum.
    min_ = std::min(min_, latest_);
    ack_delay = std::clamp(ack_delay, Duration{0}, kMaxAckDelay);
    const auto adjusted = latest_ >= min_ + ack_delay ? latest_ - ack_delay : latest_;
    const auto deviation = smoothed_ > adjusted ? smoothed_ - adjusted : adjusted - smoothed_;
    variation_ = (3 * variation_ + deviation) / 4;
    smoothed_ = (7 * smoothed_ + adjusted) / 8;
}

Duration Rtt::probe_timeout() const {
    return smoothed_ + std::max(4 * variation_, kGranularity) + kMaxAckDelay;
}

}  // namespace pinhole::transport
