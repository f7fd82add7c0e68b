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
/// RFC 8656 §12: what a client binds.
inline constexpr std::uint16_t kFirstChannel = 0x4000;
inline constexpr std::uint16_t kLastChannel = 0x4fff;
/// RFC 5766 §11: what clients of before 2020 bind, coturn's among them. RFC 8656 reserves the numbers above
/// kLastChannel and has them refused; they are taken all the same, since nothing else begins with these bytes here.
inline constexpr std::uint16_t kLastOldChannel = 0x7fff;

struct ChannelData {
    std::uint16_t channel = 0;
    ByteView payload;
};

[[nodiscard]] constexpr bool is_channel(std::uint16_t number) {
    return number >= kFirstChannel && number <= kLastOldChannel;
}

/// True if the bytes can only be ChannelData where STUN and our own protocols share the port.
[[nodiscard]] constexpr bool is_channel_data(ByteView bytes) {
    return bytes.size() >= kChannelHeaderSize && bytes[0] >= kFirstChannel >> 8 && bytes[0] <= kLastOldChannel >> 8;
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
