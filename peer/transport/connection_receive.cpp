// What a datagram does.
#include "peer/transport/connection_impl.hpp"
#include "peer/transport/packet.hpp"

#include <utility>

namespace pinhole::transport {

std::optional<ByteSpan> Connection::Impl::decrypt(const net::Received& datagram, std::uint64_t number, bool phase,
                                                  TimePoint now) {
    // RFC 9001 §6.5: three probe timeouts cover what reordering may delay.
    return keys_.open(number, phase, datagram.payload.first(kHeaderSize), datagram.payload.subspan(kHeaderSize), now,
                      3 * probe_timeout());
}

void Connection::Impl::handle_datagram(const net::Received& datagram, TimePoint now) {
    if (state_ == State::closed) {
        return;
    }
    const auto header = parse_header(datagram.payload);
    if (!header || header->connection_id != config_.local_connection_id) {
        ++stats_.packets_dropped;
        return;
    }
    const auto size = datagram.payload.size();
    const auto number = expand_packet_number(acks_.next_expected(), header->truncated_number);
    const auto payload = decrypt(datagram, number, header->key_phase, now);
    if (!payload) {
        ++stats_.packets_dropped;
        if (keys_.integrity_exhausted()) {
            close(CloseReason::protocol_violation, "too many forged packets", now);
        }
        return;
    }
    ++stats_.packets_received;
    arrivals_.on_packet(now);
    stats_.bytes_received += size;
    last_heard_ = now;
    silent_paths_ = 0;
    if (std::exchange(silence_told_, false)) {
        // The way back is open again, so the way there may be: not a matter for a timer that has backed off.
        probe(now);
    }
    Arrival arrival{.number = number, .addresses = datagram.path, .now = now};
    const auto outcome = process_frames(*payload, arrival);
    if (!outcome) {
        close(outcome.error().reason, std::string{outcome.error().what}, now);
    } else if (state_ == State::open) {
        note_source(arrival, size);
        if (!arrival.refused) {
            const auto* path = active();
            acks_.on_packet({.number = number,
                             .ack_eliciting = arrival.ack_eliciting,
                             .urgent = arrival.urgent,
                             .ecn = datagram.ecn},
                            now, path != nullptr ? path->rtt.smoothed() : kInitialRtt);
        }
    }
    rearm(now);
}

/// What each frame does; `arrival` collects what the packet as a whole means.
struct Connection::Impl::FrameVisitor {
    Impl& self;
    Arrival& arrival;

    Outcome operator()(const PaddingFrame&) const { return {}; }

    Outcome operator()(const PingFrame&) const {
        arrival.urgent = true;
        eliciting();
        return {};
    }

    Outcome operator()(const AckFrame& frame) const {
        arrival.probing = false;
        return self.handle_ack(frame, arrival.now);
    }

    Outcome operator()(const StreamFrame& frame) const {
        eliciting();
        self.last_data_ = arrival.now;
        if (frame.priority != Priority::file) {
            self.arrivals_.on_message(arrival.now);
        }
        const auto taken = self.streams_.handle(frame);
        if (!taken) {
            return std::unexpected(taken.error());
        }
        arrival.refused = arrival.refused || !*taken;
        return {};
    }

    template <class Frame>
        requires requires(Streams& streams, const Frame& frame) { streams.handle(frame); }
    Outcome operator()(const Frame& frame) const {
        eliciting();
        return self.streams_.handle(frame);
    }

    Outcome operator()(const PathChallengeFrame& frame) const {
        // RFC 9000 §8.2.2: the answer goes where the challenge came from. More than a few at once are nobody's need.
        if (self.answers_.size() < kMaxCandidates) {
            self.answers_.push_back({.to = arrival.addresses, .token = frame.token});
        }
        return {};
    }

    Outcome operator()(const PathResponseFrame& frame) const {
        self.handle_path_response(frame.token, arrival.now);
        return {};
    }

    Outcome operator()(const CloseFrame& frame) const {
        self.handle_close(frame, arrival.now);
        return {};
    }

    void eliciting() const {
        arrival.ack_eliciting = true;
        arrival.probing = false;
    }
};

Connection::Impl::Outcome Connection::Impl::process_frames(ByteView payload, Arrival& arrival) {
    ByteReader reader{payload};
    while (!reader.empty()) {
        const auto frame = parse_frame(reader);
        if (!frame) {
            return std::unexpected(Violation{CloseReason::protocol_violation, "malformed frame"});
        }
        if (state_ != State::open) {
            // Only the end of the end still matters.
            if (const auto* close_frame = std::get_if<CloseFrame>(&*frame)) {
                handle_close(*close_frame, arrival.now);
            }
            continue;
        }
        if (auto outcome = std::visit(FrameVisitor{*this, arrival}, *frame); !outcome) {
            return outcome;
        }
    }
    if (state_ == State::closing) {
        // RFC 9000 §10.2.1: said again to whoever has not heard, less and less often.
        ++close_answers_;
        close_pending_ = close_pending_ || (close_answers_ & (close_answers_ - 1)) == 0;
    }
    return {};
}

}  // namespace pinhole::transport
