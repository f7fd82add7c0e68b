#include "tests/lab/natbox/checksum.hpp"

namespace pinhole::natbox {

namespace {

std::uint16_t fold(std::uint64_t sum) {
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16U);
    }
    return static_cast<std::uint16_t>(sum);
}

}  // namespace

std::uint16_t load16(ByteView bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8U | bytes[at + 1]);
}

std::uint32_t load32(ByteView bytes, std::size_t at) {
    return std::uint32_t{load16(bytes, at)} << 16U | load16(bytes, at + 2);
}

void store16(ByteSpan bytes, std::size_t at, std::uint16_t value) {
    bytes[at] = static_cast<std::uint8_t>(value >> 8U);
    bytes[at + 1] = static_cast<std::uint8_t>(value);
}

void store32(ByteSpan bytes, std::size_t at, std::uint32_t value) {
    store16(bytes, at, static_cast<std::uint16_t>(value >> 16U));
    store16(bytes, at + 2, static_cast<std::uint16_t>(value));
}

std::uint16_t ones_sum(ByteView bytes, std::uint32_t initial) {
    std::uint64_t sum = initial;
    std::size_t at = 0;
    for (; at + 1 < bytes.size(); at += 2) {
        sum += load16(bytes, at);
    }
    if (at < bytes.size()) {
        sum += static_cast<std::uint16_t>(bytes[at] << 8U);
    }
    return fold(sum);
}

std::uint32_t pseudo_header_sum(const net::Address& source, const net::Address& destination, std::uint8_t protocol,
                                std::size_t length) {
    return std::uint32_t{ones_sum(source.bytes())} + ones_sum(destination.bytes()) + protocol +
           fold(static_cast<std::uint64_t>(length));
}

std::uint16_t ChecksumChange::apply(std::uint16_t checksum) const {
    return static_cast<std::uint16_t>(~fold(sum_ + static_cast<std::uint16_t>(~checksum)));
}

}  // namespace pinhole::natbox
