// Answered calls that their callers ended before anything was connected. Such a caller may be calling again, with a new
// port or because it knows more of its network: then the new call goes on as the one that it replaces, and nobody above
// hears of it. Node drives it.
//
// Timer: a caller that calls again does so at once, so what has not come after kPatience has ended.
#pragma once

#include "common/base/time.hpp"
#include "common/crypto/keys.hpp"
#include "peer/shell/node.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace pinhole::shell {

class AwaitedCalls {
  public:
    /// Both messages come over one connection, one behind the other; a lost segment between them is repeated by then.
    static constexpr Duration kPatience = 1s;

    /// Who calls, and for what (bits of session::Service).
    struct Caller {
        crypto::PeerId id;
        std::uint8_t services = 0;

        friend bool operator==(const Caller&, const Caller&) = default;
    };

    void add(SessionId id, const Caller& from, TimePoint now) { calls_.push_back({id, from, now + kPatience}); }

    [[nodiscard]] std::size_t size() const { return calls_.size(); }

    /// The call that the next one of this caller goes on with.
    [[nodiscard]] std::optional<SessionId> take(const Caller& from) {
        return remove([&](const Call& call) { return call.from == from; });
    }

    /// True if it was awaited.
    bool drop(SessionId id) {
        return remove([&](const Call& call) { return call.id == id; }).has_value();
    }

    [[nodiscard]] std::optional<SessionId> expire(TimePoint now) {
        return remove([&](const Call& call) { return call.until <= now; });
    }

    [[nodiscard]] std::optional<TimePoint> next_timeout() const {
        return calls_.empty() ? std::nullopt : std::optional{calls_.front().until};
    }

  private:
    struct Call {
        SessionId id;
        Caller from;
        TimePoint until;
    };

    std::optional<SessionId> remove(auto matches) {
        const auto found = std::ranges::find_if(calls_, matches);
        if (found == calls_.end()) {
            return std::nullopt;
        }
        const auto id = found->id;
        calls_.erase(found);
        return id;
    }

    std::vector<Call> calls_;  ///< the oldest first
};

}  // namespace pinhole::shell
