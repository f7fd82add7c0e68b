#include "peer/session/retry_policy.hpp"

#include <utility>

namespace pinhole::session {

void RetryPolicy::handle_failed(Role role, TimePoint now) {
    waiting_ = true;
    calling_ = false;
    if (std::exchange(changed_, false)) {
        handle_network_changed(now);
        return;
    }
    if (role == Role::called) {
        return;
    }
    ++failures_;
    due_ = now + (failures_ == 1 ? Duration{} : failures_ == 2 ? kSoon : kLater);
}

void RetryPolicy::handle_over() {
    *this = {};
}

void RetryPolicy::handle_network_changed(TimePoint now) {
    if (calling_) {
        changed_ = true;
    } else if (waiting_) {
        failures_ = 0;
        due_ = now + kSettle;
    }
}

std::optional<RetryPolicy::Attempt> RetryPolicy::poll_attempt(TimePoint now) {
    if (!due_ || *due_ > now) {
        return std::nullopt;
    }
    due_.reset();
    calling_ = true;
    return Attempt{.fresh_port = failures_ > 0, .other_side_first = failures_ % 2 == 1};
}

}  // namespace pinhole::session
