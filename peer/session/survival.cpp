#include "peer/session/survival.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::session {

using signaling::EndReason;

void Survival::handle_silent(TimePoint heard, TimePoint now) {
    if (stalled()) {
        return;
    }
    heard_ = heard;
    verdict_.reset();
    failures_ = 0;
    not_before_ = now;
    said_.clear();
}

bool Survival::handle_heard(TimePoint /*now*/) {
    verdict_.reset();
    return std::exchange(heard_, std::nullopt).has_value();
}

void Survival::want_restart(Cause cause, TimePoint now) {
    const bool flapping = cause == Cause::path_died && !direct_since_ && flapping_;
    wanted_ = wanted_ || !flapping;
    // Whatever was tried before was tried in another network.
    if (cause == Cause::moved) {
        failures_ = 0;
        not_before_ = now;
    }
}

void Survival::handle_woken(TimePoint now) {
    woken_ = now;
    verdict_.reset();
    want_restart(Cause::moved, now);
}

void Survival::handle_server(bool online, TimePoint now) {
    if (online && !online_) {
        relogged_ = now;
        not_before_ = now + kRing;
        verdict_.reset();
    }
    online_ = online;
}

bool Survival::knows_path(bool relayed, bool ours) const {
    return relayed ? !direct_since_ && (!ours || upgrade_at_) : direct_since_ && !upgrade_at_;
}

void Survival::handle_path(bool relayed, bool ours, TimePoint now) {
    if (!relayed) {
        direct_since_ = direct_since_.value_or(now);
        upgrade_at_.reset();
        return;
    }
    if (const auto since = std::exchange(direct_since_, std::nullopt)) {
        // The first death says nothing about the next path.
        flapping_ = std::exchange(died_before_, true) && now - *since < kLasting;
        upgrade_pause_ = flapping_ ? std::min(2 * upgrade_pause_, kSlowestUpgrade) : kFirstUpgrade;
    }
    if (ours) {
        upgrade_at_ = upgrade_at_.value_or(now + upgrade_pause_);
    }
}

void Survival::handle_started(TimePoint now) {
    under_way_ = true;
    asked_ = std::exchange(wanted_, false);
    verdict_.reset();
    if (upgrade_at_ && *upgrade_at_ <= now) {
        upgrade_pause_ = std::min(2 * upgrade_pause_, kSlowestUpgrade);
        upgrade_at_ = now + upgrade_pause_;
    }
}

void Survival::handle_done(TimePoint now) {
    under_way_ = false;
    failures_ = 0;
    // What ICE has judged good may still carry nothing.
    not_before_ = now + kSlowest;
}

void Survival::handle_failed(std::optional<EndReason> reason, TimePoint now) {
    under_way_ = false;
    wanted_ = wanted_ || (asked_ && failures_ < kMaxWanted);
    verdict_ = reason;
    const auto pause = std::min<Duration>(1s * (1U << std::min(failures_, 3U)), kSlowest);
    ++failures_;
    not_before_ = now + pause;
}

bool Survival::due(TimePoint now) const {
    const auto next = next_attempt();
    return next && *next <= now;
}

std::optional<TimePoint> Survival::next_attempt() const {
    if (under_way_ || !online_) {
        return std::nullopt;
    }
    if (stalled() || wanted_) {
        return not_before_;
    }
    return upgrade_at_;
}

TimePoint Survival::silent_since() const {
    return std::max(*heard_, woken_);
}

// A server that we have come to only since then may have been started since then, and knows nothing of who was there.
bool Survival::left() const {
    return verdict_ == EndReason::offline && !(relogged_ && *relogged_ > *heard_);
}

bool Survival::lost(TimePoint now) const {
    if (!stalled()) {
        return false;
    }
    const auto silence = now - silent_since();
    return verdict_ == EndReason::unwanted || (left() && silence >= config_.gone_after) || silence >= config_.patience;
}

std::string Survival::trying() const {
    if (!online_) {
        return "to reach the server";
    }
    if (verdict_ == EndReason::offline) {
        return "to find the peer, which is not online";
    }
    if (verdict_ == EndReason::asleep || verdict_ == EndReason::timeout || verdict_ == EndReason::lost) {
        return "to wake the peer, which the server does not hear either";
    }
    return "other paths";
}

std::optional<std::string> Survival::poll_notice(TimePoint now) {
    // A restart that has no answer yet changes nothing about what was the matter before it.
    if (!stalled() || now < *heard_ + kShow || (under_way_ && !said_.empty())) {
        return std::nullopt;
    }
    auto text = trying();
    if (text == said_) {
        return std::nullopt;
    }
    said_ = text;
    return text;
}

std::optional<TimePoint> Survival::next_timeout() const {
    auto next = next_attempt();
    if (!stalled()) {
        return next;
    }
    if (said_.empty()) {
        next = earliest(next, *heard_ + kShow);
    }
    next = earliest(next, silent_since() + config_.patience);
    return left() ? earliest(next, silent_since() + config_.gone_after) : next;
}

}  // namespace pinhole::session
