#include "rendezvous/core/prefix_limiter.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace pinhole::rendezvous {

namespace {

/// How often a full table is searched for buckets to drop: bounds what a flood of forged sources costs.
constexpr Duration kSweepInterval = 1s;
constexpr std::size_t kPrefixV4 = 3;
constexpr std::size_t kPrefixV6 = 7;

}  // namespace

net::Address prefix_of(const net::Address& address, std::size_t size) {
    std::array<std::uint8_t, 16> bytes{};
    const auto all = address.bytes();
    std::ranges::copy(all.first(std::min(size, all.size())), bytes.begin());
    return *net::Address::from_bytes(ByteView{bytes}.first(all.size()));
}

bool PrefixLimiter::allow(const net::Address& source, TimePoint now, double amount) {
    const auto plain = source.unmapped();
    auto& bucket = bucket_of(prefix_of(plain, plain.is_v4() ? kPrefixV4 : kPrefixV6), now);
    refill(bucket, now);
    if (bucket.tokens < amount) {
        return false;
    }
    bucket.tokens -= amount;
    return true;
}

PrefixLimiter::Bucket& PrefixLimiter::bucket_of(const net::Address& prefix, TimePoint now) {
    if (const auto found = buckets_.find(prefix); found != buckets_.end()) {
        return found->second;
    }
    if (buckets_.size() >= config_.max_prefixes) {
        sweep(now);
    }
    if (buckets_.size() >= config_.max_prefixes) {
        return newcomers_;
    }
    return buckets_.emplace(prefix, Bucket{.tokens = config_.burst, .filled = now}).first->second;
}

void PrefixLimiter::sweep(TimePoint now) {
    if (next_sweep_ && now < *next_sweep_) {
        return;
    }
    next_sweep_ = now + kSweepInterval;
    for (auto entry = buckets_.begin(); entry != buckets_.end();) {
        refill(entry->second, now);
        entry = entry->second.tokens >= config_.burst ? buckets_.erase(entry) : std::next(entry);
    }
}

void PrefixLimiter::refill(Bucket& bucket, TimePoint now) const {
    if (now > bucket.filled) {
        bucket.tokens = std::min(config_.burst, bucket.tokens + seconds(now - bucket.filled) * config_.per_second);
        bucket.filled = now;
    }
}

}  // namespace pinhole::rendezvous
