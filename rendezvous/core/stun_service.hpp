// The STUN server (RFC 8489 §7.3.1): tells whoever asks from which address it was heard. Stateless but for a rate limit
// per source network, so that a forged source cannot turn it into a reflector. Driven by the shell, one call a
// datagram.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"

#include <cstdint>
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

    /// Takes a token if there is one.
    [[nodiscard]] bool allow(const net::Address& source, TimePoint now);

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

class StunService {
  public:
    struct Stats {
        std::uint64_t answered = 0;
        std::uint64_t refused = 0;  ///< answered with 420
        std::uint64_t dropped = 0;  ///< not a Binding request
        std::uint64_t limited = 0;
    };

    explicit StunService(const PrefixLimiter::Config& limits = {}) : limiter_(limits) {}

    /// The answer to send back to `source`, or nothing.
    [[nodiscard]] std::optional<Bytes> handle_datagram(ByteView request, const net::Endpoint& source, TimePoint now);

    [[nodiscard]] const Stats& stats() const { return stats_; }

  private:
    PrefixLimiter limiter_;
    Stats stats_;
};

/// The pure part, without the limit: Success with XOR-MAPPED-ADDRESS, or 420; FINGERPRINT if the request had one and
/// nothing more, so that the answer stays about as small as the question.
[[nodiscard]] std::optional<Bytes> answer_binding(ByteView request, const net::Endpoint& source);

}  // namespace pinhole::rendezvous
