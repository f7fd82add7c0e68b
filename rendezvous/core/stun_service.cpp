#include "rendezvous/core/stun_service.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace pinhole::rendezvous {

namespace {

using stun::AttributeType;
using stun::MessageClass;

/// Larger questions are not STUN of any client: RFC 8489 §6.1 keeps requests below the path MTU, 548 bytes where
/// unknown.
constexpr std::size_t kMaxRequest = 1280;
/// How often a full table is searched for buckets to drop: bounds what a flood of forged sources costs.
constexpr Duration kSweepInterval = 1s;
constexpr std::size_t kPrefixV4 = 3;
constexpr std::size_t kPrefixV6 = 7;

/// Required attributes that a Binding request may bring. Credentials are understood, though none are asked for.
/// CHANGE-REQUEST is not among them: RFC 5780 §6.1 wants 420 from a server with one address.
constexpr std::array kUnderstood{AttributeType::username,
                                 AttributeType::realm,
                                 AttributeType::nonce,
                                 AttributeType::message_integrity,
                                 AttributeType::message_integrity_sha256,
                                 AttributeType::priority,
                                 AttributeType::use_candidate};

net::Address prefix_of(const net::Address& source) {
    const auto plain = source.unmapped();
    std::array<std::uint8_t, 16> bytes{};
    const std::size_t size = plain.bytes().size();
    std::ranges::copy(plain.bytes().first(plain.is_v4() ? kPrefixV4 : kPrefixV6), bytes.begin());
    return *net::Address::from_bytes(ByteView{bytes}.first(size));
}

Bytes finish(stun::MessageBuilder& builder, bool with_fingerprint) {
    if (with_fingerprint) {
        builder.fingerprint();
    }
    return builder.finish();
}

}  // namespace

std::optional<Bytes> answer_binding(ByteView request, const net::Endpoint& source) {
    if (request.size() > kMaxRequest || !stun::is_stun(request)) {
        return std::nullopt;
    }
    const auto message = stun::MessageView::parse(request);
    if (!message || message->message_class() != MessageClass::request || message->method() != stun::kBinding ||
        (message->fingerprint() && !stun::verify_fingerprint(*message))) {
        return std::nullopt;
    }
    const bool with_fingerprint = message->fingerprint().has_value();
    // RFC 8489 §6.3.1
    if (const auto unknown = message->unknown_required(kUnderstood); !unknown.empty()) {
        stun::MessageBuilder refusal{MessageClass::error, stun::kBinding, message->transaction_id()};
        refusal.error_code(420, {}).unknown_attributes(unknown);
        return finish(refusal, with_fingerprint);
    }
    stun::MessageBuilder success{MessageClass::success, stun::kBinding, message->transaction_id()};
    success.address(AttributeType::xor_mapped_address, {.address = source.address.unmapped(), .port = source.port});
    return finish(success, with_fingerprint);
}

std::optional<Bytes> StunService::handle_datagram(ByteView request, const net::Endpoint& source, TimePoint now) {
    auto answer = answer_binding(request, source);
    if (!answer) {
        ++stats_.dropped;
        return std::nullopt;
    }
    if (!limiter_.allow(source.address, now)) {
        ++stats_.limited;
        return std::nullopt;
    }
    const auto message = stun::MessageView::parse(*answer);
    ++(message && message->message_class() == MessageClass::success ? stats_.answered : stats_.refused);
    return answer;
}

bool PrefixLimiter::allow(const net::Address& source, TimePoint now) {
    auto& bucket = bucket_of(prefix_of(source), now);
    refill(bucket, now);
    if (bucket.tokens < 1) {
        return false;
    }
    bucket.tokens -= 1;
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
