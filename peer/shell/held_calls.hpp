// Incoming calls that wait until the server knows of our NAT: what it plans for a call when we answer too early is of
// no use behind a difficult one. Keeps what the server says about them meanwhile. Knows neither sessions nor the
// network; Node drives it and says when the waiting is over.
//
// Timer: a call waits for kPatience at most.
#pragma once

#include "common/base/time.hpp"
#include "common/signaling/messages.hpp"

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

namespace pinhole::shell {

class HeldCalls {
  public:
    /// A first report takes five round trips to the server; whoever is farther away is answered without.
    static constexpr Duration kPatience = 300ms;
    /// Strangers may call, too: who they are is known only when a call is read.
    static constexpr std::size_t kMaxCalls = 16;
    /// Of one call: what a caller trickles within kPatience.
    static constexpr std::size_t kMaxMessages = 16;

    struct Call {
        signaling::Incoming incoming;
        std::vector<signaling::ToPeer> later;  ///< about this call, in order
        TimePoint until;
    };

    /// False: there is no room, answer it at once.
    bool hold(const signaling::Incoming& incoming, TimePoint now);
    /// True if the message was about a held call. End drops it.
    bool handle_message(const signaling::ToPeer& message);
    /// The next call to answer, in the order of arrival: those whose time is over, or all.
    [[nodiscard]] std::optional<Call> release(TimePoint now, bool all);

    /// The connection to the server is gone, and the calls with it.
    void clear() { calls_.clear(); }

    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

  private:
    std::deque<Call> calls_;
};

}  // namespace pinhole::shell
