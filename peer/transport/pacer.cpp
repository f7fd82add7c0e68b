#include "peer/transport/pacer.hpp"

#include <cmath>

namespace pinhole::transport {

void Pacer::refill(TimePoint now, double bytes_per_second, double burst) {
    if (rate_ == 0) {
        budget_ = burst;
    } else if (now > updated_) {
        budget_ = std::min(burst, budget_ + seconds(now - updated_) * bytes_per_second);
    }
    rate_ = bytes_per_second;
    updated_ = std::max(updated_, now);
}

TimePoint Pacer::ready_at() const {
    if (may_send()) {
        return updated_;
    }
    return updated_ + Duration{static_cast<Duration::rep>(std::ceil(-budget_ / rate_ * 1e9)) + 1};
}

std::size_t Pacer::quantum(double bytes_per_second, std::size_t mtu, Duration time) {
    const auto bytes = static_cast<std::size_t>(std::min(bytes_per_second * seconds(time), double{kMaxBatchBytes}));
    return std::clamp(bytes, 2 * mtu, std::max(2 * mtu, std::min(kMaxBatchPackets * mtu, kMaxBatchBytes)));
}

}  // namespace pinhole::transport
