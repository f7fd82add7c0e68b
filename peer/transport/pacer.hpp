// Spreads packets over the round trip. Sending works on credit: a batch may go out while the budget is not negative,
// and then the path waits until the batch is paid off; so there is one wake-up and one system call a batch.
#pragma once

#include "common/base/time.hpp"

namespace pinhole::transport {

/// Packets of one batch at most; 44 packets of 1472 bytes fill the 64 KiB that the kernel takes at once.
inline constexpr std::size_t kMaxBatchPackets = 44;
inline constexpr std::size_t kMaxBatchBytes = 65'000;

class Pacer {
  public:
    static constexpr Duration kQuantum = 1500us;
    /// While messages are exchanged: one waits on the line until the batch before it is through. (What this machine was
    /// late for may still leave at once, several batches of it.)
    static constexpr Duration kTalkingQuantum = 500us;

    /// Credit for the time since the last call. `burst` bytes are the most that idle time earns.
    void refill(TimePoint now, double bytes_per_second, double burst);

    void on_sent(std::size_t bytes) { budget_ -= static_cast<double>(bytes); }

    [[nodiscard]] bool may_send() const { return budget_ >= 0; }

    /// The same for what must not wait, and is small: up to so many bytes are lent.
    [[nodiscard]] bool may_borrow(std::size_t bytes) const { return budget_ >= -static_cast<double>(bytes); }

    /// When may_send() becomes true again.
    [[nodiscard]] TimePoint ready_at() const;
    /// Bytes of one batch: so much time of the rate, at least two packets.
    [[nodiscard]] static std::size_t quantum(double bytes_per_second, std::size_t mtu, Duration time = kQuantum);

  private:
    TimePoint updated_;
    double rate_ = 0;
    double budget_ = 0;
};

}  // namespace pinhole::transport
