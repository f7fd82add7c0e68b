#include "peer/punch/probe_budget.hpp"

namespace pinhole::punch {

namespace {

constexpr Duration kGrain = 1s;
/// A second is forgotten when its last probe is a minute old.
constexpr Duration kMemory = 60s + kGrain;

}  // namespace

bool ProbeBudget::take(TimePoint now) {
    while (!seconds_.empty() && now - seconds_.front().since >= kMemory) {
        counted_ -= seconds_.front().probes;
        seconds_.pop_front();
    }
    if (counted_ >= per_minute_) {
        return false;
    }
    if (seconds_.empty() || now - seconds_.back().since >= kGrain) {
        seconds_.push_back({.since = now});
    }
    ++seconds_.back().probes;
    ++counted_;
    return true;
}

}  // namespace pinhole::punch
