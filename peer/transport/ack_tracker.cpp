#include "peer/transport/ack_tracker.hpp"

#include "peer/transport/rtt.hpp"

namespace pinhole::transport {

namespace {

// The sender's slow start lives on acknowledgements; afterwards each one costs both sides more than it tells.
constexpr std::uint64_t kStartPackets = 128;
constexpr int kStartEvery = 2;
constexpr int kEvery = 8;
constexpr Duration kShortestDelay = 1ms;
// So many packets behind a gap are acknowledged at once: the sender's packet threshold (RFC 9002 §6.1.1).
constexpr std::uint64_t kGapPackets = 3;

}  // namespace

void AckTracker::on_packet(const Arrival& arrival, TimePoint now, Duration smoothed_rtt) {
    const auto expected = next_expected_;
    received_.insert({arrival.number, arrival.number + 1});
    if (received_.size() > kMaxAckRanges) {
        received_.pop_front();
    }
    if (arrival.number >= expected) {
        next_expected_ = arrival.number + 1;
        largest_at_ = now;
    }
    counts_.ect0 += arrival.ecn == net::Ecn::ect0 ? 1 : 0;
    counts_.ect1 += arrival.ecn == net::Ecn::ect1 ? 1 : 0;
    counts_.ce += arrival.ecn == net::Ecn::ce ? 1 : 0;
    if (!arrival.ack_eliciting) {
        return;
    }
    ++eliciting_total_;
    ++unacked_;
    if (arrival.urgent || arrival.ecn == net::Ecn::ce || reordered(arrival.number, expected) ||
        unacked_ >= (eliciting_total_ <= kStartPackets ? kStartEvery : kEvery)) {
        urgent_ = true;
    }
    if (!deadline_) {
        deadline_ = now + std::clamp(smoothed_rtt / 4, kShortestDelay, kMaxAckDelay);
    }
}

// RFC 9000 §13.2.1: out of order, or just behind a gap.
bool AckTracker::reordered(std::uint64_t number, std::uint64_t expected) const {
    return number < expected || (received_.size() > 1 && received_.back().length() <= kGapPackets);
}

void AckTracker::on_ack_acked(std::uint64_t largest) {
    received_.erase_below(largest + 1);
}

std::optional<std::uint64_t> AckTracker::write(ByteWriter& out, TimePoint now) {
    if (received_.empty()) {
        urgent_ = false;
        unacked_ = 0;
        deadline_.reset();
        return std::nullopt;
    }
    const auto counts = counts_ == EcnCounts{} ? std::nullopt : std::optional{counts_};
    if (!write_ack(out, received_, now - largest_at_, counts)) {
        return std::nullopt;
    }
    urgent_ = false;
    unacked_ = 0;
    deadline_.reset();
    return received_.back().end - 1;
}

}  // namespace pinhole::transport
