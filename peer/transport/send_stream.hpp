// The sending side of one stream: bytes written and not yet acknowledged, which of them to send next, and how it ends.
// RFC 9000 §3.1.
#pragma once

#include "peer/transport/chunk_store.hpp"
#include "peer/transport/range_set.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::transport {

class SendStream {
  public:
    /// `limit`: the credit that a stream starts with.
    SendStream(ChunkPool& pool, std::uint64_t limit) : store_(pool), limit_(limit) {}

    /// Takes what fits under `limit` bytes held in all.
    std::size_t write(ByteView bytes, std::uint64_t limit);

    void finish() { finish_wanted_ = true; }

    /// Drops everything; a RESET_STREAM with this code is to be sent.
    void reset(std::uint64_t code);

    /// A piece to put into a packet; `fresh` bytes count against flow control.
    struct Piece {
        std::uint64_t offset = 0;
        std::size_t length = 0;
        bool fin = false;
        bool fresh = false;
    };

    /// What goes out next, lost bytes first; `credit` limits fresh bytes by the connection's flow control.
    [[nodiscard]] std::optional<Piece> next(std::uint64_t credit) const;
    /// `piece` was sent, maybe less than what `next` offered; the FIN only if all of it.
    void on_sent(const Piece& piece);

    void read(std::uint64_t offset, ByteSpan out) const { store_.read(offset, out); }

    /// Something is to be sent as far as the stream itself is concerned.
    [[nodiscard]] bool wants_to_send() const;

    void on_acked(Range bytes, bool fin);
    void on_lost(Range bytes, bool fin);

    void on_reset_acked() { reset_acked_ = true; }

    /// The peer's MAX_STREAM_DATA.
    void raise_limit(std::uint64_t limit) { limit_ = std::max(limit_, limit); }

    /// Gives back the memory that is not in use.
    void rest() {
        store_.rest();
        acked_.shrink();
        lost_.shrink();
    }

    [[nodiscard]] bool writable() const { return !finish_wanted_ && !reset_code_; }

    [[nodiscard]] bool finished() const { return finish_wanted_; }

    [[nodiscard]] bool everything_acked() const { return fin_acked_ && base_ == end_; }

    [[nodiscard]] std::optional<std::uint64_t> reset_code() const { return reset_code_; }

    [[nodiscard]] bool done() const { return reset_code_ ? reset_acked_ : everything_acked(); }

    [[nodiscard]] std::uint64_t held() const { return end_ - base_; }

    /// Bytes that were never sent.
    [[nodiscard]] std::uint64_t waiting() const { return end_ - next_; }

    /// Bytes that were ever sent: the final size of a reset.
    [[nodiscard]] std::uint64_t sent() const { return next_; }

  private:
    ChunkStore store_;
    /// All below is acknowledged.
    std::uint64_t base_ = 0;
    /// All below was sent once.
    std::uint64_t next_ = 0;
    std::uint64_t end_ = 0;
    std::uint64_t limit_;
    RangeSet acked_;
    RangeSet lost_;
    bool finish_wanted_ = false;
    bool fin_sent_ = false;
    bool fin_acked_ = false;
    std::optional<std::uint64_t> reset_code_;
    bool reset_acked_ = false;
};

}  // namespace pinhole::transport
