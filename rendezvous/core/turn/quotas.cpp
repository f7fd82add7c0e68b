#include "rendezvous/core/turn/quotas.hpp"

#include "rendezvous/core/prefix_limiter.hpp"

#include <algorithm>

namespace pinhole::turn {

namespace {

/// Seconds of rate that may come at once.
constexpr double kBurstSeconds = 2;
/// What a new account may send at once: less than its burst, so that nobody gains by coming again and again.
constexpr double kFirstBytes = 256.0 * 1024;
constexpr std::size_t kPrefixV6 = 7;

rendezvous::TokenBucket bucket(double rate, TimePoint now) {
    return rendezvous::TokenBucket{{.per_second = rate, .burst = rate * kBurstSeconds}, now};
}

net::Address source_of(const net::Address& client) {
    const auto plain = client.unmapped();
    return plain.is_v4() ? plain : rendezvous::prefix_of(plain, kPrefixV6);
}

}  // namespace

Quotas::Quotas(const Config& config) : config_(config), bytes_(bucket(config.bytes_per_second, {})) {}

Quotas::Refusal Quotas::check(const std::string& account, const net::Address& client, std::size_t places) const {
    if (places_ + places > config_.places) {
        return Refusal::total;
    }
    const auto of_account = accounts_.find(account);
    const auto held = of_account == accounts_.end() ? 0 : of_account->second.places;
    if (held + places > config_.places_per_account) {
        return Refusal::account;
    }
    const auto of_source = sources_.find(source_of(client));
    const auto from_there = of_source == sources_.end() ? 0 : of_source->second;
    return from_there + places > config_.places_per_source ? Refusal::source : Refusal::none;
}

Quotas::Place Quotas::take(const std::string& account, const net::Address& client, TimePoint now) {
    const double rate = config_.account_bytes_per_second;
    const auto [entry, fresh] = accounts_.try_emplace(account, Account{.places = 0, .bytes = bucket(rate, now)});
    if (fresh) {
        (void)entry->second.bytes.take(std::max(0.0, rate * kBurstSeconds - kFirstBytes), now);
    }
    const auto source = source_of(client);
    ++places_;
    ++entry->second.places;
    ++sources_[source];
    return {.account = entry, .source = source};
}

void Quotas::release(const Place& place) {
    --places_;
    if (--place.account->second.places == 0) {
        accounts_.erase(place.account);
    }
    const auto source = sources_.find(place.source);
    if (--source->second == 0) {
        sources_.erase(source);
    }
}

bool Quotas::allow_bytes(const Place& place, std::size_t bytes, TimePoint now) {
    const auto amount = static_cast<double>(bytes);
    return place.account->second.bytes.take(amount, now) && bytes_.take(amount, now);
}

}  // namespace pinhole::turn
