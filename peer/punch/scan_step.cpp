#include "peer/punch/scan_step.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::punch {

namespace {

/// Between two passes: what the first one lost in a burst of loss, the second does not lose in the same.
constexpr Duration kPassGap = 100ms;
/// Probes that a late timer makes up for at once; the rest is delayed, not sent in one burst.
constexpr int kCatchUp = 8;
constexpr std::size_t kPorts = 65536;

}  // namespace

ScanStep::ScanStep(net::PunchStep plan, const std::optional<net::Endpoint>& from, TimePoint go)
    : plan_(std::move(plan)), from_(from), start_(go + plan_.start), end_(start_ + plan_.budget), next_at_(start_) {}

void ScanStep::leave_from(const std::optional<net::Endpoint>& from, TimePoint now) {
    if (!from_ && from) {
        next_at_ = std::max(now, next_at_);
    }
    from_ = from;
}

void ScanStep::set_ranges(std::vector<net::PortRange> ranges, Rng& rng, TimePoint now) {
    if (over_ || now >= end_) {
        return;
    }
    plan_.ranges = std::move(ranges);
    if (plan_.ranges.size() > net::kMaxScanRanges) {
        plan_.ranges.resize(net::kMaxScanRanges);
    }
    next_at_ = std::max(now, next_at_);
    choose_ports(rng);
}

void ScanStep::choose_ports(Rng& rng) {
    chosen_ = true;
    ports_.clear();
    next_ = 0;
    passes_left_ = plan_.shuffled ? 1 : 2;
    std::vector<bool> taken(kPorts);
    const std::size_t enough = plan_.shuffled ? kPorts : plan_.probes;
    for (const auto& range : plan_.ranges) {
        for (std::uint32_t port = std::max<std::uint32_t>(range.first, 1); port <= range.last && ports_.size() < enough;
             ++port) {
            if (!taken[port]) {
                taken[port] = true;
                ports_.push_back(static_cast<std::uint16_t>(port));
            }
        }
    }
    const auto count = std::min<std::size_t>(ports_.size(), plan_.probes);
    if (plan_.shuffled) {
        for (std::size_t i = 0; i < count; ++i) {
            std::swap(ports_[i], ports_[i + rng.below(ports_.size() - i)]);
        }
    }
    ports_.resize(count);
}

void ScanStep::work(Outbox& out, TimePoint now) {
    if (over_ || now < start_) {
        return;
    }
    if (now >= end_) {
        over_ = true;
        return;
    }
    if (!from_) {
        return;
    }
    if (!chosen_ && !plan_.ranges.empty()) {
        choose_ports(out.rng());
    }
    for (int burst = 0; chosen_ && now >= next_at_; ++burst) {
        if (next_ == ports_.size()) {
            if (passes_left_ > 0) {
                --passes_left_;
            }
            if (passes_left_ == 0 || ports_.empty()) {
                chosen_ = false;  // until there are other ranges
                plan_.ranges.clear();
                return;
            }
            next_ = 0;
            next_at_ = now + kPassGap;
            return;
        }
        if (burst == kCatchUp) {
            next_at_ = now + net::kScanInterval;
            return;
        }
        const auto port = ports_[next_++];
        if (sent_ >= net::kMaxScanProbes ||
            !out.probe({.local = *from_, .remote = {.address = plan_.target.address, .port = port}}, 0, now)) {
            over_ = true;
            return;
        }
        ++sent_;
        probed_.resize(kPorts);
        probed_[port] = true;
        next_at_ += net::kScanInterval;
    }
}

std::optional<TimePoint> ScanStep::next_timeout() const {
    if (over_) {
        return std::nullopt;
    }
    const bool work_left = from_ && (chosen_ || !plan_.ranges.empty());
    return work_left ? std::min(next_at_, end_) : end_;
}

bool ScanStep::probed(const net::PathAddresses& path) const {
    return path.local == from_ && path.remote.address == plan_.target.address && !probed_.empty() &&
           probed_[path.remote.port];
}

}  // namespace pinhole::punch
