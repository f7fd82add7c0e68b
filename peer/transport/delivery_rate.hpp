// How fast a path delivers: a sample for each acknowledgement (draft-ietf-ccwg-bbr §4.1). Each packet carries a stamp
// of what had been delivered when it left; the difference at its acknowledgement, over the longer of the times that
// sending and acknowledging took, is the rate. Sizes are bytes of UDP payload.
#pragma once

#include "common/base/time.hpp"

#include <cstddef>
#include <cstdint>

namespace pinhole::transport {

/// The state of the path when a packet left.
struct DeliveryStamp {
    std::uint64_t delivered = 0;
    std::uint64_t lost = 0;
    TimePoint delivered_at;
    /// When the packet left whose acknowledgement came last: where the sending interval begins.
    TimePoint first_sent;
    /// With this packet.
    std::uint32_t in_flight = 0;
    /// The network was not the limit.
    bool app_limited = false;
};

struct RateSample {
    /// Bytes a second; 0 when the acknowledgement says nothing about the rate.
    double rate = 0;
    /// Delivered while the newest acknowledged packet was on its way, and lost meanwhile.
    std::uint64_t delivered = 0;
    std::uint64_t lost = 0;
    /// What had been delivered in all when it left.
    std::uint64_t prior_delivered = 0;
    /// In flight when it left, with it.
    std::uint64_t in_flight = 0;
    bool app_limited = false;
};

class DeliveryRate {
  public:
    /// `in_flight` without the packet.
    [[nodiscard]] DeliveryStamp on_sent(std::uint64_t in_flight, std::size_t size, TimePoint now);
    void on_acked(const DeliveryStamp& stamp, TimePoint sent, std::size_t size, TimePoint now);

    void on_lost(std::size_t size) { lost_ += size; }

    /// A packet that counted as lost has arrived.
    void on_found(std::size_t size) {
        lost_ -= size;
        delivered_ += size;
    }

    /// Less is on its way than the network would take: there is no more data, or this machine came too late to send it.
    void mark_app_limited(std::uint64_t in_flight);
    /// The sample of the acknowledgements since the last call. Intervals below `min_rtt` cannot be true.
    [[nodiscard]] RateSample take_sample(Duration min_rtt);

    [[nodiscard]] std::uint64_t delivered() const { return delivered_; }

    [[nodiscard]] std::uint64_t lost() const { return lost_; }

  private:
    std::uint64_t delivered_ = 0;
    std::uint64_t lost_ = 0;
    TimePoint delivered_at_;
    TimePoint first_sent_;
    /// Packets are marked until so much has been delivered.
    std::uint64_t app_limited_until_ = 0;

    bool sampled_ = false;
    DeliveryStamp newest_;
    TimePoint newest_sent_;
    Duration send_elapsed_{};
};

}  // namespace pinhole::transport
