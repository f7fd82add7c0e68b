// The sending side of one transfer as a state machine: offer, wait for the answer, entries and data, wait until the
// receiver has everything in place. Touches neither disk nor stream: the shell carries items from a Source
// (files/source.hpp) on a worker thread to here, and bytes between here and the stream. After each call: write output()
// to the stream and consume_output() what it took, ask poll_demand(), drain poll_event().
// Memory: kWindow bytes and kMaxUnconfirmed names. No timers: the connection notices when the peer is gone.
#pragma once

#include "common/base/error.hpp"
#include "peer/files/events.hpp"
#include "peer/files/output_queue.hpp"

#include <deque>
#include <optional>

namespace pinhole::files {

/// What a Source yields, in this order: (header [data|zeros]* trailer?)*, skips between, end. A directory has no
/// trailer.
using SourceItem = std::variant<signaling::EntryHeader, Bytes, signaling::ZeroRun, signaling::EntryTrailer,
                                signaling::EntrySkipped, signaling::TransferEnd>;

class Sender {
  public:
    /// Queues the stream's first byte and the offer (Source::offer).
    explicit Sender(signaling::TransferOffer offer);

    // --- the stream
    void handle_bytes(ByteView bytes);
    /// The stream or the connection ended; an error unless the transfer has ended before.
    void handle_closed(const Error& why);

    [[nodiscard]] ByteView output() const { return output_.front(); }

    void consume_output(std::size_t count) { output_.consume(count); }

    // --- the disk
    /// How many more times the shell is to call Source::next; each call is owed one handle_item, in order. 0 until
    /// there is room for some of them at once.
    [[nodiscard]] std::size_t poll_demand();

    /// A buffer for each call, so that a steady flow allocates nothing; maybe empty.
    [[nodiscard]] Bytes take_buffer() { return output_.take_spare(); }

    /// An error ends the transfer and is told to the other side.
    void handle_item(Result<SourceItem> item);

    /// Ends the transfer (Ctrl-C) and tells the other side. Failed{cancelled} follows.
    void cancel();

    [[nodiscard]] std::optional<Event> poll_event();
    [[nodiscard]] Progress progress() const;

    /// Ended, one way or the other, and all output is out: finish the stream.
    [[nodiscard]] bool finished() const { return phase_ == Phase::ended && output_.empty(); }

  private:
    enum class Phase : std::uint8_t { offered, sending, storing, ended };

    struct Unconfirmed {
        std::uint32_t index = 0;
        bool sent = false;  ///< up to its trailer
        FileStored file;
    };

    Status handle_message(const signaling::PeerMessage& message);
    Status confirm(const signaling::EntryStored& stored);
    Status send_item(SourceItem item);
    Status send_header(const signaling::EntryHeader& header);
    void fail_here(Error error);
    void end_with(Error error);

    signaling::TransferOffer offer_;
    Phase phase_ = Phase::offered;
    signaling::FrameReader reader_;
    OutputQueue output_;
    std::deque<Event> events_;
    std::deque<Unconfirmed> unconfirmed_;
    std::size_t demanded_ = 0;
    std::uint32_t next_index_ = 0;
    std::string current_;
    std::uint64_t bytes_announced_ = 0;
    std::uint64_t zeros_sent_ = 0;
    std::uint32_t files_stored_ = 0;
    std::uint64_t bytes_stored_ = 0;
};

}  // namespace pinhole::files
