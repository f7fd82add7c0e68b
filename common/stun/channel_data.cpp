#include "common/stun/channel_data.hpp"

namespace pinhole::stun {

std::optional<ChannelData> parse_channel_data(ByteView bytes) {
    if (!is_channel_data(bytes)) {
        return std::nullopt;
    }
    const auto channel = static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
    const std::size_t length = static_cast<std::size_t>(bytes[2]) << 8 | bytes[3];
    if (length > bytes.size() - kChannelHeaderSize) {
        return std::nullopt;
    }
    return ChannelData{.channel = channel, .payload = bytes.subspan(kChannelHeaderSize, length)};
}

std::array<std::uint8_t, kChannelHeaderSize> channel_header(std::uint16_t channel, std::size_t size) {
    return {static_cast<std::uint8_t>(channel >> 8), static_cast<std::uint8_t>(channel),
            static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)};
}

Bytes channel_message(const ChannelData& data, bool padded) {
    const auto header = channel_header(data.channel, data.payload.size());
    Bytes message;
    message.reserve(header.size() + data.payload.size() + 3);
    message.insert(message.end(), header.begin(), header.end());
    message.insert(message.end(), data.payload.begin(), data.payload.end());
    if (padded) {
        message.resize(message.size() + channel_padding(data.payload.size()));
    }
    return message;
}

}  // namespace pinhole::stun
