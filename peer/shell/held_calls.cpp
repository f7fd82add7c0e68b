#include "peer/shell/held_calls.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::shell {

bool HeldCalls::hold(const signaling::Incoming& incoming, TimePoint now) {
    if (calls_.size() >= kMaxCalls) {
        return false;
    }
    calls_.push_back({.incoming = incoming, .later = {}, .until = now + kPatience});
    return true;
}

bool HeldCalls::handle_message(const signaling::ToPeer& message) {
    const auto call = signaling::call_of(message);
    const auto found =
        std::ranges::find_if(calls_, [&](const Call& held) { return call && held.incoming.call == *call; });
    if (found == calls_.end()) {
        return false;
    }
    if (std::holds_alternative<signaling::End>(message)) {
        calls_.erase(found);
    } else if (found->later.size() < kMaxMessages) {
        found->later.push_back(message);
    }
    return true;
}

std::optional<HeldCalls::Call> HeldCalls::release(TimePoint now, bool all) {
    if (calls_.empty() || (!all && calls_.front().until > now)) {
        return std::nullopt;
    }
    auto call = std::move(calls_.front());
    calls_.pop_front();
    return call;
}

std::optional<TimePoint> HeldCalls::next_timeout() const {
    return calls_.empty() ? std::nullopt : std::optional{calls_.front().until};
}

}  // namespace pinhole::shell
