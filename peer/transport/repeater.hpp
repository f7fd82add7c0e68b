// Small messages of the upper classes that nothing newer will carry: each is sent a second time, early and once, so
// that a single loss does not cost a probe timeout. The price is one small packet a message.
#pragma once

#include "common/base/time.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::transport {

class Repeater {
  public:
    /// A packet went out that carried application data of a small message and left the sender with nothing more to
    /// send.
    void on_tail_sent(std::uint64_t number, TimePoint now, Duration smoothed_rtt) {
        number_ = number;
        due_ = now + std::clamp(smoothed_rtt / 8, kShortestWait, kLongestWait);
    }

    /// Something newer is on its way: its acknowledgement will tell of a loss.
    void cancel() {
        due_.reset();
        repeating_ = false;
    }

    /// The next packet is the repetition itself.
    [[nodiscard]] bool repeating() const { return repeating_; }

    [[nodiscard]] std::optional<TimePoint> deadline() const { return due_; }

    /// The packet whose frames to send again, once.
    [[nodiscard]] std::optional<std::uint64_t> take(TimePoint now) {
        if (!due_ || *due_ > now) {
            return std::nullopt;
        }
        due_.reset();
        repeating_ = true;
        return number_;
    }

  private:
    /// On a fast path the acknowledgement is quicker than this.
    static constexpr Duration kShortestWait = 2ms;
    static constexpr Duration kLongestWait = 10ms;

    std::uint64_t number_ = 0;
    std::optional<TimePoint> due_;
    bool repeating_ = false;
};

}  // namespace pinhole::transport
