// A rate for each source network, so that one of them, or whoever forges its addresses, cannot use up what is for all.
// Knows addresses and amounts only.
#pragma once

#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"

#include <cstddef>
#include <map>
#include <optional>

namespace pinhole::rendezvous {

/// Token buckets by source prefix (/24 of IPv4, /56 of IPv6: what one site usually holds). Bounded: when the table is
/// full, buckets that have filled up again are dropped, and without one of these a new prefix shares a single bucket
/// with all other newcomers.
class PrefixLimiter {
  public:
    struct Config {
        double per_second = 200;
        double burst = 400;
        std::size_t max_prefixes = 16384;  ///< about 1.5 MB
    };

    explicit PrefixLimiter(const Config& config) : config_(config), newcomers_{.tokens = config.burst, .filled = {}} {}

    /// Takes `amount` tokens if there are as many; takes none otherwise.
    [[nodiscard]] bool allow(const net::Address& source, TimePoint now, double amount = 1);

    [[nodiscard]] std::size_t size() const { return buckets_.size(); }

  private:
    struct Bucket {
        double tokens = 0;
        TimePoint filled;
    };

    Bucket& bucket_of(const net::Address& prefix, TimePoint now);
    void sweep(TimePoint now);
    void refill(Bucket& bucket, TimePoint now) const;

    Config config_;
    std::map<net::Address, Bucket> buckets_;
    Bucket newcomers_;
    std::optional<TimePoint> next_sweep_;
};

/// The first `size` bytes of an address, the rest zero.
[[nodiscard]] net::Address prefix_of(const net::Address& address, std::size_t size);

}  // namespace pinhole::rendezvous
