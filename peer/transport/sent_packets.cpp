#include "peer/transport/sent_packets.hpp"

namespace pinhole::transport {

void SentPackets::add(SentPacket packet) {
    const auto recorded = frames_base_ + frames_.size();
    packet.first_frame = frames_claimed_;
    packet.frames = static_cast<std::uint16_t>(recorded - frames_claimed_);
    frames_claimed_ = recorded;
    packets_.push_back(packet);
}

void SentPackets::skip() {
    SentPacket hole;
    hole.state = PacketState::skipped;
    add(hole);
}

void SentPackets::advance_outstanding() {
    oldest_outstanding_ = std::max(oldest_outstanding_, base_);
    while (oldest_outstanding_ < next_number() && at(oldest_outstanding_).state != PacketState::outstanding) {
        ++oldest_outstanding_;
    }
}

void SentPackets::trim(TimePoint lost_before) {
    while (!packets_.empty()) {
        const auto& packet = packets_.front();
        if (packet.state == PacketState::outstanding ||
            (packet.state == PacketState::lost && packet.declared_lost > lost_before)) {
            break;
        }
        for (std::size_t i = 0; i < packet.frames; ++i) {
            frames_.pop_front();
        }
        frames_base_ += packet.frames;
        packets_.pop_front();
        ++base_;
    }
    acked_.erase_below(base_);
}

void SentPackets::rest() {
    packets_.shrink();
    frames_.shrink();
    acked_.shrink();
}

}  // namespace pinhole::transport
