#include "tests/lab/model/link.hpp"

#include <algorithm>

namespace pinhole::lab {

namespace {

/// Packets in flight: 100,000 packets/s for a little over 2.5 seconds.
constexpr std::size_t kMaxInFlight = 1U << 18U;

}  // namespace

bool Link::chance(double probability) {
    return probability > 0 && rng_->unit() < probability;
}

Duration Link::up_to(Duration bound) {
    return bound <= Duration{0}
               ? Duration{0}
               : Duration{static_cast<Duration::rep>(rng_->below(static_cast<std::uint64_t>(bound.count())))};
}

bool Link::loses() {
    if (burst_left_ > 0) {
        --burst_left_;
        return true;
    }
    if (chance(config_.burst_loss)) {
        burst_left_ = rng_->below(std::max<std::uint64_t>(config_.burst_length, 1));
        return true;
    }
    return chance(config_.loss);
}

std::optional<TimePoint> Link::transmit(std::size_t size, TimePoint now) {
    if (config_.bytes_per_second <= 0) {
        return now;
    }
    const auto backlog = seconds(std::max(free_at_ - now, Duration{0})) * config_.bytes_per_second;
    if (backlog > 0 && backlog + static_cast<double>(size) > static_cast<double>(config_.queue_bytes)) {
        return std::nullopt;
    }
    const auto wire = static_cast<double>(size) / config_.bytes_per_second;
    free_at_ = std::max(free_at_, now) + Duration{static_cast<Duration::rep>(wire * 1e9)};
    return free_at_;
}

SendOutcome Link::send(Packet packet, TimePoint now) {
    const auto size = std::max(packet.size, packet.payload.size());
    if (!config_.up) {
        ++dropped_;
        return SendOutcome::lost;
    }
    if (!fits(packet)) {
        ++dropped_;
        return SendOutcome::too_big;
    }
    const auto departure = loses() || heap_.size() >= kMaxInFlight ? std::nullopt : transmit(size, now);
    if (!departure) {
        ++dropped_;
        return SendOutcome::lost;
    }
    if (config_.strip_ecn) {
        packet.ecn = net::Ecn::not_ect;
    }
    if (config_.mark && packet.ecn != net::Ecn::not_ect) {
        packet.ecn = net::Ecn::ce;
    }
    if (chance(config_.duplicate)) {
        land(packet, *departure + config_.delay + up_to(config_.jitter) + up_to(config_.reorder_delay));
    }
    if (chance(config_.corrupt) && !packet.payload.empty()) {
        packet.payload[rng_->below(packet.payload.size())] ^= static_cast<std::uint8_t>(1 + rng_->below(255));
    }
    fly(std::move(packet), *departure);
    return SendOutcome::sent;
}

void Link::fly(Packet packet, TimePoint departure) {
    auto arrival = departure + config_.delay + up_to(config_.jitter);
    if (chance(config_.reorder)) {
        arrival += up_to(config_.reorder_delay);
    } else {
        arrival = std::max(arrival, last_arrival_);
        last_arrival_ = arrival;
    }
    land(std::move(packet), arrival);
}

void Link::land(Packet packet, TimePoint arrival) {
    auto slot = packets_.size();
    if (free_slots_.empty()) {
        packets_.push_back(std::move(packet));
    } else {
        slot = free_slots_.back();
        free_slots_.pop_back();
        packets_[slot] = std::move(packet);
    }
    heap_.push_back({.arrival = arrival, .order = order_++, .slot = slot});
    std::ranges::push_heap(heap_, later);
}

std::optional<TimePoint> Link::next_arrival() const {
    return heap_.empty() ? std::nullopt : std::optional{heap_.front().arrival};
}

std::optional<Packet> Link::receive(TimePoint now) {
    if (heap_.empty() || heap_.front().arrival > now) {
        return std::nullopt;
    }
    std::ranges::pop_heap(heap_, later);
    const auto slot = heap_.back().slot;
    heap_.pop_back();
    free_slots_.push_back(slot);
    return std::move(packets_[slot]);
}

void Link::clear() {
    dropped_ += heap_.size();
    heap_.clear();
    packets_.clear();
    free_slots_.clear();
    free_at_ = {};
    last_arrival_ = {};
}

}  // namespace pinhole::lab
