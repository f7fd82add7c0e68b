#include "peer/ice/split_paths.hpp"

namespace pinhole::ice {

net::PathAddresses SplitPaths::pair_of(const net::PathAddresses& path) const {
    for (const auto& split : adopted_) {
        if (split.source == path.remote && split.pair.local == path.local) {
            return split.pair;
        }
    }
    return path;
}

void SplitPaths::note(const Split& split, TimePoint due) {
    if (!waiting_ && !full()) {
        waiting_.emplace(split, due);
    }
}

std::optional<Split> SplitPaths::take_due(TimePoint now) {
    if (!waiting_ || now < waiting_->second) {
        return std::nullopt;
    }
    return std::exchange(waiting_, std::nullopt)->first;
}

void SplitPaths::adopt(const Split& split) {
    if (!full()) {
        adopted_.push_back(split);
    }
}

}  // namespace pinhole::ice
