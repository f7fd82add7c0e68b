#include "tests/sim/tcp.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::sim {

namespace {

constexpr std::size_t kHeaders = 40;
constexpr std::size_t kSegment = 1400;
constexpr std::uint64_t kWindow = 64 * 1024;
constexpr Duration kSynTimeout = 1s;
constexpr Duration kMinTimeout = 200ms;
constexpr Duration kMaxTimeout = 120s;
/// Linux: tcp_syn_retries with four linear ones, tcp_retries2.
constexpr int kLinearSyns = 4;
constexpr int kMaxSyns = 10;
constexpr int kMaxRetries = 15;
/// Two numbers before the data: the offset of its first byte, and the offset that is expected from the other side.
constexpr std::size_t kNumbers = 16;

}  // namespace

TcpConnection::TcpConnection(const lab::Flow& flow, bool active, TimePoint now)
    : flow_(flow), state_(active ? State::syn_sent : State::syn_received), opened_(now) {
    send({.syn = true, .ack = !active}, 0, {});
    arm(now);
}

void TcpConnection::send(lab::TcpFlags flags, std::uint64_t offset, ByteView data) {
    Bytes payload(kNumbers + data.size());
    ByteWriter writer{payload};
    writer.u64(offset);
    writer.u64(expected_);
    writer.bytes(data);
    lab::Packet segment;
    segment.flow = flow_;
    segment.tcp = flags;
    segment.size = kHeaders + data.size();
    segment.payload = std::move(payload);
    out_.push_back(std::move(segment));
}

void TcpConnection::send_ack() {
    send({.ack = true}, next_, {});
}

void TcpConnection::arm(TimePoint now) {
    if (state_ == State::syn_sent || state_ == State::syn_received) {
        retransmit_at_ = now + kSynTimeout * (1 << std::max(attempts_ - kLinearSyns, 0));
        return;
    }
    const auto base = std::max<Duration>(2 * round_trip_, kMinTimeout);
    retransmit_at_ = now + std::min<Duration>(base * (1 << std::min(attempts_, 10)), kMaxTimeout);
}

void TcpConnection::send_window(TimePoint now) {
    if (state_ != State::established) {
        return;
    }
    const auto end = first_unacknowledged_ + unacknowledged_.size();
    while (next_ < std::min(end, first_unacknowledged_ + kWindow)) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kSegment, end - next_));
        const auto at = static_cast<std::size_t>(next_ - first_unacknowledged_);
        send({.ack = true}, next_, ByteView{unacknowledged_}.subspan(at, size));
        next_ += size;
    }
    if (closing_ && next_ == end) {
        send({.ack = true, .fin = true}, next_++, {});
    }
    if (next_ > first_unacknowledged_ && !retransmit_at_) {
        arm(now);
    }
}

void TcpConnection::handle_segment(const lab::Packet& segment, TimePoint now) {
    if (state_ == State::closed) {
        return;
    }
    const auto& flags = segment.tcp;
    if (flags.rst || segment.reset) {
        end();
        return;
    }
    if (flags.syn && state_ == State::syn_sent) {
        // RFC 9293 §3.5: SYN-ACK is the answer; SYN alone is a simultaneous open.
        if (!flags.ack) {
            state_ = State::syn_received;
            send({.syn = true, .ack = true}, 0, {});
            return;
        }
        connected(now);
        send_ack();
        send_window(now);
        return;
    }
    if (flags.syn && !flags.ack) {
        send({.syn = true, .ack = true}, 0, {});  // our answer was lost
        return;
    }
    if (state_ == State::syn_received) {
        connected(now);
        send_window(now);
    }
    if (flags.syn) {
        send_ack();  // the end of a simultaneous open, or our last word was lost
    } else {
        handle_data(segment, now);
    }
}

void TcpConnection::connected(TimePoint now) {
    state_ = State::established;
    round_trip_ = now - opened_;
    attempts_ = 0;
    retransmit_at_.reset();
}

void TcpConnection::handle_data(const lab::Packet& segment, TimePoint now) {
    ByteReader reader{segment.payload};
    const auto offset = reader.u64();
    const auto expected = reader.u64();
    if (!offset || !expected) {
        return;
    }
    acknowledged(*expected, now);
    const auto data = reader.rest();
    if (data.empty() && !segment.tcp.fin) {
        return;
    }
    if (*offset <= expected_ && *offset + data.size() > expected_) {
        const auto fresh = data.subspan(static_cast<std::size_t>(expected_ - *offset));
        received_.insert(received_.end(), fresh.begin(), fresh.end());
        expected_ += fresh.size();
    }
    if (segment.tcp.fin && expected_ == *offset + data.size()) {
        ++expected_;
        ended_ = true;
    }
    send_ack();
    finish_if_done();
}

void TcpConnection::acknowledged(std::uint64_t up_to, TimePoint now) {
    if (up_to > first_unacknowledged_ && up_to <= next_) {
        const auto bytes = std::min<std::uint64_t>(up_to - first_unacknowledged_, unacknowledged_.size());
        unacknowledged_.erase(unacknowledged_.begin(), unacknowledged_.begin() + static_cast<std::ptrdiff_t>(bytes));
        first_unacknowledged_ = up_to;
        attempts_ = 0;
        retransmit_at_.reset();
    }
    if (next_ > first_unacknowledged_ && !retransmit_at_) {
        arm(now);
    }
    send_window(now);
    finish_if_done();
}

void TcpConnection::handle_unreachable() {
    if (state_ == State::syn_sent) {
        end();
    }
}

void TcpConnection::handle_timeout(TimePoint now) {
    if (!retransmit_at_ || *retransmit_at_ > now) {
        return;
    }
    const bool connecting = state_ != State::established;
    if (++attempts_ > (connecting ? kMaxSyns : kMaxRetries)) {
        end();
        return;
    }
    retransmit_at_.reset();
    if (connecting) {
        opened_ = now;
        send({.syn = true, .ack = state_ == State::syn_received}, 0, {});
    } else {
        // Everything again: the receiver keeps nothing that came out of order.
        next_ = first_unacknowledged_;
        send_window(now);
    }
    arm(now);
}

void TcpConnection::write(ByteView bytes, TimePoint now) {
    if (closing_ || state_ == State::closed) {
        return;
    }
    unacknowledged_.insert(unacknowledged_.end(), bytes.begin(), bytes.end());
    send_window(now);
}

void TcpConnection::close(TimePoint now) {
    if (state_ == State::closed || closing_) {
        return;
    }
    closing_ = true;
    if (state_ == State::syn_sent || ended_) {
        // Who was refused or left has nothing to wait for: Linux answers what is still under way with RST.
        state_ = State::closed;
        retransmit_at_.reset();
        return;
    }
    send_window(now);
}

void TcpConnection::end() {
    state_ = State::closed;
    ended_ = true;
    retransmit_at_.reset();
}

void TcpConnection::finish_if_done() {
    if (closing_ && unacknowledged_.empty() && first_unacknowledged_ == next_ && next_ > 0) {
        state_ = State::closed;
        retransmit_at_.reset();
    }
}

std::optional<lab::Packet> TcpConnection::poll_segment() {
    if (out_.empty()) {
        return std::nullopt;
    }
    auto segment = std::move(out_.front());
    out_.pop_front();
    return segment;
}

Bytes TcpConnection::take_received() {
    return std::exchange(received_, {});
}

}  // namespace pinhole::sim
