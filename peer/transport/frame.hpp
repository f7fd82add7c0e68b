// The frames inside a packet (proto/README.md, "Transport"): parse and serialize, without opinion on what they mean.
// Every frame can be processed twice without harm, so a frame whose packet was lost is simply sent again.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/time.hpp"
#include "peer/transport/connection.hpp"
#include "peer/transport/range_set.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace pinhole::transport {

enum class FrameType : std::uint8_t {
    padding = 0x00,
    ping = 0x01,
    ack = 0x02,
    ack_ecn = 0x03,
    reset_stream = 0x04,
    stop_sending = 0x05,
    max_data = 0x10,
    max_stream_data = 0x11,
    max_streams = 0x12,
    path_challenge = 0x1a,
    path_response = 0x1b,
    close = 0x1c,
    /// 0x20 to 0x2b: bit 0 FIN, bit 1 a length follows (else: to the end of the packet), bits 2-3 the priority.
    stream = 0x20
};

/// Ranges in one ACK frame, the first included; also what a receiver remembers.
inline constexpr std::size_t kMaxAckRanges = 64;
inline constexpr std::size_t kMaxCloseDetail = 128;
/// Type, id, offset and length at their longest.
inline constexpr std::size_t kMaxStreamHeader = 1 + 8 + 8 + 2;
/// The longest frame that is neither STREAM, ACK nor CLOSE: type and three varints.
inline constexpr std::size_t kMaxControlFrame = 1 + 3 * 8;

using PathToken = std::array<std::uint8_t, 8>;

struct EcnCounts {
    std::uint64_t ect0 = 0;
    std::uint64_t ect1 = 0;
    std::uint64_t ce = 0;

    friend bool operator==(const EcnCounts&, const EcnCounts&) = default;
};

struct PaddingFrame {};

struct PingFrame {};

class AckFrame {
  public:
    std::uint64_t largest = 0;
    std::chrono::microseconds delay{};
    std::optional<EcnCounts> ecn;

    /// Calls `visit(Range)` for each range of packet numbers, from the highest down.
    template <class Visit>
    void for_each_range(Visit visit) const {
        auto end = largest + 1;
        auto begin = largest - first_length_;
        visit(Range{begin, end});
        ByteReader reader{encoded_};
        for (std::uint64_t i = 0; i < more_ranges_; ++i) {
            end = begin - *reader.varint() - 1;
            begin = end - 1 - *reader.varint();
            visit(Range{begin, end});
        }
    }

  private:
    friend std::optional<AckFrame> parse_ack(ByteReader& reader, bool with_ecn);

    std::uint64_t first_length_ = 0;
    std::uint64_t more_ranges_ = 0;
    /// The further ranges as on the wire, already checked; borrowed from the packet.
    ByteView encoded_;
};

struct StreamFrame {
    StreamId stream;
    Priority priority = Priority::file;
    std::uint64_t offset = 0;
    ByteView data;
    bool fin = false;
};

struct ResetStreamFrame {
    StreamId stream;
    std::uint64_t code = 0;
    std::uint64_t final_size = 0;
};

struct StopSendingFrame {
    StreamId stream;
    std::uint64_t code = 0;
};

struct MaxDataFrame {
    std::uint64_t limit = 0;
};

struct MaxStreamDataFrame {
    StreamId stream;
    std::uint64_t limit = 0;
};

struct MaxStreamsFrame {
    std::uint64_t count = 0;
};

struct PathChallengeFrame {
    PathToken token{};
};

struct PathResponseFrame {
    PathToken token{};
};

struct CloseFrame {
    std::uint64_t code = 0;
    std::string_view detail;
};

using Frame =
    std::variant<PaddingFrame, PingFrame, AckFrame, StreamFrame, ResetStreamFrame, StopSendingFrame, MaxDataFrame,
                 MaxStreamDataFrame, MaxStreamsFrame, PathChallengeFrame, PathResponseFrame, CloseFrame>;

/// The next frame; nullopt when it is malformed or of an unknown type. Runs of padding come as one frame.
[[nodiscard]] std::optional<Frame> parse_frame(ByteReader& reader);

// Writers: false, with nothing written, when the frame does not fit.
bool write_ping(ByteWriter& out);
/// The highest ranges of `received` that fit. `received` must not be empty.
bool write_ack(ByteWriter& out, const RangeSet& received, Duration delay, const std::optional<EcnCounts>& ecn);
bool write_frame(ByteWriter& out, const ResetStreamFrame& frame);
bool write_frame(ByteWriter& out, const StopSendingFrame& frame);
bool write_frame(ByteWriter& out, const MaxDataFrame& frame);
bool write_frame(ByteWriter& out, const MaxStreamDataFrame& frame);
bool write_frame(ByteWriter& out, const MaxStreamsFrame& frame);
bool write_frame(ByteWriter& out, const PathChallengeFrame& frame);
bool write_frame(ByteWriter& out, const PathResponseFrame& frame);
/// Details longer than kMaxCloseDetail are cut.
bool write_frame(ByteWriter& out, const CloseFrame& frame);

/// What stands before the data of a STREAM frame.
struct StreamHeader {
    StreamId stream;
    Priority priority = Priority::file;
    std::uint64_t offset = 0;
    std::size_t length = 0;
    bool fin = false;
    /// Without a length the data reaches to the end of the packet.
    bool with_length = true;
};

[[nodiscard]] std::size_t stream_header_size(const StreamHeader& header);
/// Writes the header and reserves its `length` bytes of data to fill; the room must be there.
[[nodiscard]] ByteSpan write_stream_header(ByteWriter& out, const StreamHeader& header);

}  // namespace pinhole::transport
