// Acknowledgements, losses and probes. RFC 9002 §5 and §6.
#include "peer/transport/connection_impl.hpp"

#include <algorithm>

namespace pinhole::transport {

namespace {

// RFC 9002 §6.2.4.
constexpr int kProbes = 2;
// Losses in a row that no line makes by chance.
constexpr std::size_t kRunPackets = 3;
// A peer that is busy for a moment is no dead path, however short the way to it.
constexpr Duration kBriskProbe = 80ms;

}  // namespace

Connection::Impl::Outcome Connection::Impl::handle_ack(const AckFrame& frame, TimePoint now) {
    if (frame.largest >= sent_.next_number()) {
        return std::unexpected(Violation{CloseReason::protocol_violation, "acknowledged a packet never sent"});
    }
    bool lie = false;
    bool any = false;
    std::size_t marked = 0;
    const bool largest_is_new = !sent_.acknowledged(frame.largest);
    frame.for_each_range([&](Range range) {
        sent_.acknowledge(range, [&](std::uint64_t number, SentPacket& packet) {
            lie = lie || packet.state == PacketState::skipped;
            any = true;
            marked += packet.ecn_marked ? 1 : 0;
            on_packet_acked(number, packet, now);
        });
    });
    if (lie) {
        return std::unexpected(Violation{CloseReason::protocol_violation, "acknowledged a packet never sent"});
    }
    if (!any) {
        return {};
    }
    last_data_.reset();
    if (largest_is_new) {
        const auto& packet = sent_.at(frame.largest);
        auto* path = find_path(packet.path);
        if (path != nullptr && packet.ack_eliciting) {
            path->rtt.add_sample(now - packet.sent, frame.delay);
            first_rtt_sample_ = first_rtt_sample_.value_or(now);
            if (pinged_at_ && packet.sent >= *pinged_at_) {
                pinged_at_.reset();
                events_.push_back(Pong{.rtt = path->rtt.latest()});
            }
        }
    }
    if (!confirmed_) {
        confirmed_ = true;
        events_.push_back(Confirmed{});
    }
    settle_ack_round(frame, marked, now);
    return {};
}

void Connection::Impl::on_packet_acked(std::uint64_t number, SentPacket& packet, TimePoint now) {
    keys_.on_acked(number);
    auto* path = find_path(packet.path);
    if (path != nullptr && packet.ack_eliciting) {
        path->largest_acked = std::max(path->largest_acked.value_or(0), number);
        path->probe_timeouts = 0;
        path->acked_in_round = true;
        if (packet.state == PacketState::outstanding) {
            path->in_flight -= packet.size;
            path->delivery.on_acked(packet.delivery, packet.sent, packet.size, now);
            path->congestion->on_packet_acked(packet.sent, packet.size);
        } else if (packet.state == PacketState::lost && !packet.mtu_probe) {
            path->delivery.on_found(packet.size);
            path->tolerate_reordering(*path->largest_acked - number);
            path->congestion->on_spurious_loss(packet.declared_lost);
        }
        if (packet.mtu_probe) {
            path->mtu.on_probe_acked(packet.size, now);
            path->congestion->set_mtu(path->mtu.current());
        }
        path->mtu.on_packet_acked(number, packet.size);
    }
    packet.state = PacketState::settled;
    for (std::size_t i = 0; i < packet.frames; ++i) {
        const auto& frame = sent_.frame(packet, i);
        if (frame.kind == FrameKind::ack) {
            acks_.on_ack_acked(frame.value);
        } else {
            streams_.on_acked(frame);
        }
    }
}

void Connection::Impl::settle_ack_round(const AckFrame& frame, std::size_t newly_marked, TimePoint now) {
    const bool congested = ecn_.on_ack(newly_marked, frame.ecn);
    detect_losses(now);
    for (auto& path : paths_) {
        if (!std::exchange(path->acked_in_round, false)) {
            continue;
        }
        path->congestion->on_ack({.now = now,
                                  .largest_acked = path->largest_acked.value_or(0),
                                  .next_packet = sent_.next_number(),
                                  .latest_rtt = path->rtt.latest(),
                                  .smoothed_rtt = path->rtt.smoothed(),
                                  .app_limited = path->app_limited,
                                  .sample = path->delivery.take_sample(path->rtt.min()),
                                  .delivered = path->delivery.delivered(),
                                  .lost = path->delivery.lost(),
                                  .in_flight = path->in_flight});
    }
    if (auto* path = active(); path != nullptr && congested) {
        const auto& newest = sent_.at(std::max(frame.largest, sent_.next_number() - sent_.size()));
        path->congestion->on_congestion({.now = now, .newest_sent = newest.sent, .ecn = true});
    }
    repeater_.forget([this](std::uint64_t number) { return sent_.acknowledged(number); });
    forget_settled(now);
}

/// What one look at a path found.
struct Connection::Impl::LossRound {
    std::size_t packets = 0;
    TimePoint newest_sent;
    /// Packets lost one after another with none acknowledged between them. RFC 9002 §7.6.2.
    std::optional<TimePoint> run_start;
    std::uint64_t run_end = 0;
    Duration longest_run{};
    /// Numbers lost one after another.
    std::uint64_t last_lost = 0;
    std::size_t row = 0;
    std::size_t longest_row = 0;

    void count(std::uint64_t number) {
        row = row > 0 && number == last_lost + 1 ? row + 1 : 1;
        longest_row = std::max(longest_row, row);
        last_lost = number;
        ++packets;
    }

    void extend(std::uint64_t number, TimePoint sent, bool unbroken) {
        if (!run_start || !unbroken) {
            run_start = sent;
        }
        run_end = number;
        longest_run = std::max(longest_run, sent - *run_start);
    }
};

void Connection::Impl::detect_losses(TimePoint now) {
    for (auto& path : paths_) {
        detect_losses_on(*path, now);
    }
}

void Connection::Impl::detect_losses_on(Path& path, TimePoint now) {
    path.loss_time.reset();
    if (path.in_flight == 0) {
        return;
    }
    LossRound round;
    detect_losses_below(path, now, round);
    if (round.packets == 0 || active() != &path) {
        return;
    }
    path.congestion->on_congestion({.now = now,
                                    .newest_sent = round.newest_sent,
                                    .packets = round.packets,
                                    .run = round.longest_row >= kRunPackets,
                                    .persistent = round.longest_run >= path.persistent_duration()});
}

void Connection::Impl::detect_losses_below(Path& path, TimePoint now, LossRound& round) {
    const bool in_use = active() == &path;
    if (in_use && !path.largest_acked) {
        return;
    }
    // On a path that was left nothing newer will be acknowledged: there a packet has one probe timeout.
    const auto largest = in_use ? *path.largest_acked : path.last_sent + 1;
    const auto delay = in_use ? path.loss_delay() : path.rtt.probe_timeout();
    sent_.for_each_outstanding(largest, [&](std::uint64_t number, SentPacket& packet) {
        if (packet.path != path.id.value) {
            return true;
        }
        const bool overtaken = in_use && largest - number >= path.packet_threshold;
        if (!overtaken && packet.sent + delay > now) {
            path.loss_time = earliest(path.loss_time, packet.sent + delay);
            return true;
        }
        declare_lost(packet, now);
        if (packet.mtu_probe) {
            path.mtu.on_probe_lost(packet.size, now);
            return true;
        }
        round.count(number);
        path.delivery.on_lost(packet.size);
        ++stats_.packets_lost;
        round.newest_sent = packet.sent;
        if (first_rtt_sample_ && packet.sent > *first_rtt_sample_) {
            bool unbroken = true;
            for (auto between = round.run_end + 1; unbroken && round.run_start && between < number; ++between) {
                unbroken = !sent_.acknowledged(between);
            }
            round.extend(number, packet.sent, unbroken);
        }
        if (path.mtu.on_packet_lost(number, packet.size, now)) {
            path.congestion->set_mtu(path.mtu.current());
        }
        return true;
    });
}

void Connection::Impl::declare_lost(SentPacket& packet, TimePoint now) {
    packet.state = PacketState::lost;
    packet.declared_lost = now;
    if (auto* path = find_path(packet.path)) {
        path->in_flight -= packet.size;
    }
    requeue_frames(packet);
}

void Connection::Impl::requeue_frames(const SentPacket& packet) {
    for (std::size_t i = 0; i < packet.frames; ++i) {
        streams_.on_lost(sent_.frame(packet, i));
    }
}

void Connection::Impl::repeat_messages(std::uint64_t number) {
    if (sent_.acknowledged(number)) {
        return;
    }
    const auto& packet = sent_.at(number);
    for (std::size_t i = 0; i < packet.frames; ++i) {
        if (const auto& frame = sent_.frame(packet, i); streams_.urgent(frame)) {
            streams_.on_lost(frame);
        }
    }
}

void Connection::Impl::abandon_packets(PathId path, std::size_t min_size, TimePoint now) {
    sent_.for_each_outstanding(sent_.next_number(), [&](std::uint64_t, SentPacket& packet) {
        if (packet.path == path.value && packet.size >= min_size) {
            declare_lost(packet, now);
        }
        return true;
    });
}

std::optional<TimePoint> Connection::Impl::loss_deadline() const {
    std::optional<TimePoint> deadline;
    for (const auto& path : paths_) {
        deadline = earliest(deadline, path->loss_time);
    }
    const auto* path = active();
    if (path != nullptr && !path->loss_time && path->in_flight > 0 && path->last_eliciting_sent) {
        deadline = earliest(deadline, *path->last_eliciting_sent + probe_timeout_of(*path));
    }
    return deadline;
}

// RFC 9002 §6.2.1 doubles it each time, for a path that is all there is. Where data can go elsewhere the third one ends
// the use of this path, so that it counts how soon that is: six small packets are no load in a congested network. A
// path that was left itself is no place to hurry to.
Duration Connection::Impl::probe_timeout_of(const Path& path) const {
    const auto backed_off = path.probe_timeout();
    const bool alternative = std::ranges::any_of(
        paths_, [&](const auto& other) { return other.get() != &path && other->left_at == TimePoint{}; });
    return alternative ? std::min(backed_off, std::max(path.rtt.probe_timeout(), kBriskProbe)) : backed_off;
}

void Connection::Impl::on_loss_timer(TimePoint now) {
    const bool overdue =
        std::ranges::any_of(paths_, [now](const auto& path) { return path->loss_time && *path->loss_time <= now; });
    if (overdue) {
        detect_losses(now);
        forget_settled(now);
        return;
    }
    auto* path = active();
    if (path == nullptr || path->in_flight == 0 || !path->last_eliciting_sent ||
        *path->last_eliciting_sent + probe_timeout_of(*path) > now) {
        return;
    }
    // RFC 9002 §6.2.4: nothing is declared lost; the oldest data goes out again to get an answer.
    ++path->probe_timeouts;
    probes_pending_ = kProbes;
    ecn_.on_probe_timeout();
    int left = kProbes;
    sent_.for_each_outstanding(sent_.next_number(), [&](std::uint64_t, const SentPacket& packet) {
        requeue_frames(packet);
        return --left > 0;
    });
    leave_silent_path(now);
}

void Connection::Impl::forget_settled(TimePoint now) {
    sent_.trim(now - probe_timeout());
}

}  // namespace pinhole::transport
