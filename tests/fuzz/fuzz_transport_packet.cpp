// Any bytes as a packet header and as frames: nothing is read beyond them, and what was parsed can be written again.
#include "peer/transport/frame.hpp"
#include "peer/transport/packet.hpp"

#include <cstdint>
#include <cstdlib>
#include <variant>

namespace {

using namespace pinhole;
using namespace pinhole::transport;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

/// An ACK's ranges descend, do not touch and lie at or above zero.
void check(const AckFrame& frame) {
    RangeSet ranges;
    std::uint64_t below = frame.largest + 2;
    std::size_t count = 0;
    frame.for_each_range([&](Range range) {
        require(range.begin < range.end && range.end < below);
        below = range.begin;
        ranges.insert(range);
        ++count;
    });
    require(count <= kMaxAckRanges && ranges.size() == count && ranges.back().end == frame.largest + 1);
    Bytes out(2000);
    ByteWriter writer{out};
    require(write_ack(writer, ranges, frame.delay, frame.ecn));
    ByteReader reader{writer.written()};
    const auto again = parse_frame(reader);
    require(again && std::get<AckFrame>(*again).largest == frame.largest);
}

void check(const StreamFrame& frame) {
    require(frame.offset + frame.data.size() <= kMaxVarint);
    require(frame.priority <= Priority::file);
}

void check(const CloseFrame& frame) {
    require(frame.detail.size() <= kMaxCloseDetail);
}

template <class Frame>
void check(const Frame&) {}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input{data, size};
    if (const auto header = parse_header(input)) {
        require(is_transport_packet(input));
        Bytes out(kHeaderSize);
        write_header(*header, out);
        require(std::ranges::equal(out, input.first(kHeaderSize)));
        const auto number = expand_packet_number(header->connection_id >> 2U, header->truncated_number);
        require(static_cast<std::uint32_t>(number) == header->truncated_number);
    }
    ByteReader reader{input};
    while (!reader.empty()) {
        const auto before = reader.remaining();
        const auto frame = parse_frame(reader);
        if (!frame) {
            break;
        }
        require(reader.remaining() < before);
        std::visit([](const auto& parsed) { check(parsed); }, *frame);
    }
    return 0;
}
