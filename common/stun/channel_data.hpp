// ChannelData (RFC 8656 §12.4): four bytes in front of what a channel carries. Knows neither who bound the channel nor
// where it goes.
#pragma once

#include "common/base/bytes.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace pinhole::stun {

inline constexpr std::size_t kChannelHeaderSize = 4;
/// RFC 8656 §12: what a client may bind. RFC 5766 had 0x7FFF as the last one; RFC 7983 gave the rest to others.
inline constexpr std::uint16_t kFirstChannel = 0x4000;
inline constexpr std::uint16_t kLastChannel = 0x4fff;

struct ChannelData {
    std::uint16_t channel = 0;
    ByteView payload;
};

[[nodiscard]] constexpr bool is_channel(std::uint16_t number) {
    return number >= kFirstChannel && number <= kLastChannel;
}

/// True if the bytes can only be ChannelData where other protocols share the port (RFC 7983 §7).
[[nodiscard]] constexpr bool is_channel_data(ByteView bytes) {
    return bytes.size() >= kChannelHeaderSize && bytes[0] >= kFirstChannel >> 8 && bytes[0] <= kLastChannel >> 8;
}

/// nullopt if it is none or announces more bytes than there are; whatever is behind the payload is padding.
[[nodiscard]] std::optional<ChannelData> parse_channel_data(ByteView bytes);

/// `size` of the payload, at most 65535.
[[nodiscard]] std::array<std::uint8_t, kChannelHeaderSize> channel_header(std::uint16_t channel, std::size_t size);

/// Zero bytes that follow the payload on a stream (RFC 8656 §12.5); a datagram needs none.
[[nodiscard]] constexpr std::size_t channel_padding(std::size_t payload) {
    return (4 - payload % 4) % 4;
}

/// A whole message, padded for a stream if asked to.
[[nodiscard]] Bytes channel_message(const ChannelData& data, bool padded);

}  // namespace pinhole::stun
