// The outermost layer of a stream between peers: one byte that says what the stream is, then frames of a 32-bit length
// each. A frame is a Protobuf message or, with the top bit of the length set, raw file data that no codec touches.
// Fed with whatever pieces the stream delivers; memory is bounded by one frame and the buffers that were given back.
#pragma once

#include "common/base/error.hpp"
#include "common/base/limits.hpp"
#include "common/signaling/peer_messages.hpp"

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace pinhole::signaling {

/// First byte of a stream, sent by the side that opens it.
enum class StreamKind : std::uint8_t { chat = 1, transfer = 2 };

[[nodiscard]] std::optional<StreamKind> stream_kind(std::uint8_t first_byte);

/// Raw data of one frame: large enough that framing costs nothing, small enough that a chat message on a slow link does
/// not wait for the disk of it.
inline constexpr std::size_t kMaxDataFrame = 256 * 1024;

/// A message as a whole frame.
[[nodiscard]] Bytes frame(const PeerMessage& message);
/// The four bytes in front of `size` bytes of raw data; 0 < size <= kMaxDataFrame.
[[nodiscard]] std::array<std::uint8_t, 4> data_frame_header(std::size_t size);

using Frame = std::variant<PeerMessage, Bytes>;

class FrameReader {
  public:
    /// Takes bytes from the front of `bytes` and shrinks it, until a frame is complete or nothing is left. After an
    /// error (too large, empty, malformed) the stream is of no more use.
    [[nodiscard]] Result<std::optional<Frame>> read(ByteView& bytes);

    /// Where the rest of the raw data under way belongs, for a stream that can be read to there without copying; empty
    /// when anything else is due.
    [[nodiscard]] ByteSpan room();
    /// So many bytes were put there; a frame when it is complete.
    [[nodiscard]] std::optional<Frame> filled(std::size_t count);
    /// A buffer of an earlier raw frame, for the next one.
    void reuse(Bytes buffer);

    /// Bytes of an unfinished frame held.
    [[nodiscard]] std::size_t buffered() const { return header_size_ + filled_; }

  private:
    Status read_header(ByteView& bytes);
    void begin_raw();

    std::array<std::uint8_t, 4> header_{};
    std::size_t header_size_ = 0;
    std::size_t body_size_ = 0;
    std::size_t filled_ = 0;  ///< of the body
    bool raw_ = false;
    Bytes body_;  ///< of raw data at its full size, else as much as has come
    std::vector<Bytes> spares_;
};

}  // namespace pinhole::signaling
