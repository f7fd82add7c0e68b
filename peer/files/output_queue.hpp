// Frames on their way to a stream, without copying them together: the shell writes front() as far as the stream takes
// it and says how much that was.
#pragma once

#include "common/base/bytes.hpp"
#include "common/signaling/peer_frames.hpp"

#include <cstdint>
#include <deque>
#include <vector>

namespace pinhole::files {

class OutputQueue {
  public:
    void push(const signaling::PeerMessage& message);
    /// The byte that says what the stream is; never dropped.
    void push_stream_kind(signaling::StreamKind kind);
    /// A raw data frame; the bytes are moved, not copied.
    void push_data(Bytes bytes);
    /// The buffer of a data frame that has left, for another one; empty when there is none.
    [[nodiscard]] Bytes take_spare();
    /// Drops every frame whose first byte has not left.
    void drop_unsent();
    void clear();

    /// The next bytes; empty when there are none. Valid until the queue changes.
    [[nodiscard]] ByteView front() const;
    void consume(std::size_t count);

    [[nodiscard]] std::size_t size() const { return size_; }

    [[nodiscard]] bool empty() const { return size_ == 0; }

    /// File bytes that have left so far.
    [[nodiscard]] std::uint64_t data_sent() const { return data_sent_; }

  private:
    struct Segment {
        Bytes bytes;
        bool starts_frame = true;
        bool data = false;
    };

    void pop_front();

    std::deque<Segment> segments_;
    std::vector<Bytes> spares_;
    std::size_t offset_ = 0;
    std::size_t size_ = 0;
    std::uint64_t data_sent_ = 0;
};

}  // namespace pinhole::files
