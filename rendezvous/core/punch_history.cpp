#include "rendezvous/core/punch_history.hpp"

#include <algorithm>

namespace pinhole::rendezvous {

namespace {

bool valid(const PunchHistory::Key& key) {
    return key.lower <= key.higher && key.higher <= net::NatClass::blocked && key.strategy >= net::Strategy::host &&
           key.strategy <= net::Strategy::tcp;
}

}  // namespace

PunchHistory::Key PunchHistory::key(net::NatClass a, net::NatClass b, net::Strategy strategy) {
    return {.lower = std::min(a, b), .higher = std::max(a, b), .strategy = strategy};
}

void PunchHistory::record(const Key& key, bool success) {
    auto& count = counts_[key];
    ++count.tries;
    count.successes += success ? 1 : 0;
    if (count.tries >= kMaxTries) {
        count.tries /= 2;
        count.successes /= 2;
    }
    changed_.insert(key);
}

void PunchHistory::load(const Entry& entry) {
    if (valid(entry.key) && entry.tries < kMaxTries && entry.successes <= entry.tries) {
        counts_[entry.key] = {.tries = entry.tries, .successes = entry.successes};
    }
}

bool PunchHistory::hopeless(const Key& key) const {
    const auto found = counts_.find(key);
    return found != counts_.end() && found->second.tries >= kMinTries && found->second.successes == 0;
}

std::optional<PunchHistory::Entry> PunchHistory::find(const Key& key) const {
    const auto found = counts_.find(key);
    if (found == counts_.end()) {
        return std::nullopt;
    }
    return Entry{.key = key, .tries = found->second.tries, .successes = found->second.successes};
}

std::optional<PunchHistory::Entry> PunchHistory::poll_changed() {
    if (changed_.empty()) {
        return std::nullopt;
    }
    return find(changed_.extract(changed_.begin()).value());
}

}  // namespace pinhole::rendezvous
