#include "peer/transport/path.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::transport {

namespace {

constexpr Duration kLongestProbeTimeout = 2s;
constexpr std::uint32_t kMaxBackoff = 10;
constexpr std::uint64_t kMaxPacketThreshold = 128;
// Two round trips: what comes later than that is as good as lost.
constexpr int kMaxTimeThresholdEighths = 16;
// RFC 9002 §7.7: bursts no larger than the initial window of RFC 6928.
constexpr double kBurstPackets = 3;
// A quantum of the pacer: what is sent later than that was not held back by the network.
// What was not sent because this machine was late may be made up for by so much.
constexpr Duration kCatchUp = 2ms;
constexpr Duration kLate = 1500us;
// With such a part of the round trip in a queue the network is the limit all the same.
constexpr int kQueueSeen = 8;

}  // namespace

Duration Path::loss_delay() const {
    return std::max(std::max(rtt.latest(), rtt.smoothed()) * time_threshold_eighths / 8, kGranularity);
}

Duration Path::probe_timeout() const {
    const auto base = rtt.probe_timeout();
    return std::min(base * (1U << std::min(probe_timeouts, kMaxBackoff)), std::max(2 * base, kLongestProbeTimeout));
}

void Path::refill_pacer(TimePoint now) {
    const auto due = std::exchange(paced_until, std::nullopt);
    const auto late = due ? std::max(now - *due, Duration{0}) : Duration{0};
    if (late > kLate && rtt.latest() < rtt.min() + rtt.min() / kQueueSeen) {
        delivery.mark_app_limited(in_flight);
    }
    const auto packet = static_cast<double>(mtu.current());
    const auto bytes_per_second = rate();
    // Before there is a round-trip time there is no rate to pace by: the initial window goes out at once.
    const auto packets = rtt.sampled() ? kBurstPackets : static_cast<double>(kInitialWindowPackets);
    const auto quantum = static_cast<double>(Pacer::quantum(bytes_per_second, mtu.current()));
    const auto missed = bytes_per_second * seconds(std::min(late, kCatchUp));
    pacer.refill(now, bytes_per_second, std::max({quantum, packets * packet, missed}));
}

void Path::tolerate_reordering(std::uint64_t packets) {
    packet_threshold = std::clamp(packets + 1, packet_threshold, kMaxPacketThreshold);
    time_threshold_eighths = std::min(time_threshold_eighths + 1, kMaxTimeThresholdEighths);
}

}  // namespace pinhole::transport
