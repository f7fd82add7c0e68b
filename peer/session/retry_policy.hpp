// When a call that found no path is placed again, and what is different then: whoever repeats the same thing gets the
// same result. Knows no call; a command that stays drives it.
//
// Timers: at once after the first failure, kSoon after the second, then every kLater; after a change of the network
// kSettle later it begins anew. The side that was called waits for a change of its network only: the other side calls.
#pragma once

#include "common/base/time.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::session {

class RetryPolicy {
  public:
    static constexpr Duration kSoon = 60s;
    static constexpr Duration kLater = 5min;
    /// New addresses come one after the other, and the server connection moves with them.
    static constexpr Duration kSettle = 2s;

    enum class Role : std::uint8_t { caller, called };

    struct Attempt {
        /// From another local UDP port: some NATs hold on to a mapping that does not work, and a clash of two NATs
        /// lives on for as long as the same ports are tried (NAT traversal research §4.2).
        bool fresh_port = false;
        /// The other side's packets go first this time.
        bool other_side_first = false;
    };

    /// A call found no path.
    void handle_failed(Role role, TimePoint now);
    /// There is a connection, or nobody wants one any more.
    void handle_over();
    void handle_network_changed(TimePoint now);

    /// The call to place now; tell how it ended.
    [[nodiscard]] std::optional<Attempt> poll_attempt(TimePoint now);

    [[nodiscard]] std::optional<TimePoint> next_timeout() const { return due_; }

    /// A call has failed and none has succeeded since.
    [[nodiscard]] bool waiting() const { return waiting_; }

  private:
    bool waiting_ = false;
    bool calling_ = false;
    bool changed_ = false;   ///< the network, while calling
    unsigned failures_ = 0;  ///< of ours since the network changed
    std::optional<TimePoint> due_;
};

}  // namespace pinhole::session
