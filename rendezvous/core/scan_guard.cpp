#include "rendezvous/core/scan_guard.hpp"

#include <algorithm>

namespace pinhole::rendezvous {

namespace {

constexpr Duration kMinute = 60s;
/// Between two searches for what can be forgotten, so that a full table costs nothing.
constexpr Duration kSweepInterval = 1s;

}  // namespace

double ScanGuard::available(const Target& target, TimePoint now) const {
    const double all = config_.probes_per_minute;
    return std::min(all, target.probes + seconds(now - target.filled) * all / seconds(kMinute));
}

bool ScanGuard::room_for(std::span<const Claim> claims, TimePoint now) {
    const auto full = [&] {
        return targets_.size() + claims.size() > config_.max_targets ||
               probers_.size() + claims.size() > config_.max_targets;
    };
    if (full() && now - swept_ >= kSweepInterval) {
        swept_ = now;
        std::erase_if(targets_, [&](const auto& entry) {
            return entry.second.busy_until <= now && entry.second.filled + kMinute <= now;
        });
        std::erase_if(probers_, [&](const auto& entry) { return entry.second <= now; });
    }
    return !full();
}

Duration ScanGuard::wait_for(const Claim& claim) const {
    Duration wait{};
    if (!claim.scans) {
        return wait;
    }
    if (const auto target = targets_.find(claim.target); target != targets_.end()) {
        wait = std::max(wait, target->second.busy_until - claim.from);
    }
    if (const auto prober = probers_.find(claim.prober); prober != probers_.end()) {
        wait = std::max(wait, prober->second - claim.from);
    }
    return wait;
}

std::optional<Duration> ScanGuard::reserve(std::span<const Claim> claims, Duration patience, TimePoint now) {
    Duration wait{};
    std::map<net::Address, double> wanted;
    for (const auto& claim : claims) {
        wait = std::max(wait, wait_for(claim));
        const auto found = targets_.find(claim.target);
        const auto left = found == targets_.end() ? config_.probes_per_minute : available(found->second, now);
        if ((wanted[claim.target] += claim.probes) > left) {
            return std::nullopt;
        }
    }
    if (wait > patience || !room_for(claims, now)) {
        return std::nullopt;
    }
    for (const auto& claim : claims) {
        auto& target =
            targets_.try_emplace(claim.target, Target{.probes = double(config_.probes_per_minute), .filled = now})
                .first->second;
        target.probes = available(target, now) - claim.probes;
        target.filled = now;
        if (claim.scans) {
            target.busy_until = std::max(target.busy_until, claim.until + wait);
            auto& busy = probers_[claim.prober];
            busy = std::max(busy, claim.until + wait);
        }
    }
    return wait;
}

void ScanGuard::release(const Claim& claim, std::uint32_t unused, TimePoint now) {
    const auto found = targets_.find(claim.target);
    if (found == targets_.end()) {
        return;
    }
    auto& target = found->second;
    target.probes =
        std::min<double>(config_.probes_per_minute, available(target, now) + std::min(unused, claim.probes));
    target.filled = now;
    // A later claim may have its turn already; it ends later than this one.
    if (claim.scans && target.busy_until == claim.until) {
        target.busy_until = now;
    }
    if (const auto prober = probers_.find(claim.prober);
        claim.scans && prober != probers_.end() && prober->second == claim.until) {
        probers_.erase(prober);
    }
}

}  // namespace pinhole::rendezvous
