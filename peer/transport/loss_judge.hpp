// Tells losses by congestion from those of a bad line. A bare threshold, as BBR has it, gives up a line that loses two
// packets in a hundred for good. Here losses mean congestion only if they come with a queue and are more than the line
// is known to lose, come in runs, or are more than any line loses. Counts are packets of one round trip.
#pragma once

#include "common/base/time.hpp"

namespace pinhole::transport {

class LossJudge {
  public:
    struct Flight {
        /// Sent, and how many of them were lost.
        double packets = 0;
        double lost = 0;
        /// Round-trip time above its minimum when the losses were noticed.
        Duration queueing{};
        /// Three or more were lost in a row.
        bool run = false;
    };

    /// Of each acknowledgement: the round-trip time above its minimum.
    void on_queueing(Duration queueing);
    /// A round trip has ended: what was lost without a queue is the line's own doing.
    void learn(const Flight& flight);
    [[nodiscard]] bool congested(const Flight& flight) const;
    /// Fraction of packets that the line loses by itself.
    [[nodiscard]] double ambient() const;

  private:
    [[nodiscard]] bool queued(Duration queueing) const;

    /// The largest lately.
    Duration largest_queueing_{};
    double packets_ = 0;
    double lost_ = 0;
};

}  // namespace pinhole::transport
