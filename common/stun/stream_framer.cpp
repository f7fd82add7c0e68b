#include "common/stun/stream_framer.hpp"

#include "common/stun/channel_data.hpp"
#include "common/stun/message.hpp"

#include <algorithm>

namespace pinhole::stun {

namespace {

/// What a frame takes on the wire, and how much of it is the message.
struct Extent {
    std::size_t on_wire = 0;
    std::size_t message = 0;
};

/// From the first four bytes.
std::optional<Extent> extent_of(ByteView bytes) {
    const std::size_t length = static_cast<std::size_t>(bytes[2]) << 8 | bytes[3];
    if (is_channel_data(bytes)) {
        const auto message = kChannelHeaderSize + length;
        return Extent{.on_wire = message + channel_padding(length), .message = message};
    }
    // RFC 7983 §7: the first byte of every method in use; RFC 8489 §5: a length that is a multiple of four.
    if (bytes[0] <= 3 && length % 4 == 0) {
        return Extent{.on_wire = kHeaderSize + length, .message = kHeaderSize + length};
    }
    return std::nullopt;
}

bool has_wrong_cookie(ByteView bytes) {
    return bytes[0] <= 3 && bytes.size() >= 8 && ByteReader{bytes.subspan(4)}.u32() != kMagicCookie;
}

}  // namespace

ByteSpan StreamFramer::prepare(std::size_t wanted) {
    if (begin_ > 0 && buffer_.size() - end_ < wanted) {
        std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                  buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
        end_ -= begin_;
        begin_ = 0;
    }
    if (buffer_.size() - end_ < wanted) {
        buffer_.resize(end_ + wanted);
    }
    return ByteSpan{buffer_}.subspan(end_);
}

void StreamFramer::push(ByteView bytes) {
    std::ranges::copy(bytes, prepare(bytes.size()).begin());
    commit(bytes.size());
}

Result<std::optional<ByteView>> StreamFramer::next() {
    const auto bytes = ByteView{buffer_}.subspan(begin_, end_ - begin_);
    if (bytes.size() < kChannelHeaderSize) {
        return std::nullopt;
    }
    const auto extent = extent_of(bytes);
    if (!extent || has_wrong_cookie(bytes)) {
        return fail(make_error_code(Errc::malformed), "stream of STUN and ChannelData");
    }
    if (extent->on_wire > max_frame_) {
        return fail(make_error_code(Errc::too_large), "stream of STUN and ChannelData");
    }
    if (bytes.size() < extent->on_wire) {
        return std::nullopt;
    }
    begin_ += extent->on_wire;
    return bytes.first(extent->message);
}

Bytes StreamFramer::take_rest() {
    auto rest = to_bytes(ByteView{buffer_}.subspan(begin_, end_ - begin_));
    buffer_ = {};
    begin_ = 0;
    end_ = 0;
    return rest;
}

}  // namespace pinhole::stun
