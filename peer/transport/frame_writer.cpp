#include "peer/transport/frame.hpp"

#include <algorithm>

namespace pinhole::transport {

namespace {

std::uint8_t code_of(FrameType type) {
    return static_cast<std::uint8_t>(type);
}

template <class... Values>
bool write_varints(ByteWriter& out, FrameType type, Values... values) {
    if (out.room() < (std::size_t{1} + ... + varint_size(values))) {
        return false;
    }
    out.u8(code_of(type));
    (out.varint(values), ...);
    return true;
}

bool write_token(ByteWriter& out, FrameType type, const PathToken& token) {
    if (out.room() < 1 + token.size()) {
        return false;
    }
    out.u8(code_of(type));
    return out.bytes(token);
}

/// The varints of one further range of an ACK frame: numbers left out less one, numbers acknowledged less one.
struct EncodedRange {
    std::uint64_t gap;
    std::uint64_t length;

    EncodedRange(const Range& range, const Range& above)
        : gap(above.begin - range.end - 1), length(range.length() - 1) {}

    [[nodiscard]] std::size_t size() const { return varint_size(gap) + varint_size(length); }
};

}  // namespace

bool write_ping(ByteWriter& out) {
    return out.room() > 0 && out.u8(code_of(FrameType::ping));
}

bool write_ack(ByteWriter& out, const RangeSet& received, Duration delay, const std::optional<EcnCounts>& ecn) {
    const auto ranges = received.ranges();
    const auto& top = ranges.back();
    const auto micros = static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(delay).count()));
    // Type and range count take one byte each, as there are fewer than 64 further ranges.
    auto size = 2 + varint_size(top.end - 1) + varint_size(micros) + varint_size(top.length() - 1);
    if (ecn) {
        size += varint_size(ecn->ect0) + varint_size(ecn->ect1) + varint_size(ecn->ce);
    }
    if (size > out.room()) {
        return false;
    }
    std::size_t more = 0;
    while (more + 1 < std::min(ranges.size(), kMaxAckRanges)) {
        const auto index = ranges.size() - 2 - more;
        size += EncodedRange{ranges[index], ranges[index + 1]}.size();
        if (size > out.room()) {
            break;
        }
        ++more;
    }
    out.u8(code_of(ecn ? FrameType::ack_ecn : FrameType::ack));
    out.varint(top.end - 1);
    out.varint(micros);
    out.varint(more);
    out.varint(top.length() - 1);
    for (std::size_t i = 0; i < more; ++i) {
        const auto index = ranges.size() - 2 - i;
        const EncodedRange range{ranges[index], ranges[index + 1]};
        out.varint(range.gap);
        out.varint(range.length);
    }
    if (ecn) {
        out.varint(ecn->ect0);
        out.varint(ecn->ect1);
        out.varint(ecn->ce);
    }
    return true;
}

bool write_frame(ByteWriter& out, const ResetStreamFrame& frame) {
    return write_varints(out, FrameType::reset_stream, frame.stream.value, frame.code, frame.final_size);
}

bool write_frame(ByteWriter& out, const StopSendingFrame& frame) {
    return write_varints(out, FrameType::stop_sending, frame.stream.value, frame.code);
}

bool write_frame(ByteWriter& out, const MaxDataFrame& frame) {
    return write_varints(out, FrameType::max_data, frame.limit);
}

bool write_frame(ByteWriter& out, const MaxStreamDataFrame& frame) {
    return write_varints(out, FrameType::max_stream_data, frame.stream.value, frame.limit);
}

bool write_frame(ByteWriter& out, const MaxStreamsFrame& frame) {
    return write_varints(out, FrameType::max_streams, frame.count);
}

bool write_frame(ByteWriter& out, const PathChallengeFrame& frame) {
    return write_token(out, FrameType::path_challenge, frame.token);
}

bool write_frame(ByteWriter& out, const PathResponseFrame& frame) {
    return write_token(out, FrameType::path_response, frame.token);
}

bool write_frame(ByteWriter& out, const CloseFrame& frame) {
    const auto detail = as_bytes(frame.detail.substr(0, kMaxCloseDetail));
    if (out.room() < 1 + varint_size(frame.code) + varint_size(detail.size()) + detail.size()) {
        return false;
    }
    out.u8(code_of(FrameType::close));
    out.varint(frame.code);
    out.varint(detail.size());
    return out.bytes(detail);
}

std::size_t stream_header_size(const StreamHeader& header) {
    return 1 + varint_size(header.stream.value) + varint_size(header.offset) +
           (header.with_length ? varint_size(header.length) : 0);
}

ByteSpan write_stream_header(ByteWriter& out, const StreamHeader& header) {
    const auto priority = static_cast<unsigned>(header.priority) << 2U;
    out.u8(static_cast<std::uint8_t>(code_of(FrameType::stream) | priority | (header.fin ? 1U : 0U) |
                                     (header.with_length ? 2U : 0U)));
    out.varint(header.stream.value);
    out.varint(header.offset);
    if (header.with_length) {
        out.varint(header.length);
    }
    return out.reserve(header.length);
}

}  // namespace pinhole::transport
