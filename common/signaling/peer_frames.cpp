#include "common/signaling/peer_frames.hpp"

#include "common/signaling/peer_codec.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::signaling {

namespace {

constexpr std::uint32_t kRawBit = 1U << 31;
/// Buffers kept for further raw frames: 4 MiB, what a receiver has on its way to the disk.
constexpr std::size_t kMaxSpares = 16;

std::array<std::uint8_t, 4> big_endian(std::uint32_t value) {
    std::array<std::uint8_t, 4> bytes{};
    ByteWriter writer{bytes};
    writer.u32(value);
    return bytes;
}

}  // namespace

std::optional<StreamKind> stream_kind(std::uint8_t first_byte) {
    switch (static_cast<StreamKind>(first_byte)) {
        case StreamKind::chat:
        case StreamKind::transfer:
            return static_cast<StreamKind>(first_byte);
    }
    return std::nullopt;
}

Bytes frame(const PeerMessage& message) {
    const auto body = serialize(message);
    const auto header = big_endian(static_cast<std::uint32_t>(body.size()));
    Bytes bytes;
    bytes.reserve(header.size() + body.size());
    bytes.insert(bytes.end(), header.begin(), header.end());
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
}

std::array<std::uint8_t, 4> data_frame_header(std::size_t size) {
    return big_endian(kRawBit | static_cast<std::uint32_t>(size));
}

Result<std::optional<Frame>> FrameReader::read(ByteView& bytes) {
    if (const auto header = read_header(bytes); !header) {
        return std::unexpected(header.error());
    }
    if (header_size_ < header_.size()) {
        return std::nullopt;
    }
    const auto piece = bytes.first(std::min(body_size_ - filled_, bytes.size()));
    bytes = bytes.subspan(piece.size());
    if (raw_) {
        std::ranges::copy(piece, room().begin());
        return filled(piece.size());
    }
    body_.insert(body_.end(), piece.begin(), piece.end());
    filled_ += piece.size();
    if (filled_ < body_size_) {
        return std::nullopt;
    }
    header_size_ = 0;
    filled_ = 0;
    const auto body = std::exchange(body_, {});
    auto message = parse_peer_message(body);
    if (!message) {
        return std::unexpected(std::move(message.error()));
    }
    return std::optional<Frame>{std::move(*message)};
}

ByteSpan FrameReader::room() {
    const bool reading = raw_ && header_size_ == header_.size();
    return reading ? ByteSpan{body_}.subspan(filled_) : ByteSpan{};
}

std::optional<Frame> FrameReader::filled(std::size_t count) {
    filled_ += count;
    if (count == 0 || filled_ < body_size_) {
        return std::nullopt;
    }
    header_size_ = 0;
    filled_ = 0;
    return std::exchange(body_, {});
}

void FrameReader::reuse(Bytes buffer) {
    if (buffer.capacity() >= kMaxDataFrame && spares_.size() < kMaxSpares) {
        spares_.push_back(std::move(buffer));
    }
}

/// Small frames get memory of their own: a window full of them must not hold buffers of full size.
void FrameReader::begin_raw() {
    if (body_size_ > kMaxDataFrame / 2 && !spares_.empty()) {
        body_ = std::move(spares_.back());
        spares_.pop_back();
    }
    body_.resize(body_size_);
}

Status FrameReader::read_header(ByteView& bytes) {
    const auto take = std::min(header_.size() - header_size_, bytes.size());
    if (take == 0) {
        return {};
    }
    std::copy_n(bytes.begin(), take, header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
    bytes = bytes.subspan(take);
    header_size_ += take;
    if (header_size_ < header_.size()) {
        return {};
    }
    const auto word = ByteReader{header_}.u32().value_or(0);
    raw_ = (word & kRawBit) != 0;
    body_size_ = word & ~kRawBit;
    if (body_size_ == 0) {
        return fail(Errc::malformed, "an empty frame");
    }
    if (body_size_ > (raw_ ? kMaxDataFrame : limits::kMaxPeerMessage)) {
        return fail(Errc::too_large, "a frame of " + std::to_string(body_size_) + " bytes");
    }
    // Memory follows the bytes that arrive, not the length that is announced; file data comes whole, so it is given
    // its room at once.
    if (raw_) {
        begin_raw();
    }
    return {};
}

}  // namespace pinhole::signaling
