#include "peer/transport/packet.hpp"

namespace pinhole::transport {

namespace {

constexpr std::uint8_t kFixedBits = 0xd0;
constexpr std::uint8_t kKeyPhaseBit = 0x01;

}  // namespace

bool is_transport_packet(ByteView datagram) {
    return !datagram.empty() && (datagram[0] & 0xf0U) == kFixedBits;
}

std::optional<Header> parse_header(ByteView datagram) {
    if (datagram.size() <= kPacketOverhead || (datagram[0] & ~unsigned{kKeyPhaseBit}) != kFixedBits) {
        return std::nullopt;
    }
    ByteReader reader{datagram.subspan(1)};
    Header header;
    header.key_phase = (datagram[0] & kKeyPhaseBit) != 0;
    header.connection_id = *reader.u64();
    header.truncated_number = *reader.u32();
    return header;
}

void write_header(const Header& header, ByteSpan out) {
    ByteWriter writer{out};
    writer.u8(static_cast<std::uint8_t>(kFixedBits | (header.key_phase ? kKeyPhaseBit : 0)));
    writer.u64(header.connection_id);
    writer.u32(header.truncated_number);
}

std::uint64_t expand_packet_number(std::uint64_t expected, std::uint32_t truncated) {
    constexpr std::uint64_t kWindow = std::uint64_t{1} << 32;
    constexpr std::uint64_t kHalf = kWindow / 2;
    const auto candidate = (expected & ~(kWindow - 1)) | truncated;
    if (candidate + kHalf <= expected && candidate + kWindow <= kMaxVarint) {
        return candidate + kWindow;
    }
    if (candidate > expected + kHalf && candidate >= kWindow) {
        return candidate - kWindow;
    }
    return candidate;
}

}  // namespace pinhole::transport
