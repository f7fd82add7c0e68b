#include "peer/ice/consent.hpp"

namespace pinhole::ice {

namespace {

constexpr Duration kInterval = 5s;
constexpr Duration kLifetime = 30s;

/// 0.8 to 1.2 times the interval.
Duration random_interval(Rng& rng) {
    constexpr Duration kSpread = kInterval * 2 / 5;
    return kInterval * 4 / 5 +
           Duration{static_cast<Duration::rep>(rng.below(static_cast<std::uint64_t>(kSpread.count()) + 1))};
}

}  // namespace

void Consent::start(const net::PathAddresses& path, TimePoint now, Rng& rng) {
    state_ = State{.path = path, .ask_at = now + random_interval(rng), .dead_at = now + kLifetime};
}

void Consent::refresh(const net::PathAddresses& path, TimePoint now) {
    if (state_ && state_->path == path) {
        state_->dead_at = now + kLifetime;
    }
}

bool Consent::ask(TimePoint now, Rng& rng) {
    if (!state_ || now < state_->ask_at) {
        return false;
    }
    state_->ask_at = now + random_interval(rng);
    return true;
}

bool Consent::expired(TimePoint now) const {
    return state_ && now >= state_->dead_at;
}

std::optional<TimePoint> Consent::next_timeout() const {
    return state_ ? std::optional{std::min(state_->ask_at, state_->dead_at)} : std::nullopt;
}

}  // namespace pinhole::ice
