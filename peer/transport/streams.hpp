// All streams of a connection: who opened what, credit in both directions, which stream sends next, and the events that
// the application sees. Knows frames, but neither packets' fate nor time: the connection drives it.
#pragma once

#include "peer/transport/chunk_store.hpp"
#include "peer/transport/connection.hpp"
#include "peer/transport/errors.hpp"
#include "peer/transport/frame.hpp"
#include "peer/transport/receive_stream.hpp"
#include "peer/transport/ring.hpp"
#include "peer/transport/send_stream.hpp"
#include "peer/transport/sent_packets.hpp"

#include <array>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>

namespace pinhole::transport {

// What each side may use before it hears of more, part of the protocol. Windows that are configured smaller count as
// these.
inline constexpr std::uint64_t kInitialStreamCredit = 256U << 10;
inline constexpr std::uint64_t kInitialConnectionCredit = 512U << 10;
inline constexpr std::uint64_t kInitialStreams = 64;

class Streams {
  public:
    using Outcome = std::expected<void, Violation>;

    /// `sent` takes the records of the frames written, `events` what the application has to know.
    Streams(const Config& config, SentPackets& sent, Ring<Event>& events);

    // --- the application
    [[nodiscard]] Result<StreamId> open(Priority priority);
    void set_priority(StreamId id, Priority priority);
    [[nodiscard]] Result<std::size_t> write(StreamId id, ByteView bytes);
    [[nodiscard]] Result<std::size_t> read(StreamId id, ByteSpan out);
    [[nodiscard]] bool end_of_stream(StreamId id) const;
    void finish(StreamId id);
    void reset(StreamId id, std::uint64_t code);
    void stop(StreamId id, std::uint64_t code);
    /// The application has taken this event: the next of its kind may follow.
    void on_event_taken(const Event& event);

    // --- frames of the peer
    /// False when the packet has to count as lost.
    [[nodiscard]] std::expected<bool, Violation> handle(const StreamFrame& frame);
    [[nodiscard]] Outcome handle(const ResetStreamFrame& frame);
    [[nodiscard]] Outcome handle(const StopSendingFrame& frame);
    [[nodiscard]] Outcome handle(const MaxStreamDataFrame& frame);
    [[nodiscard]] Outcome handle(const MaxDataFrame& frame);
    [[nodiscard]] Outcome handle(const MaxStreamsFrame& frame);

    // --- frames to the peer
    /// False when there is certainly nothing to write.
    [[nodiscard]] bool has_frames() const;

    /// Control or chat data waits.
    [[nodiscard]] bool has_urgent() const { return !ready_[0].empty() || !ready_[1].empty(); }

    /// True when control or chat data was among it that had not been sent before.
    bool write_frames(ByteWriter& out);
    /// Control or chat data.
    [[nodiscard]] bool urgent(const FrameRecord& frame) const;
    void on_acked(const FrameRecord& frame);
    void on_lost(const FrameRecord& frame);

    /// The connection is over: what was to be sent is dropped, what was received may still be read.
    void stop_sending();
    /// Drops everything.
    void clear();
    /// Gives back the memory that is not in use.
    void rest();

    [[nodiscard]] std::uint64_t buffered() const { return buffered_; }

    [[nodiscard]] std::size_t size() const { return streams_.size(); }

  private:
    struct Stream {
        Stream(ChunkPool& pool, Priority initial)
            : send(pool, kInitialStreamCredit), receive(pool, kInitialStreamCredit), priority(initial) {}

        SendStream send;
        ReceiveStream receive;
        Priority priority;
        /// The application chose; the opener's choice no longer counts.
        bool priority_chosen = false;
        bool queued = false;
        bool control_queued = false;
        bool grant_due = false;
        bool reset_due = false;
        bool stop_due = false;
        bool readable_queued = false;
        bool writable_wanted = false;
        bool finished_reported = false;
        std::uint64_t stop_code = 0;
    };

    [[nodiscard]] bool ours(std::uint64_t id) const { return (id & 1U) == our_bit_; }

    [[nodiscard]] Stream* find(StreamId id);
    [[nodiscard]] const Stream* find(StreamId id) const;
    Stream& create(std::uint64_t id, Priority priority);
    /// The stream that a frame names, opened if the peer may; nullptr when it is over.
    [[nodiscard]] std::expected<Stream*, Violation> target(StreamId id);
    [[nodiscard]] bool was_opened(StreamId id) const;
    [[nodiscard]] bool was_reset(StreamId id) const;
    void release_if_done(StreamId id, Stream& stream);

    void schedule(StreamId id, Stream& stream);
    void schedule_control(StreamId id, Stream& stream);
    void request_grant(StreamId id, Stream& stream);
    void start_reset(StreamId id, Stream& stream, std::uint64_t code);
    void discard(Stream& stream);
    void report_readable(StreamId id, Stream& stream);
    void report_writable(StreamId id, Stream& stream);
    void report_sent(StreamId id, Stream& stream);

    void write_credit(ByteWriter& out);
    void write_control(ByteWriter& out);
    [[nodiscard]] bool write_control_of(std::uint64_t id, Stream& stream, ByteWriter& out);
    /// What writing a class has put into the packet.
    enum class Data : std::uint8_t { none, repeated, fresh };

    Data write_class(Priority priority, ByteWriter& out);
    [[nodiscard]] Data write_piece(std::uint64_t id, Stream& stream, ByteWriter& out);
    [[nodiscard]] bool data_credit_due() const;
    [[nodiscard]] bool streams_credit_due() const;

    std::uint64_t stream_window_;
    std::uint64_t connection_window_;
    std::uint64_t send_buffer_;
    std::uint64_t unsent_;
    std::uint64_t max_streams_;
    std::uint64_t our_bit_;
    SentPackets* sent_;
    Ring<Event>* events_;
    ChunkPool pool_;
    std::map<std::uint64_t, Stream> streams_;
    /// The stream of the last lookup: frames come in runs.
    std::uint64_t cached_id_ = 0;
    Stream* cached_ = nullptr;

    std::uint64_t next_ours_ = 0;
    std::uint64_t our_limit_ = kInitialStreams;
    std::uint64_t next_theirs_ = 0;
    std::uint64_t their_limit_ = kInitialStreams;
    std::uint64_t theirs_closed_ = 0;
    /// Streams that ended by the peer's reset, newest last: `read` and `end_of_stream` stay truthful for a while.
    Ring<std::uint64_t> recently_reset_;

    /// Connection credit: the peer's for us, and ours for the peer (RFC 9000 §4.1).
    std::uint64_t send_limit_ = kInitialConnectionCredit;
    std::uint64_t sent_total_ = 0;
    std::uint64_t receive_limit_ = kInitialConnectionCredit;
    std::uint64_t received_total_ = 0;
    std::uint64_t consumed_total_ = 0;
    bool resend_data_credit_ = false;
    bool resend_streams_credit_ = false;

    std::array<Ring<std::uint64_t>, 3> ready_;
    Ring<std::uint64_t> control_;
    std::uint64_t buffered_ = 0;
};

}  // namespace pinhole::transport
