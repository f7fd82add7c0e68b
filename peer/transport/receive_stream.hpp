// The receiving side of one stream: reassembly inside the window that was granted, and how it ends. RFC 9000 §3.2.
#pragma once

#include "peer/transport/chunk_store.hpp"
#include "peer/transport/connection.hpp"
#include "peer/transport/range_set.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

namespace pinhole::transport {

/// What the peer did that no correct peer does; the connection ends with it.
struct Violation {
    CloseReason reason = CloseReason::protocol_violation;
    std::string_view what;
};

class ReceiveStream {
  public:
    /// The peer may send up to `limit` before it hears of more.
    ReceiveStream(ChunkPool& pool, std::uint64_t limit) : store_(pool), limit_(limit), span_(limit) {}

    struct Intake {
        /// How much the highest offset grew: counts against the connection's window.
        std::uint64_t advanced = 0;
        /// Bytes that were not there before.
        std::uint64_t added = 0;
        /// There is more to read, or the end is known to be reached.
        bool readable = false;
        /// Too many holes to remember; the packet has to count as lost.
        bool refused = false;
    };

    [[nodiscard]] std::expected<Intake, Violation> on_data(std::uint64_t offset, ByteView data, bool fin);
    /// RESET_STREAM. Returns how much the highest offset grew.
    [[nodiscard]] std::expected<std::uint64_t, Violation> on_reset(std::uint64_t code, std::uint64_t final_size);

    std::size_t read(ByteSpan out);

    /// The application does not want the rest: what is there and what still comes is dropped.
    void stop() { stopped_ = true; }

    /// Drops what is held and treats it as read. Returns by how much the read offset moved.
    std::uint64_t discard();

    /// Gives back the memory that is not in use.
    void rest() {
        store_.rest();
        received_.shrink();
    }

    /// The limit to grant, when half of the last grant is used up.
    [[nodiscard]] std::optional<std::uint64_t> limit_to_grant(std::uint64_t window) const;
    void on_granted(std::uint64_t limit);

    [[nodiscard]] std::uint64_t limit() const { return limit_; }

    [[nodiscard]] std::uint64_t held() const { return held_; }

    [[nodiscard]] bool stopped() const { return stopped_; }

    [[nodiscard]] std::optional<std::uint64_t> reset_code() const { return reset_code_; }

    [[nodiscard]] bool all_read() const { return final_size_ && base_ == *final_size_ && !reset_code_; }

    [[nodiscard]] bool done() const { return reset_code_ || all_read() || (stopped_ && final_size_); }

    /// Bytes of the final size that were never counted as read, for the connection's window.
    [[nodiscard]] std::uint64_t unread() const { return highest_ - base_; }

  private:
    [[nodiscard]] std::optional<Violation> check(std::uint64_t end, bool fin) const;

    ChunkStore store_;
    /// All below was read.
    std::uint64_t base_ = 0;
    std::uint64_t highest_ = 0;
    std::uint64_t limit_;
    /// Credit at the moment of the last grant.
    std::uint64_t span_;
    std::uint64_t held_ = 0;
    /// At or above base_.
    RangeSet received_;
    std::optional<std::uint64_t> final_size_;
    std::optional<std::uint64_t> reset_code_;
    bool stopped_ = false;
};

}  // namespace pinhole::transport
