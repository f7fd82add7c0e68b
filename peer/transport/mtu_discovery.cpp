#include "peer/transport/mtu_discovery.hpp"

#include <algorithm>
#include <array>

namespace pinhole::transport {

namespace {

// UDP payloads: IPv6's minimum less headers rounded up, what tunnels and PPPoE leave, Ethernet with IPv6 and with IPv4,
// jumbo frames; and then whatever is configured.
constexpr std::array<std::size_t, 5> kSteps{1280, 1400, 1452, 1472, 8952};
// RFC 8899 §5.1.2 and §5.1.1: MAX_PROBES and PMTU_RAISE_TIMER.
constexpr int kMaxProbes = 3;
constexpr Duration kRaise = 600s;
// A silence of the whole path looks much the same as a black hole: the first time it is soon asked again.
constexpr Duration kFirstPause = 5s;
constexpr Duration kLongestPause = 60s;
// Large packets lost one after another with no large one acknowledged that was sent later.
constexpr int kBlackHole = 3;

std::size_t step_below(std::size_t size) {
    std::size_t found = 0;
    for (const auto step : kSteps) {
        found = step < size ? step : found;
    }
    return found;
}

}  // namespace

MtuDiscovery::MtuDiscovery(std::size_t base, std::size_t maximum)
    : base_(base), maximum_(std::max(base, maximum)), current_(base), pause_(kFirstPause) {}

std::optional<std::size_t> MtuDiscovery::next_step() const {
    for (const auto step : kSteps) {
        if (step > current_ && step < maximum_) {
            return step;
        }
    }
    return maximum_ > current_ ? std::optional{maximum_} : std::nullopt;
}

std::optional<std::size_t> MtuDiscovery::probe_size(TimePoint now) const {
    if (in_flight_ > 0 || now < search_again_) {
        return std::nullopt;
    }
    return next_step();
}

std::optional<TimePoint> MtuDiscovery::next_probe() const {
    if (in_flight_ > 0 || !next_step()) {
        return std::nullopt;
    }
    return search_again_;
}

void MtuDiscovery::on_probe_sent(std::size_t size) {
    in_flight_ = size;
}

void MtuDiscovery::on_probe_acked(std::size_t size, TimePoint now) {
    if (size == in_flight_) {
        in_flight_ = 0;
        probes_lost_ = 0;
    }
    if (size > current_ && size <= maximum_) {
        current_ = size;
        large_lost_ = 0;
    }
    if (!next_step()) {
        end_search(now, kRaise);
    }
}

void MtuDiscovery::on_probe_lost(std::size_t size, TimePoint now) {
    if (size != in_flight_) {
        return;
    }
    in_flight_ = 0;
    if (++probes_lost_ >= kMaxProbes) {
        end_search(now, kRaise);
    }
}

void MtuDiscovery::end_search(TimePoint now, Duration pause) {
    in_flight_ = 0;
    probes_lost_ = 0;
    search_again_ = now + pause;
}

void MtuDiscovery::on_packet_acked(std::uint64_t number, std::size_t size) {
    if (size > base_ && (!largest_large_acked_ || number > *largest_large_acked_)) {
        largest_large_acked_ = number;
        large_lost_ = 0;
    }
}

bool MtuDiscovery::on_packet_lost(std::uint64_t number, std::size_t size, TimePoint now) {
    // RFC 8899 §4.3: a black hole.
    if (size <= base_ || current_ == base_ || (largest_large_acked_ && number < *largest_large_acked_)) {
        return false;
    }
    if (++large_lost_ < kBlackHole) {
        return false;
    }
    current_ = base_;
    large_lost_ = 0;
    end_search(now, pause_);
    pause_ = std::min(2 * pause_, kLongestPause);
    return true;
}

bool MtuDiscovery::on_too_big(std::size_t size, TimePoint now) {
    if (size <= base_) {
        return false;
    }
    // What is between two steps is not worth a probe for each byte.
    maximum_ = std::min(maximum_, std::max(step_below(size), base_));
    if (in_flight_ >= size) {
        in_flight_ = 0;
        probes_lost_ = 0;
    }
    if (current_ < size) {
        return false;
    }
    current_ = maximum_;
    end_search(now, kRaise);
    return true;
}

}  // namespace pinhole::transport
