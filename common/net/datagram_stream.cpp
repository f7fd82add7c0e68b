#include "common/net/datagram_stream.hpp"

#include <algorithm>

namespace pinhole::net {

namespace {

constexpr std::size_t kLengthSize = 2;
// RFC 8489 §5: of the header, and where in it the length of what follows stands.
constexpr std::size_t kStunHeader = 20;
constexpr std::size_t kStunLengthAt = 2;

std::size_t u16_at(ByteView bytes, std::size_t at) {
    return std::size_t{bytes[at]} << 8 | bytes[at + 1];
}

}  // namespace

ByteSpan DatagramStream::space() {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
    return ByteSpan{buffer_}.subspan(end_);
}

void DatagramStream::commit(std::size_t count) {
    end_ += std::min(count, buffer_.size() - end_);
}

Result<std::optional<ByteSpan>> DatagramStream::next() {
    for (;;) {
        const auto rest = ByteSpan{buffer_}.subspan(begin_, end_ - begin_);
        const bool stun = framing_ == Framing::stun;
        const auto skipped = stun ? 0 : kLengthSize;
        if (rest.size() < (stun ? kStunHeader : kLengthSize)) {
            return std::nullopt;
        }
        const auto size = stun ? kStunHeader + u16_at(rest, kStunLengthAt) : u16_at(rest, 0);
        if (size > kMaxDatagram) {
            return fail(Errc::too_large, "datagram in a stream");
        }
        if (rest.size() < skipped + size) {
            return std::nullopt;
        }
        begin_ += skipped + size;
        if (size > 0) {
            return rest.subspan(skipped, size);
        }
    }
}

void append_framed(ByteView datagram, Bytes& to) {
    to.push_back(static_cast<std::uint8_t>(datagram.size() >> 8));
    to.push_back(static_cast<std::uint8_t>(datagram.size() & 0xffU));
    to.insert(to.end(), datagram.begin(), datagram.end());
}

}  // namespace pinhole::net
