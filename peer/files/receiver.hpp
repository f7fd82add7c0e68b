// The receiving side of one transfer as a state machine: offer, answer, disk commands in order, confirmations. Touches
// neither disk nor stream: the shell carries commands to a Sink (files/sink.hpp) on a worker thread and its results
// back, in order, and bytes between here and the stream. It reads from the stream at most wants_bytes() at a time, so
// that a slow disk pushes back through flow control. Nothing that the other side says is trusted: paths are checked
// here and again in the Sink. Memory: kWindow bytes. No timers.
#pragma once

#include "common/base/error.hpp"
#include "peer/files/events.hpp"
#include "peer/files/output_queue.hpp"

#include <deque>
#include <optional>

namespace pinhole::files {

/// Before the offer is accepted: is there room, can it be stored at all?
struct Prepare {
    signaling::TransferOffer offer;
};

/// Everything came: make it durable.
struct Complete {};

/// It failed: remove what is not under its final name. Owed a result like the others.
struct Discard {};

using SinkCommand = std::variant<Prepare, signaling::EntryHeader, Bytes, signaling::ZeroRun, signaling::EntryTrailer,
                                 Complete, Discard>;

/// What a command of the Sink came to: the file, for a trailer.
using SinkResult = std::optional<FileStored>;

class Receiver {
  public:
    /// Fed from behind the stream's first byte, which said that it is a transfer.
    Receiver() = default;

    // --- the stream
    void handle_bytes(ByteView bytes);
    void handle_closed(const Error& why);
    [[nodiscard]] std::size_t wants_bytes() const;
    /// Where the next bytes of the stream are to be read to, at most wants_bytes() of them, so that file data is not
    /// copied; empty when they have to go through handle_bytes.
    [[nodiscard]] ByteSpan data_room();
    /// So many bytes were read to there.
    void handle_data_read(std::size_t count);

    [[nodiscard]] ByteView output() const { return output_.front(); }

    void consume_output(std::size_t count) { output_.consume(count); }

    // --- the user, after Offered
    /// The Sink may still refuse (no room); then Failed follows.
    void accept();
    /// The answer is told to the other side; Failed{refused} follows here too.
    void refuse(signaling::RefuseReason reason);

    // --- the disk
    [[nodiscard]] std::optional<SinkCommand> poll_command();
    /// One result for each command, in order.
    void handle_result(Result<SinkResult> result);

    /// The buffer of a command that was carried out, so that a steady flow allocates nothing.
    void reuse(Bytes buffer) { reader_.reuse(std::move(buffer)); }

    /// Ends the transfer (Ctrl-C) and tells the other side. Failed{cancelled} follows.
    void cancel();

    [[nodiscard]] std::optional<Event> poll_event();
    [[nodiscard]] Progress progress() const;
    /// Ended, one way or the other, all output is out and the Sink owes nothing: finish the stream.
    [[nodiscard]] bool finished() const;

  private:
    enum class Phase : std::uint8_t { waiting, offered, preparing, receiving, completing, ended };

    struct Owed {
        std::size_t cost = 0;
        std::uint32_t index = 0;  ///< of the entry, for the confirmation
    };

    struct OpenFile {
        std::uint64_t size = 0;
        bool size_known = true;
        std::uint64_t received = 0;
    };

    Status handle_frame(signaling::Frame frame);
    Status handle_message(signaling::PeerMessage message);
    Status handle_offer(signaling::TransferOffer offer);
    Status handle_header(signaling::EntryHeader header);
    Status handle_data(Bytes bytes);
    Status handle_zeros(const signaling::ZeroRun& run);
    Status handle_trailer(const signaling::EntryTrailer& trailer);
    Status handle_skip(const signaling::EntrySkipped& skip);
    Status handle_end();
    Status count_bytes(std::uint64_t count);
    void command(SinkCommand command, std::size_t cost);
    void refuse_unprepared(Error error);
    void discard();
    void fail_here(Error error);
    void end_with(Error error);

    Phase phase_ = Phase::waiting;
    signaling::TransferOffer offer_;
    signaling::FrameReader reader_;
    OutputQueue output_;
    std::deque<Event> events_;
    std::deque<SinkCommand> commands_;
    std::deque<Owed> owed_;  ///< one for each command that has no result yet, queued ones included
    std::size_t window_used_ = 0;
    std::optional<OpenFile> file_;
    std::uint32_t entries_ = 0;
    std::uint32_t skips_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint32_t files_stored_ = 0;
    std::string current_;
};

}  // namespace pinhole::files
