// The connection's parts put together. What happens on input is in connection_receive.cpp, on output in
// connection_transmit.cpp; loss and probes in connection_recovery.cpp; addresses in connection_paths.cpp; timers and
// the end of life in connection_lifecycle.cpp.
#pragma once

#include "common/net/timer_table.hpp"
#include "peer/transport/ack_tracker.hpp"
#include "peer/transport/arrivals.hpp"
#include "peer/transport/connection.hpp"
#include "peer/transport/ecn.hpp"
#include "peer/transport/packet_keys.hpp"
#include "peer/transport/path.hpp"
#include "peer/transport/repeater.hpp"
#include "peer/transport/ring.hpp"
#include "peer/transport/sent_packets.hpp"
#include "peer/transport/streams.hpp"

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::transport {

class Connection::Impl {
  public:
    Impl(Config config, const crypto::SecretKey& send_key, const crypto::SecretKey& receive_key, Rng& rng);

    PathId add_path(const net::PathAddresses& addresses, TimePoint now);
    void use_path(PathId path, std::string reason, TimePoint now);
    void remove_path(PathId path, TimePoint now);
    void handle_path_failed(const net::PathAddresses& addresses, TimePoint now);

    [[nodiscard]] std::optional<PathId> active_path() const { return active_; }

    [[nodiscard]] PathStats path_stats() const;
    void ping(TimePoint now);
    void probe(TimePoint now);

    [[nodiscard]] std::optional<TimePoint> last_heard() const { return last_heard_; }

    void handle_datagram(const net::Received& datagram, TimePoint now);
    void handle_timeout(TimePoint now);
    [[nodiscard]] std::optional<TransmitBatch> poll_transmit(ByteSpan buffer, TimePoint now);
    void handle_mtu_exceeded(std::size_t size, TimePoint now);

    [[nodiscard]] std::optional<TimePoint> next_timeout() const { return timers_.next(); }

    [[nodiscard]] std::optional<TimePoint> next_receive(TimePoint now) const;

    /// The streams; nullptr once the connection is ending.
    [[nodiscard]] Streams* streams() { return state_ == State::open ? &streams_ : nullptr; }

    /// What has arrived stays readable after the peer's end, as the last data and CLOSE may come together.
    [[nodiscard]] Streams* readable_streams() { return closed_by_us_ ? nullptr : &streams_; }

    [[nodiscard]] bool end_of_stream(StreamId id) const { return !closed_by_us_ && streams_.end_of_stream(id); }

    void close(CloseReason reason, std::string detail, TimePoint now);

    [[nodiscard]] bool closed() const { return state_ == State::draining || state_ == State::closed; }

    [[nodiscard]] std::optional<Event> poll_event();
    [[nodiscard]] const Stats& stats() const;

  private:
    enum class State : std::uint8_t {
        open,
        closing,   ///< we said CLOSE and wait for the echo
        draining,  ///< the peer said CLOSE; its repetitions are answered
        closed
    };
    enum class Timer : std::uint8_t {
        loss,
        acknowledgement,
        pacing,
        keepalive,
        idle,
        candidates,
        mtu,
        repeat,
        rest,
        closing,
        count
    };
    /// What a packet may contain.
    enum class Mode : std::uint8_t {
        acks_only,  ///< congestion control or the pacer forbid more
        all,
        probe  ///< after a probe timeout: outside of congestion control, and it asks for an answer
    };

    struct PacketTraits {
        bool ack_eliciting = false;
        bool mtu_probe = false;
        bool ecn_marked = false;
    };
    struct LossRound;
    struct FrameVisitor;
    using Outcome = std::expected<void, Violation>;

    // --- connection_receive.cpp
    struct Arrival {
        std::uint64_t number = 0;
        net::PathAddresses addresses;
        bool ack_eliciting = false;
        bool urgent = false;
        /// Only frames that probe a path: says nothing about where the peer wants to be reached.
        bool probing = true;
        /// The packet counts as lost: something in it could not be taken.
        bool refused = false;
        TimePoint now;
    };

    [[nodiscard]] std::optional<ByteSpan> decrypt(const net::Received& datagram, std::uint64_t number, bool phase,
                                                  TimePoint now);
    [[nodiscard]] Outcome process_frames(ByteView payload, Arrival& arrival);

    // --- connection_recovery.cpp
    [[nodiscard]] Outcome handle_ack(const AckFrame& frame, TimePoint now);
    void on_packet_acked(std::uint64_t number, SentPacket& packet, TimePoint now);
    void settle_ack_round(const AckFrame& frame, std::size_t newly_marked, TimePoint now);
    void detect_losses(TimePoint now);
    void detect_losses_on(Path& path, TimePoint now);
    void detect_losses_below(Path& path, TimePoint now, LossRound& round);
    void declare_lost(SentPacket& packet, TimePoint now);
    void requeue_frames(const SentPacket& packet);
    void repeat_messages(std::uint64_t number);
    void abandon_packets(PathId path, std::size_t min_size, TimePoint now);
    void on_loss_timer(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> loss_deadline() const;
    void forget_settled(TimePoint now);

    // --- connection_transmit.cpp
    [[nodiscard]] std::optional<TransmitBatch> transmit_batch(Path& path, ByteSpan out, TimePoint now);
    [[nodiscard]] std::optional<TransmitBatch> transmit_mtu_probe(Path& path, ByteSpan out, TimePoint now);
    [[nodiscard]] std::optional<TransmitBatch> transmit_response(ByteSpan out, TimePoint now);
    [[nodiscard]] std::optional<TransmitBatch> transmit_challenge(ByteSpan out, TimePoint now);
    [[nodiscard]] std::optional<TransmitBatch> transmit_close(ByteSpan out, TimePoint now);
    /// `over`: bytes that may be in flight beyond the window.
    [[nodiscard]] Mode mode_for(const Path& path, std::size_t packet, std::size_t over, bool paced) const;
    [[nodiscard]] std::size_t build_packet(Path& path, ByteSpan out, Mode mode, TimePoint now);
    [[nodiscard]] bool wants_ping_with_ack();
    void note_blocked(Path& path, Mode mode, bool paced);
    void skip_number_if_due();
    std::size_t seal_packet(Path* path, ByteSpan out, std::size_t payload, PacketTraits traits, TimePoint now);
    template <class Frame>
    std::optional<TransmitBatch> single_frame(const net::PathAddresses& to, const Frame& frame, ByteSpan out,
                                              TimePoint now);

    // --- connection_paths.cpp
    [[nodiscard]] Path* find_path(std::uint32_t id);
    [[nodiscard]] const Path* find_path(std::uint32_t id) const;
    [[nodiscard]] Path* find_path(const net::PathAddresses& addresses);

    [[nodiscard]] Path* active() { return active_ ? find_path(active_->value) : nullptr; }

    [[nodiscard]] const Path* active() const { return active_ ? find_path(active_->value) : nullptr; }

    Path& create_path(const net::PathAddresses& addresses, TimePoint now);
    void make_room_for_path(TimePoint now);
    void switch_to(Path& path, std::string reason, TimePoint now);
    void leave_silent_path(TimePoint now);
    void follow_peer(Path& path, const Arrival& arrival);
    void note_source(const Arrival& arrival, std::size_t size);
    void handle_path_response(const PathToken& token, TimePoint now);
    void adopt(const PathCandidate& candidate, TimePoint now);
    void age_candidates(TimePoint now);

    // --- connection_lifecycle.cpp
    void rearm(TimePoint now);
    void on_timer(Timer timer, TimePoint now);
    [[nodiscard]] std::optional<TimePoint> keepalive_deadline() const;
    [[nodiscard]] std::optional<TimePoint> rest_deadline() const;
    void rest(TimePoint now);
    void handle_close(const CloseFrame& frame, TimePoint now);
    void on_closing_timer(TimePoint now);
    void end(Closed event);
    [[nodiscard]] Duration probe_timeout() const;
    [[nodiscard]] Duration probe_timeout_of(const Path& path) const;

    Config config_;
    Rng* rng_;
    State state_ = State::open;
    Ring<Event> events_;
    net::TimerTable<Timer> timers_;
    mutable Stats stats_;

    PacketKeys keys_;
    AckTracker acks_;
    SentPackets sent_;
    Streams streams_;
    EcnValidator ecn_;
    Repeater repeater_;
    Arrivals arrivals_;

    std::vector<std::unique_ptr<Path>> paths_;
    std::optional<PathId> active_;
    std::uint32_t next_path_ = 1;
    /// Paths that were found silent one after another since something was heard.
    std::size_t silent_paths_ = 0;
    bool silence_told_ = false;
    std::vector<PathCandidate> candidates_;

    struct PathAnswer {
        net::PathAddresses to;
        PathToken token{};
    };

    Ring<PathAnswer> answers_;

    bool confirmed_ = false;
    bool ping_pending_ = false;
    std::optional<TimePoint> pinged_at_;  ///< until Pong
    int probes_pending_ = 0;
    int acks_without_ping_ = 0;
    std::uint64_t next_skip_ = 0;
    std::optional<TimePoint> first_rtt_sample_;
    std::optional<TimePoint> last_sent_;
    /// Start of the silence that the idle timer measures; nullopt before the first path.
    std::optional<TimePoint> last_heard_;
    /// When stream data arrived last, until an acknowledgement shows that we are heard or we have asked.
    std::optional<TimePoint> last_data_;
    /// Packets of both directions at the last rest; nullopt before the first.
    std::optional<std::uint64_t> packets_at_rest_;

    CloseReason close_reason_ = CloseReason::done;
    std::string close_detail_;
    bool closed_by_us_ = false;
    bool close_pending_ = false;
    int close_answers_ = 0;
    TimePoint close_deadline_;
    TimePoint close_repeat_;
};

}  // namespace pinhole::transport
