#include "rendezvous/core/scan_guard.hpp"

#include "rendezvous/core/prefix_limiter.hpp"

#include <algorithm>

namespace pinhole::rendezvous {

namespace {

constexpr Duration kMinute = 60s;
/// Between two searches for what can be forgotten, so that a full table costs nothing.
constexpr Duration kSweepInterval = 1s;
/// As in PrefixLimiter: a /56.
constexpr std::size_t kSiteV6 = 7;

}  // namespace

std::uint32_t ScanGuard::Target::sum(TimePoint now) const {
    std::uint32_t all = 0;
    for (const auto& one : counted) {
        all += one.until > now ? one.probes : 0;
    }
    return all;
}

void ScanGuard::Target::forget_old(TimePoint now) {
    std::erase_if(counted, [&](const Counted& one) { return one.until <= now; });
    turns.forget_old(now);
}

void ScanGuard::Turns::end(std::uint64_t ticket) {
    std::erase_if(turns_, [&](const Turn& turn) { return turn.ticket == ticket; });
}

void ScanGuard::Turns::forget_old(TimePoint now) {
    std::erase_if(turns_, [&](const Turn& turn) { return turn.until <= now; });
}

TimePoint ScanGuard::Turns::until() const {
    return turns_.empty() ? TimePoint{} : std::ranges::max(turns_, {}, &Turn::until).until;
}

net::Address ScanGuard::key_of(const net::Address& target) {
    return target.is_v4() ? target : prefix_of(target, kSiteV6);
}

std::uint32_t ScanGuard::left(const net::Address& target, TimePoint now) const {
    const auto found = targets_.find(key_of(target));
    const auto used = found == targets_.end() ? 0 : found->second.sum(now);
    return config_.probes_per_minute - std::min(used, config_.probes_per_minute);
}

bool ScanGuard::fits(std::span<const Claim> claims, TimePoint now) const {
    std::map<net::Address, std::uint64_t> wanted;
    return std::ranges::all_of(claims, [&](const Claim& claim) {
        const auto key = key_of(claim.target);
        const auto found = targets_.find(key);
        const bool few = found == targets_.end() || found->second.counted.size() + claims.size() <= kMaxClaims;
        return few && (wanted[key] += claim.probes) <= left(claim.target, now);
    });
}

bool ScanGuard::room_for(std::span<const Claim> claims, TimePoint now) {
    const auto full = [&] {
        std::size_t targets = targets_.size();
        std::size_t probers = probers_.size();
        for (const auto& claim : claims) {
            targets += targets_.contains(key_of(claim.target)) ? 0U : 1U;
            probers += !claim.scans || probers_.contains(claim.prober) ? 0U : 1U;
        }
        return targets > config_.max_targets || probers > config_.max_targets;
    };
    if (full() && now - swept_ >= kSweepInterval) {
        swept_ = now;
        std::erase_if(targets_, [&](const auto& entry) { return entry.second.sum(now) == 0; });
        std::erase_if(probers_, [&](const auto& entry) { return entry.second.until() <= now; });
    }
    return !full();
}

Duration ScanGuard::wait_for(const Claim& claim) const {
    Duration wait{};
    if (!claim.scans) {
        return wait;
    }
    if (const auto target = targets_.find(key_of(claim.target)); target != targets_.end()) {
        wait = std::max(wait, target->second.turns.until() - claim.from);
    }
    if (const auto prober = probers_.find(claim.prober); prober != probers_.end()) {
        wait = std::max(wait, prober->second.until() - claim.from);
    }
    return wait;
}

std::optional<Duration> ScanGuard::reserve(std::span<Claim> claims, Duration patience, TimePoint now) {
    forget_old(claims, now);
    Duration wait{};
    for (const auto& claim : claims) {
        wait = std::max(wait, wait_for(claim));
    }
    if (wait > patience || !fits(claims, now) || !room_for(claims, now)) {
        return std::nullopt;
    }
    for (auto& claim : claims) {
        claim.ticket = ++last_ticket_;
        claim.over += wait;
        claim.from += wait;
        claim.until += wait;
        enter(claim, now);
    }
    return wait;
}

void ScanGuard::forget_old(std::span<const Claim> claims, TimePoint now) {
    for (const auto& claim : claims) {
        if (const auto found = targets_.find(key_of(claim.target)); found != targets_.end()) {
            found->second.forget_old(now);
        }
        if (const auto found = probers_.find(claim.prober); found != probers_.end()) {
            found->second.forget_old(now);
        }
    }
}

void ScanGuard::enter(const Claim& claim, TimePoint now) {
    auto& target = targets_[key_of(claim.target)];
    target.counted.push_back(
        {.ticket = claim.ticket, .probes = claim.probes, .until = std::max(claim.over, now) + kMinute});
    if (claim.scans) {
        target.turns.add(claim.ticket, claim.until);
        probers_[claim.prober].add(claim.ticket, claim.until);
    }
}

void ScanGuard::release(const Claim& claim, std::uint32_t sent, TimePoint ended) {
    const auto found = targets_.find(key_of(claim.target));
    if (found == targets_.end()) {
        return;
    }
    auto& target = found->second;
    const auto counted = std::ranges::find(target.counted, claim.ticket, &Counted::ticket);
    if (counted == target.counted.end()) {
        return;
    }
    counted->probes = std::min(counted->probes, sent);
    counted->until = std::min(counted->until, ended + kMinute);
    if (counted->probes == 0) {
        target.counted.erase(counted);
    }
    target.turns.end(claim.ticket);
    if (const auto prober = probers_.find(claim.prober); prober != probers_.end()) {
        prober->second.end(claim.ticket);
    }
}

}  // namespace pinhole::rendezvous
