#include "peer/transport/frame.hpp"

#include <algorithm>
#include <limits>

namespace pinhole::transport {

namespace {

constexpr std::uint64_t kStreamFirst = 0x20;
constexpr std::uint64_t kStreamLast = 0x2b;
constexpr unsigned kFinBit = 0x01;
constexpr unsigned kLengthBit = 0x02;
constexpr unsigned kPriorityShift = 2;

constexpr std::uint8_t code_of(FrameType type) {
    return static_cast<std::uint8_t>(type);
}

std::optional<Frame> parse_stream(ByteReader& reader, unsigned type) {
    const auto id = reader.varint();
    const auto offset = reader.varint();
    if (!id || !offset) {
        return std::nullopt;
    }
    auto length = std::optional<std::uint64_t>{reader.remaining()};
    if ((type & kLengthBit) != 0) {
        length = reader.varint();
    }
    if (!length || *length > reader.remaining() || *offset + *length > kMaxVarint) {
        return std::nullopt;
    }
    return StreamFrame{.stream = {*id},
                       .priority = static_cast<Priority>((type - code_of(FrameType::stream)) >> kPriorityShift),
                       .offset = *offset,
                       .data = *reader.take(static_cast<std::size_t>(*length)),
                       .fin = (type & kFinBit) != 0};
}

std::optional<Frame> parse_close(ByteReader& reader) {
    const auto code = reader.varint();
    const auto length = reader.varint();
    if (!code || !length || *length > kMaxCloseDetail) {
        return std::nullopt;
    }
    const auto detail = reader.take(static_cast<std::size_t>(*length));
    if (!detail) {
        return std::nullopt;
    }
    return CloseFrame{.code = *code, .detail = as_text(*detail)};
}

std::optional<PathToken> parse_token(ByteReader& reader) {
    const auto bytes = reader.take(sizeof(PathToken));
    if (!bytes) {
        return std::nullopt;
    }
    PathToken token{};
    std::ranges::copy(*bytes, token.begin());
    return token;
}

std::optional<Frame> parse_reset(ByteReader& reader) {
    const auto id = reader.varint();
    const auto code = reader.varint();
    const auto size = reader.varint();
    if (!id || !code || !size) {
        return std::nullopt;
    }
    return ResetStreamFrame{.stream = {*id}, .code = *code, .final_size = *size};
}

template <class F>
std::optional<Frame> parse_pair(ByteReader& reader) {
    const auto id = reader.varint();
    const auto value = reader.varint();
    if (!id || !value) {
        return std::nullopt;
    }
    return F{{*id}, *value};
}

template <class F>
std::optional<Frame> parse_single(ByteReader& reader) {
    const auto value = reader.varint();
    if (!value) {
        return std::nullopt;
    }
    return F{*value};
}

template <class F>
std::optional<Frame> parse_path(ByteReader& reader) {
    const auto token = parse_token(reader);
    if (!token) {
        return std::nullopt;
    }
    return F{*token};
}

Frame parse_padding(ByteReader& reader) {
    const auto rest = reader.rest();
    const auto end = std::ranges::find_if(rest, [](std::uint8_t byte) { return byte != 0; });
    static_cast<void>(reader.take(static_cast<std::size_t>(end - rest.begin())));
    return PaddingFrame{};
}

}  // namespace

std::optional<AckFrame> parse_ack(ByteReader& reader, bool with_ecn) {
    const auto largest = reader.varint();
    const auto delay = reader.varint();
    const auto more = reader.varint();
    const auto first = reader.varint();
    if (!largest || !delay || !more || !first || *more >= kMaxAckRanges || *first > *largest) {
        return std::nullopt;
    }
    AckFrame frame;
    frame.largest = *largest;
    constexpr std::uint64_t kLongestDelay = std::numeric_limits<std::int32_t>::max();
    frame.delay = std::chrono::microseconds{std::min(*delay, kLongestDelay)};
    frame.first_length_ = *first;
    frame.more_ranges_ = *more;
    const auto before = reader.rest();
    auto lowest = *largest - *first;
    for (std::uint64_t i = 0; i < *more; ++i) {
        const auto gap = reader.varint();
        const auto length = reader.varint();
        // A gap of g leaves out g + 1 numbers, a length of n acknowledges n + 1. RFC 9000 §19.3.1.
        if (!gap || !length || *gap > kMaxVarint - 2 || lowest < *gap + 2 || lowest - *gap - 2 < *length) {
            return std::nullopt;
        }
        lowest -= *gap + 2 + *length;
    }
    frame.encoded_ = before.first(before.size() - reader.remaining());
    if (with_ecn) {
        const auto ect0 = reader.varint();
        const auto ect1 = reader.varint();
        const auto ce = reader.varint();
        if (!ect0 || !ect1 || !ce) {
            return std::nullopt;
        }
        frame.ecn = EcnCounts{.ect0 = *ect0, .ect1 = *ect1, .ce = *ce};
    }
    return frame;
}

std::optional<Frame> parse_frame(ByteReader& reader) {
    const auto type = reader.varint();
    if (!type) {
        return std::nullopt;
    }
    if (*type >= kStreamFirst && *type <= kStreamLast) {
        return parse_stream(reader, static_cast<unsigned>(*type));
    }
    if (*type > code_of(FrameType::close)) {
        return std::nullopt;
    }
    switch (static_cast<FrameType>(*type)) {
        case FrameType::padding:
            return parse_padding(reader);
        case FrameType::ping:
            return PingFrame{};
        case FrameType::ack:
        case FrameType::ack_ecn:
            return parse_ack(reader, *type == code_of(FrameType::ack_ecn));
        case FrameType::reset_stream:
            return parse_reset(reader);
        case FrameType::stop_sending:
            return parse_pair<StopSendingFrame>(reader);
        case FrameType::max_data:
            return parse_single<MaxDataFrame>(reader);
        case FrameType::max_stream_data:
            return parse_pair<MaxStreamDataFrame>(reader);
        case FrameType::max_streams:
            return parse_single<MaxStreamsFrame>(reader);
        case FrameType::path_challenge:
            return parse_path<PathChallengeFrame>(reader);
        case FrameType::path_response:
            return parse_path<PathResponseFrame>(reader);
        case FrameType::close:
            return parse_close(reader);
        case FrameType::stream:
            break;
    }
    return std::nullopt;
}

}  // namespace pinhole::transport
