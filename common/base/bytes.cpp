#include "common/base/bytes.hpp"

#include <algorithm>

namespace pinhole {

ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes to_bytes(ByteView bytes) {
    return {bytes.begin(), bytes.end()};
}

namespace {

std::uint64_t big_endian(ByteView bytes) {
    std::uint64_t value = 0;
    for (const auto byte : bytes) {
        value = value << 8 | byte;
    }
    return value;
}

void put_big_endian(ByteSpan out, std::uint64_t value) {
    for (std::size_t i = out.size(); i > 0; --i) {
        out[i - 1] = static_cast<std::uint8_t>(value);
        value >>= 8;
    }
}

template <class T>
std::optional<T> read_as(ByteReader& reader) {
    const auto bytes = reader.take(sizeof(T));
    if (!bytes) {
        return std::nullopt;
    }
    return static_cast<T>(big_endian(*bytes));
}

template <class T>
bool write_as(ByteWriter& writer, T value) {
    const auto out = writer.reserve(sizeof(T));
    if (out.empty()) {
        return false;
    }
    put_big_endian(out, value);
    return true;
}

}  // namespace

std::optional<std::uint8_t> ByteReader::u8() {
    return read_as<std::uint8_t>(*this);
}

std::optional<std::uint16_t> ByteReader::u16() {
    return read_as<std::uint16_t>(*this);
}

std::optional<std::uint32_t> ByteReader::u32() {
    return read_as<std::uint32_t>(*this);
}

std::optional<std::uint64_t> ByteReader::u64() {
    return read_as<std::uint64_t>(*this);
}

std::optional<std::uint64_t> ByteReader::varint() {
    if (failed_ || rest_.empty()) {
        failed_ = true;
        return std::nullopt;
    }
    const std::size_t size = std::size_t{1} << (rest_[0] >> 6);
    const auto bytes = take(size);
    if (!bytes) {
        return std::nullopt;
    }
    const std::uint64_t mask = ~(std::uint64_t{3} << (size * 8 - 2));
    return big_endian(*bytes) & mask;
}

std::optional<ByteView> ByteReader::take(std::size_t count) {
    if (failed_ || count > rest_.size()) {
        failed_ = true;
        return std::nullopt;
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
}

bool ByteWriter::u8(std::uint8_t value) {
    return write_as(*this, value);
}

bool ByteWriter::u16(std::uint16_t value) {
    return write_as(*this, value);
}

bool ByteWriter::u32(std::uint32_t value) {
    return write_as(*this, value);
}

bool ByteWriter::u64(std::uint64_t value) {
    return write_as(*this, value);
}

bool ByteWriter::varint(std::uint64_t value) {
    const auto size = varint_size(value);
    const auto out = value > kMaxVarint ? ByteSpan{} : reserve(size);
    if (out.empty()) {
        failed_ = true;
        return false;
    }
    put_big_endian(out, value);
    constexpr std::array<std::uint8_t, 9> kPrefix{0, 0x00, 0x40, 0, 0x80, 0, 0, 0, 0xc0};
    out[0] = static_cast<std::uint8_t>(out[0] | kPrefix[size]);
    return true;
}

bool ByteWriter::bytes(ByteView value) {
    if (value.empty()) {
        return !failed_;
    }
    const auto out = reserve(value.size());
    if (out.empty()) {
        return false;
    }
    std::ranges::copy(value, out.begin());
    return true;
}

ByteSpan ByteWriter::reserve(std::size_t count) {
    if (failed_ || count > room()) {
        failed_ = true;
        return {};
    }
    const auto out = buffer_.subspan(used_, count);
    used_ += count;
    return out;
}

}  // namespace pinhole
