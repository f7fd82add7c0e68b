// What goes out.
#include "peer/transport/connection_impl.hpp"
#include "peer/transport/packet.hpp"

#include <algorithm>

namespace pinhole::transport {

namespace {

// Gaps in the packet numbers: on average one in 1000 packets, never two near each other.
constexpr std::uint64_t kSkipEvery = 500;
// Packets of acknowledgements alone between two that ask the peer which of them arrived (RFC 9000 §13.2.4).
constexpr int kPingEvery = 32;
// Sent packets that are remembered at once: kMaximumWindow in packets of 250 bytes, 12 MiB of records.
constexpr std::size_t kMaxSentPackets = 1U << 18;
// Packets with messages that the pacer lets pass in debt, and that may be in flight beyond the window.
constexpr std::size_t kUrgentPackets = 2;
// While messages flow: the rest keeps the queue on the way empty, which the bandwidth, as the best sample says it, does
// not quite.
constexpr double kTalkingShare = 0.97;
// From the second probe timeout in a row on, the size itself may be the problem.
constexpr std::uint32_t kProbesBeforeBaseSize = 2;

}  // namespace

std::optional<TransmitBatch> Connection::Impl::poll_transmit(ByteSpan buffer, TimePoint now) {
    if (buffer.size() < config_.base_mtu || state_ == State::closed) {
        return std::nullopt;
    }
    std::optional<TransmitBatch> batch;
    if (state_ != State::open) {
        batch = transmit_close(buffer, now);
    } else {
        batch = transmit_response(buffer, now);
        if (!batch) {
            batch = transmit_challenge(buffer, now);
        }
        if (auto* path = active(); path != nullptr && !batch) {
            batch = transmit_batch(*path, buffer, now);
            if (!batch) {
                batch = transmit_mtu_probe(*path, buffer, now);
            }
        }
    }
    rearm(now);
    return batch;
}

std::optional<TransmitBatch> Connection::Impl::transmit_batch(Path& path, ByteSpan out, TimePoint now) {
    const bool talking = arrivals_.talking(now);
    path.share = talking ? kTalkingShare : 1;
    path.refill_pacer(now);
    timers_.stop(Timer::pacing);
    auto mtu = std::min(path.mtu.current(), out.size());
    if (path.probe_timeouts >= kProbesBeforeBaseSize) {
        mtu = std::min(mtu, config_.base_mtu);
    }
    const auto longest = std::min(out.size(), Pacer::quantum(path.rate(), mtu));
    const auto quantum =
        talking ? std::min(longest, Pacer::quantum(path.rate(), mtu, Pacer::kTalkingQuantum)) : longest;
    const bool paced = !path.pacer.may_send();
    // A message does not wait until the last batch is paid off, nor for a window that a probe has made small.
    const bool lent = path.pacer.may_borrow(longest + kUrgentPackets * mtu);
    const auto mark = path.over_tcp() ? net::Ecn::not_ect : ecn_.mark();
    TransmitBatch batch{.path = path.addresses, .ecn = mark};
    std::size_t packets = 0;
    while (batch.size + mtu <= quantum && packets < kMaxBatchPackets) {
        const bool urgent = lent && streams_.has_urgent();
        const auto mode = urgent ? mode_for(path, mtu, kUrgentPackets * mtu, false) : mode_for(path, mtu, 0, paced);
        const auto size = build_packet(path, out.subspan(batch.size, mtu), mode, now);
        if (size == 0) {
            note_blocked(path, mode, paced);
            break;
        }
        batch.size += size;
        batch.segment_size = std::max(batch.segment_size, size);
        ++packets;
        if (size < mtu) {
            break;
        }
    }
    if (packets == 0) {
        return std::nullopt;
    }
    if (mark != net::Ecn::not_ect) {
        ecn_.on_marked_sent(packets);
    }
    return batch;
}

Connection::Impl::Mode Connection::Impl::mode_for(const Path& path, std::size_t packet, std::size_t over,
                                                  bool paced) const {
    if (probes_pending_ > 0) {
        return Mode::probe;
    }
    const bool blocked = path.in_flight + packet > path.congestion->window() + over || sent_.size() >= kMaxSentPackets;
    return blocked || paced ? Mode::acks_only : Mode::all;
}

/// Nothing more goes out: the reason decides what the congestion controller may learn and what wakes the sender.
void Connection::Impl::note_blocked(Path& path, Mode mode, bool paced) {
    const bool wants_more = mode == Mode::acks_only && (ping_pending_ || streams_.has_frames());
    path.app_limited = !wants_more;
    if (!wants_more && mode != Mode::probe && path.in_flight < path.congestion->window()) {
        path.delivery.mark_app_limited(path.in_flight);
    }
    if (wants_more && paced) {
        path.paced_until = path.pacer.ready_at();
        timers_.set(Timer::pacing, *path.paced_until);
    }
}

std::size_t Connection::Impl::build_packet(Path& path, ByteSpan out, Mode mode, TimePoint now) {
    const bool data = mode == Mode::probe || (mode == Mode::all && (ping_pending_ || streams_.has_frames()));
    const bool ack = acks_.due(now) || (data && acks_.pending());
    if (!data && !ack) {
        return 0;
    }
    skip_number_if_due();
    ByteWriter writer{out.subspan(kHeaderSize, out.size() - kPacketOverhead)};
    if (ack) {
        if (const auto largest = acks_.write(writer, now)) {
            sent_.record({.value = *largest, .kind = FrameKind::ack});
        }
    }
    PacketTraits traits{.ecn_marked = !path.over_tcp() && ecn_.mark() != net::Ecn::not_ect};
    if (data) {
        const auto before = writer.size();
        if (ping_pending_ || mode == Mode::probe) {
            write_ping(writer);
            ping_pending_ = false;
        }
        const bool message = streams_.write_frames(writer);
        traits.ack_eliciting = writer.size() > before;
        probes_pending_ = std::max(0, probes_pending_ - 1);
        if (message) {
            arrivals_.on_message(now);
        }
        if (message && !streams_.has_urgent()) {
            repeater_.on_message_sent(sent_.next_number(), now, path.rtt.smoothed());
        }
    } else if (wants_ping_with_ack()) {
        write_ping(writer);
        traits.ack_eliciting = true;
    }
    return writer.size() == 0 ? 0 : seal_packet(&path, out, writer.size(), traits, now);
}

bool Connection::Impl::wants_ping_with_ack() {
    if (!acks_.fragmented() || ++acks_without_ping_ < kPingEvery) {
        return false;
    }
    acks_without_ping_ = 0;
    return true;
}

void Connection::Impl::skip_number_if_due() {
    if (sent_.next_number() < next_skip_) {
        return;
    }
    if (sent_.next_number() > 0) {
        sent_.skip();
    }
    next_skip_ = sent_.next_number() + kSkipEvery + rng_->below(2 * kSkipEvery);
}

std::size_t Connection::Impl::seal_packet(Path* path, ByteSpan out, std::size_t payload, PacketTraits traits,
                                          TimePoint now) {
    const auto number = sent_.next_number();
    const auto size = payload + kPacketOverhead;
    const auto header = out.first(kHeaderSize);
    write_header({.key_phase = keys_.next_send_phase(number),
                  .connection_id = config_.remote_connection_id,
                  .truncated_number = static_cast<std::uint32_t>(number)},
                 header);
    keys_.seal(number, header, out.subspan(kHeaderSize, payload + crypto::kTagSize));
    SentPacket packet;
    packet.sent = now;
    packet.size = static_cast<std::uint16_t>(size);
    packet.ack_eliciting = traits.ack_eliciting;
    packet.mtu_probe = traits.mtu_probe;
    packet.ecn_marked = traits.ecn_marked;
    if (path != nullptr) {
        packet.path = path->id.value;
        path->last_sent = number;
        if (traits.ack_eliciting) {
            packet.state = PacketState::outstanding;
            packet.delivery = path->delivery.on_sent(path->in_flight, size, now);
            path->in_flight += size;
            path->last_eliciting_sent = now;
            path->congestion->on_packet_sent(now, number, size);
            path->pacer.on_sent(size);
        }
    }
    sent_.add(packet);
    last_sent_ = now;
    ++stats_.packets_sent;
    stats_.bytes_sent += size;
    return size;
}

std::optional<TransmitBatch> Connection::Impl::transmit_mtu_probe(Path& path, ByteSpan out, TimePoint now) {
    // RFC 8899 §3: a probe carries nothing that would have to be repeated. One at a time, so it may exceed the window.
    const auto size = path.mtu.probe_size(now);
    if (!size || *size > out.size() || !path.rtt.sampled() || path.probe_timeouts > 0) {
        return std::nullopt;
    }
    ByteWriter writer{out.subspan(kHeaderSize, *size - kPacketOverhead)};
    write_ping(writer);
    std::ranges::fill(writer.reserve(writer.room()), std::uint8_t{0});
    path.mtu.on_probe_sent(*size);
    seal_packet(&path, out, writer.size(), {.ack_eliciting = true, .mtu_probe = true}, now);
    return TransmitBatch{.path = path.addresses, .size = *size, .segment_size = *size};
}

template <class Frame>
std::optional<TransmitBatch> Connection::Impl::single_frame(const net::PathAddresses& to, const Frame& frame,
                                                            ByteSpan out, TimePoint now) {
    ByteWriter writer{out.subspan(kHeaderSize, config_.base_mtu - kPacketOverhead)};
    write_frame(writer, frame);
    const auto size = seal_packet(nullptr, out, writer.size(), {}, now);
    return TransmitBatch{.path = to, .size = size, .segment_size = size};
}

std::optional<TransmitBatch> Connection::Impl::transmit_response(ByteSpan out, TimePoint now) {
    if (answers_.empty()) {
        return std::nullopt;
    }
    // As large as the challenge at most, so it amplifies nothing (RFC 9000 §8.2.2).
    const auto answer = answers_.pop_front();
    return single_frame(answer.to, PathResponseFrame{answer.token}, out, now);
}

std::optional<TransmitBatch> Connection::Impl::transmit_challenge(ByteSpan out, TimePoint now) {
    constexpr std::size_t kChallengeSize = kPacketOverhead + 1 + sizeof(PathToken);
    for (auto& candidate : candidates_) {
        if (candidate.next_action > now) {
            continue;
        }
        // A turn that amplification forbids is a turn all the same: the candidate ages.
        ++candidate.challenges;
        candidate.next_action = now + probe_timeout();
        if (candidate.sent + kChallengeSize > kAmplification * candidate.received) {
            continue;
        }
        candidate.sent += kChallengeSize;
        return single_frame(candidate.addresses, PathChallengeFrame{candidate.token}, out, now);
    }
    return std::nullopt;
}

std::optional<TransmitBatch> Connection::Impl::transmit_close(ByteSpan out, TimePoint now) {
    const auto* path = active();
    if (!close_pending_ || path == nullptr) {
        return std::nullopt;
    }
    close_pending_ = false;
    return single_frame(path->addresses,
                        CloseFrame{.code = static_cast<std::uint64_t>(close_reason_), .detail = close_detail_}, out,
                        now);
}

}  // namespace pinhole::transport
