#include "tests/sim/link.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::sim {

bool Link::loses() {
    if (burst_left_ > 0) {
        --burst_left_;
        return true;
    }
    if (chance(config_.burst_loss)) {
        burst_left_ = rng_->below(config_.burst_length);
        return true;
    }
    return chance(config_.loss);
}

Duration Link::up_to(Duration bound) {
    return bound <= Duration{0}
               ? Duration{0}
               : Duration{static_cast<Duration::rep>(rng_->below(static_cast<std::uint64_t>(bound.count())))};
}

void Link::send(Datagram datagram, TimePoint now) {
    if (!up_ || datagram.payload.size() > config_.mtu || loses()) {
        ++dropped_;
        return;
    }
    auto departure = now;
    if (config_.bytes_per_second > 0) {
        const auto backlog = seconds(std::max(free_at_ - now, Duration{0})) * config_.bytes_per_second;
        if (backlog + static_cast<double>(datagram.payload.size()) > static_cast<double>(config_.queue_bytes)) {
            ++dropped_;
            return;
        }
        const auto wire = static_cast<double>(datagram.payload.size() + 28) / config_.bytes_per_second;
        free_at_ = std::max(free_at_, now) + Duration{static_cast<Duration::rep>(wire * 1e9)};
        departure = free_at_;
    }
    if (config_.strip_ecn) {
        datagram.ecn = net::Ecn::not_ect;
    }
    if (config_.mark && datagram.ecn == net::Ecn::ect0) {
        datagram.ecn = net::Ecn::ce;
    }
    if (chance(config_.duplicate)) {
        deliver(datagram, departure + up_to(config_.reorder_delay));
    }
    if (chance(config_.corrupt) && !datagram.payload.empty()) {
        datagram.payload[rng_->below(datagram.payload.size())] ^= static_cast<std::uint8_t>(1 + rng_->below(255));
    }
    deliver(std::move(datagram), departure);
}

void Link::deliver(Datagram datagram, TimePoint departure) {
    auto arrival = departure + config_.delay + up_to(config_.jitter);
    if (chance(config_.reorder)) {
        arrival += up_to(config_.reorder_delay);
    } else {
        arrival = std::max(arrival, last_arrival_);
        last_arrival_ = arrival;
    }
    flights_.push({.arrival = arrival, .order = order_++, .datagram = std::move(datagram)});
}

std::optional<TimePoint> Link::next_arrival() const {
    return flights_.empty() ? std::nullopt : std::optional{flights_.top().arrival};
}

std::optional<Datagram> Link::receive(TimePoint now) {
    if (flights_.empty() || flights_.top().arrival > now) {
        return std::nullopt;
    }
    auto datagram = flights_.top().datagram;
    flights_.pop();
    return datagram;
}

}  // namespace pinhole::sim
