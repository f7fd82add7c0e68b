// A TCP connection as small as the simulator needs: handshake, an ordered byte stream that survives loss, the end. Its
// segments cross the emulated network like any packet, so that NATs see SYN, ACK, FIN and RST. No congestion control
// and no bound on what is written: signaling and STUN say little. Driven by Host.
//
// Timer: one, for what is not acknowledged: 1 s for a SYN as Linux does, otherwise twice the round trip, doubled.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/time.hpp"
#include "tests/lab/model/packet.hpp"

#include <cstdint>
#include <deque>
#include <optional>

namespace pinhole::sim {

class TcpConnection {
  public:
    /// `flow` is what this side sends. Active: sends a SYN; passive: answers one.
    TcpConnection(const lab::Flow& flow, bool active, TimePoint now);

    void handle_segment(const lab::Packet& segment, TimePoint now);
    /// ICMP says that the other side cannot be reached: ends an attempt to connect, as RFC 1122 §4.2.3.9 wants.
    void handle_unreachable();
    void handle_timeout(TimePoint now);
    void write(ByteView bytes, TimePoint now);
    /// Nothing more is read or reported; what was written is still delivered.
    void close(TimePoint now);

    [[nodiscard]] std::optional<lab::Packet> poll_segment();

    [[nodiscard]] std::optional<TimePoint> next_timeout() const { return retransmit_at_; }

    [[nodiscard]] bool established() const { return state_ == State::established; }

    /// Bytes that arrived in order since the last call.
    [[nodiscard]] Bytes take_received();

    /// The other side has ended it, refused it, or was not heard.
    [[nodiscard]] bool ended() const { return ended_; }

    /// Nothing is left to do.
    [[nodiscard]] bool over() const { return state_ == State::closed; }

  private:
    enum class State : std::uint8_t { syn_sent, syn_received, established, closed };

    void send(lab::TcpFlags flags, std::uint64_t offset, ByteView data);
    void send_ack();
    void send_window(TimePoint now);
    void arm(TimePoint now);
    void connected(TimePoint now);
    void handle_data(const lab::Packet& segment, TimePoint now);
    void acknowledged(std::uint64_t up_to, TimePoint now);
    void end();
    void finish_if_done();

    lab::Flow flow_;
    State state_;
    TimePoint opened_;
    Duration round_trip_ = Duration{};
    /// Offsets in the stream; the end of a side counts as one byte after its last.
    Bytes unacknowledged_;
    std::uint64_t first_unacknowledged_ = 0;
    std::uint64_t next_ = 0;
    std::uint64_t expected_ = 0;
    Bytes received_;
    bool closing_ = false;
    bool ended_ = false;
    int attempts_ = 0;
    std::optional<TimePoint> retransmit_at_;
    std::deque<lab::Packet> out_;
};

}  // namespace pinhole::sim
