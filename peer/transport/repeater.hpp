// Small messages of the upper classes: each is sent a second time, early and once, so that a single loss does not cost
// what it takes to be noticed, a round trip or a probe timeout. The price is the message once more, in a packet that
// leaves anyway or in a small one of its own.
#pragma once

#include "common/base/time.hpp"
#include "peer/transport/ring.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace pinhole::transport {

class Repeater {
  public:
    /// A packet went out with the end of such a message, and not for the second time.
    void on_message_sent(std::uint64_t number, TimePoint now, Duration smoothed_rtt) {
        if (pending_.size() < kMaxPending) {
            pending_.push_back(
                {.number = number, .due = now + std::clamp(smoothed_rtt / 8, kShortestWait, kLongestWait)});
        }
    }

    /// Forgets the oldest ones of which `arrived(number)` is true.
    template <class Arrived>
    void forget(Arrived arrived) {
        while (!pending_.empty() && arrived(pending_.front().number)) {
            pending_.pop_front();
        }
    }

    [[nodiscard]] std::optional<TimePoint> deadline() const {
        return pending_.empty() ? std::nullopt : std::optional{pending_.front().due};
    }

    /// A packet whose messages to send again; call until nullopt.
    [[nodiscard]] std::optional<std::uint64_t> take(TimePoint now) {
        if (pending_.empty() || pending_.front().due > now) {
            return std::nullopt;
        }
        return pending_.pop_front().number;
    }

  private:
    /// On a fast path the acknowledgement is quicker than this.
    static constexpr Duration kShortestWait = 2ms;
    static constexpr Duration kLongestWait = 10ms;
    /// Who says more than that within the wait has sent something behind it that will tell of a loss.
    static constexpr std::size_t kMaxPending = 4;

    struct Pending {
        std::uint64_t number = 0;
        TimePoint due;
    };

    Ring<Pending> pending_;
};

}  // namespace pinhole::transport
