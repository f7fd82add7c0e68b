// Which packets have arrived, and when to say so: at once when something is odd, else every second packet in the
// beginning and every eighth later, or after a quarter of a round trip.
#pragma once

#include "common/base/time.hpp"
#include "common/net/datagram.hpp"
#include "peer/transport/frame.hpp"
#include "peer/transport/range_set.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::transport {

class AckTracker {
  public:
    struct Arrival {
        std::uint64_t number = 0;
        bool ack_eliciting = false;
        /// It contained a PING: the sender is waiting for the answer.
        bool urgent = false;
        net::Ecn ecn = net::Ecn::not_ect;
    };

    void on_packet(const Arrival& arrival, TimePoint now, Duration smoothed_rtt);
    /// The peer has seen an ACK up to `largest`: what it covered need not be repeated. RFC 9000 §13.2.4.
    void on_ack_acked(std::uint64_t largest);

    /// The highest number received, plus one.
    [[nodiscard]] std::uint64_t next_expected() const { return next_expected_; }

    [[nodiscard]] bool due(TimePoint now) const { return urgent_ || (deadline_ && *deadline_ <= now); }

    /// Something waits for acknowledgement, due or not.
    [[nodiscard]] bool pending() const { return unacked_ > 0; }

    [[nodiscard]] std::optional<TimePoint> deadline() const { return deadline_; }

    /// More than one range is being repeated.
    [[nodiscard]] bool fragmented() const { return received_.size() > 1; }

    /// Writes an ACK frame if it fits and returns the largest number in it.
    [[nodiscard]] std::optional<std::uint64_t> write(ByteWriter& out, TimePoint now);

    void rest() { received_.shrink(); }

  private:
    [[nodiscard]] bool reordered(std::uint64_t number, std::uint64_t expected) const;

    RangeSet received_;
    std::uint64_t next_expected_ = 0;
    TimePoint largest_at_;
    std::uint64_t eliciting_total_ = 0;
    int unacked_ = 0;
    bool urgent_ = false;
    std::optional<TimePoint> deadline_;
    EcnCounts counts_;
};

}  // namespace pinhole::transport
