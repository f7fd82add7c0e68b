#include "tests/lab/model/nat_allocator.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace pinhole::lab {

namespace {

/// Linux tries as often before it gives up; here a search through the whole range follows.
constexpr int kRandomTries = 128;
/// Internal addresses that are remembered for pooling and blocks; more than any LAN of the lab has.
constexpr std::size_t kMaxHosts = 65536;
/// Background mappings that are drawn one by one; beyond, their number is drawn at once.
constexpr double kMaxDraws = 4096;

}  // namespace

NatAllocator::NatAllocator(const NatConfig& config, std::size_t external_addresses, Rng& rng)
    : config_(&config), rng_(&rng), addresses_(external_addresses) {
    counter_ = rng_->below(range());
}

std::uint32_t NatAllocator::range() const {
    const auto [low, high] = std::minmax(config_->first_port, config_->last_port);
    return static_cast<std::uint32_t>(high - low + 1);
}

std::uint16_t NatAllocator::port_at(std::uint64_t offset) const {
    return static_cast<std::uint16_t>(std::min(config_->first_port, config_->last_port) + offset % range());
}

std::size_t NatAllocator::choose_address(AddressKey internal) {
    if (addresses_ == 1) {
        return 0;
    }
    if (config_->pooling == Pooling::arbitrary || (hosts_.size() >= kMaxHosts && !hosts_.contains(internal))) {
        return rng_->below(addresses_);
    }
    auto& address = hosts_[internal].address;
    if (!address) {
        address = rng_->below(addresses_);
    }
    return *address;
}

std::optional<std::uint16_t> NatAllocator::preserved(std::uint16_t internal_port) const {
    const auto [low, high] = std::minmax(config_->first_port, config_->last_port);
    if (internal_port < low || internal_port > high) {
        return std::nullopt;
    }
    return port_at(static_cast<std::uint64_t>(internal_port - low) + shift_);
}

std::optional<std::uint16_t> NatAllocator::choose_port(const Request& request) {
    switch (request.allocation) {
        case Allocation::sequential:
            return next_in_sequence(request.is_free);
        case Allocation::block:
            return in_block(request);
        case Allocation::preserving:
        case Allocation::random:
            break;
    }
    return random_between(port_at(0), range(), request.is_free);
}

std::optional<std::uint16_t> NatAllocator::choose_identifier(std::uint16_t internal,
                                                             const std::function<bool(std::uint16_t)>& is_free) {
    if (is_free(internal)) {
        return internal;
    }
    return random_between(1, std::numeric_limits<std::uint16_t>::max(), is_free);
}

std::optional<std::uint16_t> NatAllocator::random_between(std::uint32_t first, std::uint32_t count,
                                                          const std::function<bool(std::uint16_t)>& is_free) {
    for (int i = 0; i < kRandomTries; ++i) {
        const auto port = static_cast<std::uint16_t>(first + rng_->below(count));
        if (is_free(port) && (retired_.empty() || !retired_[port])) {
            return port;
        }
    }
    const auto start = rng_->below(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto port = static_cast<std::uint16_t>(first + (start + i) % count);
        if (is_free(port)) {
            return port;
        }
    }
    return std::nullopt;
}

void NatAllocator::step(std::uint64_t times) {
    const std::int64_t count = range();
    const std::int64_t delta = config_->delta % count;
    const auto step = static_cast<std::uint64_t>(delta < 0 ? delta + count : delta);
    counter_ = (counter_ + step * (times % range())) % range();
}

std::optional<std::uint16_t> NatAllocator::next_in_sequence(const std::function<bool(std::uint16_t)>& is_free) {
    const std::uint32_t count = range();
    const auto residues = std::gcd(static_cast<std::uint32_t>(std::abs(config_->delta)), count);
    for (std::uint32_t residue = 0; residue < residues; ++residue) {
        for (std::uint32_t i = 0; i < count / residues; ++i) {
            step(1);
            if (is_free(port_at(counter_))) {
                return port_at(counter_);
            }
        }
        ++counter_;  // every port that is a multiple of delta away is taken
    }
    return std::nullopt;
}

std::optional<std::uint16_t> NatAllocator::in_block(const Request& request) {
    if (hosts_.size() >= kMaxHosts && !hosts_.contains(request.internal)) {
        return std::nullopt;
    }
    auto& blocks = hosts_[request.internal].blocks;
    const auto size = std::min<std::uint32_t>(std::max<std::uint32_t>(config_->block_size, 1), range());
    for (const auto& [address, first] : blocks) {
        if (address == request.external_index) {
            if (const auto port = random_between(first, size, request.is_free)) {
                return port;
            }
        }
    }
    while (const auto first = take_block(request.external_index)) {
        blocks.emplace_back(request.external_index, *first);
        if (const auto port = random_between(*first, size, request.is_free)) {
            return port;
        }
    }
    return std::nullopt;
}

std::optional<std::uint32_t> NatAllocator::take_block(std::size_t external_index) {
    const auto size = std::min<std::uint32_t>(std::max<std::uint32_t>(config_->block_size, 1), range());
    const auto count = range() / size;
    const auto start = rng_->below(count);
    for (const bool also_retired : {false, true}) {
        for (std::uint32_t i = 0; i < count; ++i) {
            const auto first = static_cast<std::uint32_t>(port_at((start + i) % count * size));
            const bool retired = !retired_.empty() && std::any_of(retired_.begin() + first,
                                                                  retired_.begin() + first + size, std::identity{});
            if ((also_retired || !retired) && !blocks_.contains({external_index, first})) {
                blocks_.emplace(external_index, first);
                return first;
            }
        }
    }
    return std::nullopt;
}

Duration NatAllocator::gap(double rate) {
    // The time between two events of a Poisson process; a century at most, so that it can be added to any time.
    const auto drawn = std::min(-std::log(1 - rng_->unit()) / rate, 3e9);
    return Duration{static_cast<Duration::rep>(drawn * 1e9)};
}

void NatAllocator::advance(TimePoint now) {
    if (config_->background != rate_) {
        rate_ = config_->background;
        if (rate_ > 0) {
            next_background_ = now + gap(rate_);
        }
    }
    if (rate_ <= 0 || next_background_ > now) {
        return;
    }
    std::uint64_t made = 0;
    const double expected = seconds(now - next_background_) * rate_;
    if (expected > kMaxDraws) {
        // So many are normally distributed; the sum of twelve uniform draws is close enough to that.
        double normal = -6;
        for (int i = 0; i < 12; ++i) {
            normal += rng_->unit();
        }
        made = static_cast<std::uint64_t>(expected + normal * std::sqrt(expected));
        next_background_ = now + gap(rate_);
    } else {
        while (next_background_ <= now) {
            ++made;
            next_background_ += gap(rate_);
        }
    }
    background_ += made;
    step(made);
}

void NatAllocator::reshuffle(const std::vector<std::uint16_t>& used) {
    retired_.assign(1U << 16U, false);
    for (const auto port : used) {
        retired_[port] = true;
    }
    hosts_.clear();
    blocks_.clear();
    // Far from where it was, both ways.
    const auto third = std::max<std::uint32_t>(range() / 3, 1);
    counter_ = (counter_ + third + rng_->below(third)) % range();
    if (range() > 1) {
        shift_ = static_cast<std::uint32_t>((shift_ + 1 + rng_->below(range() - 1)) % range());
    }
}

}  // namespace pinhole::lab
