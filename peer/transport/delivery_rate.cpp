#include "peer/transport/delivery_rate.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::transport {

DeliveryStamp DeliveryRate::on_sent(std::uint64_t in_flight, std::size_t size, TimePoint now) {
    if (in_flight == 0) {
        // Time without anything on the way is not time in which something could be delivered.
        first_sent_ = now;
        delivered_at_ = now;
    }
    return {.delivered = delivered_,
            .lost = lost_,
            .delivered_at = delivered_at_,
            .first_sent = first_sent_,
            .in_flight = static_cast<std::uint32_t>(in_flight + size),
            .app_limited = delivered_ < app_limited_until_};
}

void DeliveryRate::on_acked(const DeliveryStamp& stamp, TimePoint sent, std::size_t size, TimePoint now) {
    delivered_ += size;
    delivered_at_ = now;
    const bool newer =
        stamp.delivered > newest_.delivered || (stamp.delivered == newest_.delivered && sent >= newest_sent_);
    if (sampled_ && !newer) {
        return;
    }
    sampled_ = true;
    newest_ = stamp;
    newest_sent_ = sent;
    send_elapsed_ = sent - stamp.first_sent;
    first_sent_ = sent;
}

void DeliveryRate::mark_app_limited(std::uint64_t in_flight) {
    app_limited_until_ = std::max(app_limited_until_, delivered_ + std::max<std::uint64_t>(in_flight, 1));
}

RateSample DeliveryRate::take_sample(Duration min_rtt) {
    if (!std::exchange(sampled_, false)) {
        return {};
    }
    RateSample sample{.delivered = delivered_ - newest_.delivered,
                      .lost = lost_ - std::min(lost_, newest_.lost),
                      .prior_delivered = newest_.delivered,
                      .in_flight = newest_.in_flight,
                      .app_limited = newest_.app_limited};
    const auto interval = std::max(send_elapsed_, delivered_at_ - newest_.delivered_at);
    if (interval > Duration{0} && interval >= min_rtt) {
        sample.rate = static_cast<double>(sample.delivered) / seconds(interval);
    }
    return sample;
}

}  // namespace pinhole::transport
