// The pair that is kept alive besides the selected one: its NAT mappings, and the permissions of a relay.
#include "peer/ice/agent_impl.hpp"

#include <utility>

namespace pinhole::ice {

void Agent::Impl::tend_spare(TimePoint now) {
    if (spare_consent_.expired(now)) {
        if (auto* pair = spare_ ? checklist_.find(*spare_) : nullptr) {
            pair->state = PairState::failed;
        }
        lose_spare();
        choose_spare(now);
    }
    const auto* pair = spare_ ? checklist_.find(*spare_) : nullptr;
    if (spare_consent_.ask(now, *rng_) && pair != nullptr && remote_) {
        send_request({.path = pair->path,
                      .kind = Transaction::Kind::consent,
                      .nominating = false,
                      .priority = reflexive_priority(pair->local_priority, pair->path.transport)},
                     now);
    }
}

void Agent::Impl::choose_spare(TimePoint now) {
    const auto* selected = selected_ ? checklist_.find(*selected_) : nullptr;
    const auto* best = selected != nullptr ? checklist_.best_besides(*selected) : nullptr;
    if (selected == nullptr || (best != nullptr && spare_ == best->path)) {
        return;
    }
    lose_spare();
    if (best != nullptr) {
        spare_ = best->path;
        spare_consent_.start(best->path, now, *rng_);
        events_.emplace_back(Spare{.pair = checklist_.describe(*best)});
    }
}

void Agent::Impl::lose_spare() {
    spare_consent_.stop();
    if (const auto lost = std::exchange(spare_, std::nullopt)) {
        events_.emplace_back(SpareLost{.path = *lost});
    }
}

}  // namespace pinhole::ice
