// The packets sent and not yet settled, in a ring indexed by packet number, and what frames each carried. A packet
// stays after it was declared lost, for as long as its acknowledgement may still come and prove that wrong. Knows
// nothing of timers and paths' states: who is lost is decided by the caller.
#pragma once

#include "common/base/time.hpp"
#include "peer/transport/delivery_rate.hpp"
#include "peer/transport/range_set.hpp"
#include "peer/transport/ring.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::transport {

enum class FrameKind : std::uint8_t {
    ack,              ///< value: the largest number acknowledged
    stream,           ///< id, value: offset, length, fin
    reset_stream,     ///< id
    stop_sending,     ///< id
    max_data,         ///< value: the limit
    max_stream_data,  ///< id, value: the limit
    max_streams       ///< value: the limit
};

/// A frame as it has to be remembered: enough to settle it or to send it again.
struct FrameRecord {
    std::uint64_t id = 0;
    std::uint64_t value = 0;
    std::uint32_t length = 0;
    FrameKind kind = FrameKind::ack;
    bool fin = false;
};

enum class PacketState : std::uint8_t {
    settled,      ///< acknowledged, or nothing that an acknowledgement would settle
    outstanding,  ///< in flight
    lost,         ///< declared lost; frames were sent again
    skipped       ///< never sent: an acknowledgement of it is a lie
};

struct SentPacket {
    TimePoint sent;
    TimePoint declared_lost;
    DeliveryStamp delivery;
    std::uint64_t first_frame = 0;
    std::uint32_t path = 0;
    std::uint16_t frames = 0;
    std::uint16_t size = 0;
    PacketState state = PacketState::settled;
    bool ack_eliciting = false;
    bool mtu_probe = false;
    bool ecn_marked = false;
};

class SentPackets {
  public:
    /// The number that the next packet gets.
    [[nodiscard]] std::uint64_t next_number() const { return base_ + packets_.size(); }

    [[nodiscard]] std::size_t size() const { return packets_.size(); }

    /// Notes a frame of the packet that `add` will complete.
    void record(const FrameRecord& frame) { frames_.push_back(frame); }

    void add(SentPacket packet);
    /// Leaves one number out. A peer that acknowledges what it did not receive will trip over it (RFC 9000 §21.4).
    void skip();

    [[nodiscard]] SentPacket& at(std::uint64_t number) { return packets_[static_cast<std::size_t>(number - base_)]; }

    [[nodiscard]] const FrameRecord& frame(const SentPacket& packet, std::size_t index) const {
        return frames_[static_cast<std::size_t>(packet.first_frame - frames_base_) + index];
    }

    /// Calls `visit(number, packet)` for each packet of the range that had not been acknowledged before, skipped ones
    /// too.
    template <class Visit>
    void acknowledge(Range range, Visit visit) {
        range.begin = std::max(range.begin, base_);
        range.end = std::min(range.end, next_number());
        acked_.for_each_gap(range, [&](Range fresh) {
            for (auto number = fresh.begin; number < fresh.end; ++number) {
                visit(number, at(number));
            }
        });
        acked_.insert(range);
    }

    /// Calls `visit(number, packet)` for each outstanding packet below `end`, oldest first, until it returns false.
    template <class Visit>
    void for_each_outstanding(std::uint64_t end, Visit visit) {
        advance_outstanding();
        bool more = true;
        acked_.for_each_gap({oldest_outstanding_, std::min(end, next_number())}, [&](Range gap) {
            for (auto number = gap.begin; more && number < gap.end; ++number) {
                if (auto& packet = at(number); packet.state == PacketState::outstanding) {
                    more = visit(number, packet);
                }
            }
        });
    }

    /// Forgets settled packets at the front, and lost ones declared before `lost_before`.
    void trim(TimePoint lost_before);
    /// Gives back the memory that is not in use.
    void rest();

    [[nodiscard]] bool acknowledged(std::uint64_t number) const { return number < base_ || acked_.contains(number); }

  private:
    void advance_outstanding();

    Ring<SentPacket> packets_;
    std::uint64_t base_ = 0;
    Ring<FrameRecord> frames_;
    std::uint64_t frames_base_ = 0;
    std::uint64_t frames_claimed_ = 0;
    /// Acknowledged numbers at or above base_.
    RangeSet acked_;
    std::uint64_t oldest_outstanding_ = 0;
};

}  // namespace pinhole::transport
