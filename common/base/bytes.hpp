// Byte sequences and bounded big-endian readers and writers, the ground of every codec.
// A reader never trusts a length that the bytes declare: each take is checked against what is left.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using ByteSpan = std::span<std::uint8_t>;

[[nodiscard]] ByteView as_bytes(std::string_view text);
[[nodiscard]] std::string_view as_text(ByteView bytes);
[[nodiscard]] Bytes to_bytes(ByteView bytes);

/// Reads big-endian values from a view. After a failed read every further read fails too.
class ByteReader {
  public:
    explicit ByteReader(ByteView bytes) : rest_(bytes) {}

    [[nodiscard]] std::optional<std::uint8_t> u8();
    [[nodiscard]] std::optional<std::uint16_t> u16();
    [[nodiscard]] std::optional<std::uint32_t> u32();
    [[nodiscard]] std::optional<std::uint64_t> u64();
    /// A variable-length integer of RFC 9000 §16: 1, 2, 4 or 8 bytes, up to 2^62 - 1.
    [[nodiscard]] std::optional<std::uint64_t> varint();
    [[nodiscard]] std::optional<ByteView> take(std::size_t count);

    [[nodiscard]] ByteView rest() const { return rest_; }

    [[nodiscard]] std::size_t remaining() const { return rest_.size(); }

    [[nodiscard]] bool empty() const { return rest_.empty(); }

    [[nodiscard]] bool failed() const { return failed_; }

  private:
    ByteView rest_;
    bool failed_ = false;
};

/// Appends big-endian values to a fixed buffer. A write that does not fit writes nothing and marks the writer failed.
class ByteWriter {
  public:
    explicit ByteWriter(ByteSpan buffer) : buffer_(buffer) {}

    bool u8(std::uint8_t value);
    bool u16(std::uint16_t value);
    bool u32(std::uint32_t value);
    bool u64(std::uint64_t value);
    bool varint(std::uint64_t value);
    bool bytes(ByteView value);
    /// Reserves `count` bytes to fill in place; empty if they do not fit.
    [[nodiscard]] ByteSpan reserve(std::size_t count);

    [[nodiscard]] std::size_t size() const { return used_; }

    [[nodiscard]] std::size_t room() const { return buffer_.size() - used_; }

    [[nodiscard]] bool failed() const { return failed_; }

    [[nodiscard]] ByteView written() const { return buffer_.first(used_); }

  private:
    ByteSpan buffer_;
    std::size_t used_ = 0;
    bool failed_ = false;
};

/// Bytes that `varint` takes for a value.
[[nodiscard]] constexpr std::size_t varint_size(std::uint64_t value) {
    return value < (1ULL << 6) ? 1 : value < (1ULL << 14) ? 2 : value < (1ULL << 30) ? 4 : 8;
}

inline constexpr std::uint64_t kMaxVarint = (1ULL << 62) - 1;

}  // namespace pinhole
