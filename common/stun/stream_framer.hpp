// Cuts STUN messages and ChannelData out of a byte stream (RFC 8656 §12.5, RFC 8489 §6.2.2), for both ends of TURN over
// TCP and TLS. Knows no sockets: the owner reads into `prepare`, says how much with `commit`, and takes what `next`
// has. Whoever sends anything else, or announces more than the bound, has lost the stream: the error repeats for good.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"

#include <cstddef>
#include <optional>

namespace pinhole::stun {

class StreamFramer {
  public:
    /// The largest of both kinds: ChannelData with 65535 bytes, its header and padding.
    static constexpr std::size_t kLargestFrame = 4 + 65535 + 1;

    /// Bytes of one frame that are still taken, padding included.
    explicit StreamFramer(std::size_t max_frame = kLargestFrame) : max_frame_(max_frame) {}

    /// At least `wanted` bytes to read into; valid until the next call of anything here. What `next` gave is invalid.
    [[nodiscard]] ByteSpan prepare(std::size_t wanted);

    /// The first `count` bytes of what `prepare` gave are there.
    void commit(std::size_t count) { end_ += count; }

    void push(ByteView bytes);

    /// One frame, without the padding of ChannelData; nullopt while it is incomplete. Borrowed until `prepare` or
    /// `push`.
    [[nodiscard]] Result<std::optional<ByteView>> next();

    /// What has come behind the last frame, for a stream that goes on with other bytes (RFC 6062 §5.4).
    [[nodiscard]] Bytes take_rest();

    [[nodiscard]] std::size_t buffered() const { return end_ - begin_; }

  private:
    std::size_t max_frame_;
    Bytes buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace pinhole::stun
