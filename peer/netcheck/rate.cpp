#include "peer/netcheck/rate.hpp"

#include <algorithm>
#include <cstdlib>

namespace pinhole::netcheck {

namespace {

/// Mappings of others between two marks; nothing if the count wrapped or jumped.
std::optional<std::int64_t> others(std::span<const PortSample> own, const PortSample& from, const PortSample& to,
                                   std::int32_t delta) {
    const auto position = [&](const PortSample& sample) {
        return (static_cast<std::int64_t>(sample.external.port) - from.external.port) * (delta > 0 ? 1 : -1);
    };
    const auto moved = position(to);
    const auto step = std::abs(delta);
    if (moved <= 0 || moved % step != 0) {
        return std::nullopt;
    }
    const auto ours = std::ranges::count_if(own, [&](const PortSample& sample) {
        const auto at = position(sample);
        return at > 0 && at <= moved && at % step == 0;
    });
    return std::max<std::int64_t>(moved / step - ours, 0);
}

}  // namespace

std::optional<double> mapping_rate(const RateEvidence& evidence, std::int32_t delta, Duration apart) {
    if (delta == 0) {
        return std::nullopt;
    }
    std::int64_t count = 0;
    Duration time{};
    const PortSample* last = nullptr;
    for (const auto& sample : evidence.marks) {
        if (!sample.exact) {
            continue;
        }
        if (last == nullptr || sample.external.address != last->external.address) {
            last = &sample;
            continue;
        }
        if (sample.sent_at - last->sent_at < apart) {
            continue;
        }
        const bool disturbed = std::ranges::any_of(
            evidence.disturbances, [&](TimePoint at) { return last->sent_at <= at && at <= sample.sent_at; });
        if (const auto made = others(evidence.own, *last, sample, delta); made && !disturbed) {
            count += *made;
            time += sample.sent_at - last->sent_at;
        }
        last = &sample;
    }
    if (time < kMinRateTime) {
        return std::nullopt;
    }
    return static_cast<double>(count) / seconds(time);
}

}  // namespace pinhole::netcheck
