#include "common/base/bytes.hpp"

#include "common/base/rng.hpp"

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

namespace pinhole {
namespace {

using Numbers = std::vector<std::uint64_t>;

Bytes encoded_varint(std::uint64_t value) {
    std::array<std::uint8_t, 8> buffer{};
    ByteWriter writer{buffer};
    writer.varint(value);
    return to_bytes(writer.written());
}

TEST(ByteReader, ReadsBigEndianInOrder) {
    const Bytes bytes{0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f};
    ByteReader reader{bytes};
    EXPECT_EQ(reader.u8(), 0x01);
    EXPECT_EQ(reader.u16(), 0x0203);
    EXPECT_EQ(reader.u32(), 0x04050607U);
    EXPECT_EQ(reader.u64(), 0x08090a0b0c0d0e0fULL);
    EXPECT_TRUE(reader.empty());
    EXPECT_FALSE(reader.failed());
}

TEST(ByteReader, StaysFailedAfterTheFirstShortRead) {
    const Bytes bytes{1, 2, 3};
    ByteReader reader{bytes};
    EXPECT_FALSE(reader.u32());
    EXPECT_TRUE(reader.failed());
    EXPECT_FALSE(reader.u8());
    EXPECT_FALSE(reader.take(0));
    EXPECT_FALSE(reader.varint());
}

TEST(ByteReader, TakesNoMoreThanThereIs) {
    const Bytes bytes{1, 2, 3};
    ByteReader reader{bytes};
    const auto two = reader.take(2);
    ASSERT_TRUE(two);
    EXPECT_EQ(to_bytes(*two), (Bytes{1, 2}));
    EXPECT_EQ(reader.remaining(), 1U);
    EXPECT_FALSE(reader.take(SIZE_MAX));
}

TEST(ByteReader, EmptyViewHasNothing) {
    ByteReader reader{ByteView{}};
    EXPECT_TRUE(reader.empty());
    EXPECT_TRUE(reader.take(0));
    EXPECT_FALSE(reader.u8());
}

TEST(ByteWriter, WritesWhatTheReaderReads) {
    std::array<std::uint8_t, 32> buffer{};
    ByteWriter writer{buffer};
    EXPECT_TRUE(writer.u8(0xfe));
    EXPECT_TRUE(writer.u16(0xfedc));
    EXPECT_TRUE(writer.u32(0xfedcba98));
    EXPECT_TRUE(writer.u64(0xfedcba9876543210));
    EXPECT_TRUE(writer.bytes(as_bytes("end")));
    ByteReader reader{writer.written()};
    EXPECT_EQ(reader.u8(), 0xfe);
    EXPECT_EQ(reader.u16(), 0xfedc);
    EXPECT_EQ(reader.u32(), 0xfedcba98U);
    EXPECT_EQ(reader.u64(), 0xfedcba9876543210ULL);
    EXPECT_EQ(as_text(reader.rest()), "end");
}

TEST(ByteWriter, WritesNothingThatDoesNotFit) {
    std::array<std::uint8_t, 3> buffer{};
    ByteWriter writer{buffer};
    EXPECT_TRUE(writer.u16(0x0102));
    EXPECT_FALSE(writer.u16(0x0304));
    EXPECT_TRUE(writer.failed());
    EXPECT_EQ(writer.size(), 2U);
    EXPECT_FALSE(writer.u8(9)) << "a failed writer would leave a hole in the message";
    EXPECT_EQ(buffer[2], 0);
}

TEST(ByteWriter, ReservesRoomToFillInPlace) {
    std::array<std::uint8_t, 4> buffer{};
    ByteWriter writer{buffer};
    const auto room = writer.reserve(3);
    ASSERT_EQ(room.size(), 3U);
    room[2] = 7;
    EXPECT_EQ(buffer[2], 7);
    EXPECT_EQ(writer.room(), 1U);
    EXPECT_TRUE(writer.reserve(2).empty());
}

TEST(ByteWriter, EmptyBytesAlwaysFit) {
    ByteWriter writer{ByteSpan{}};
    EXPECT_TRUE(writer.bytes({}));
    EXPECT_FALSE(writer.failed());
}

// RFC 9000 §A.1.
TEST(Varint, MatchesTheExamplesOfTheRfc) {
    EXPECT_EQ(encoded_varint(151288809941952652ULL), (Bytes{0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c}));
    EXPECT_EQ(encoded_varint(494878333), (Bytes{0x9d, 0x7f, 0x3e, 0x7d}));
    EXPECT_EQ(encoded_varint(15293), (Bytes{0x7b, 0xbd}));
    EXPECT_EQ(encoded_varint(37), (Bytes{0x25}));
}

TEST(Varint, ReadsFormsThatAreLongerThanNeeded) {
    const Bytes bytes{0x40, 0x25};
    ByteReader reader{bytes};
    EXPECT_EQ(reader.varint(), 37U);
}

TEST(Varint, RoundTripsAroundEveryBoundary) {
    for (const std::uint64_t edge : Numbers{0, 1U << 6, 1U << 14, 1U << 30, kMaxVarint}) {
        for (const auto value : Numbers{edge == 0 ? 0 : edge - 1, edge, std::min(edge + 1, kMaxVarint)}) {
            const auto bytes = encoded_varint(value);
            EXPECT_EQ(bytes.size(), varint_size(value)) << value;
            ByteReader reader{bytes};
            EXPECT_EQ(reader.varint(), value);
            EXPECT_TRUE(reader.empty());
        }
    }
}

TEST(Varint, RoundTripsRandomValues) {
    constexpr std::uint64_t kSeed = 11;
    SCOPED_TRACE(kSeed);
    SeededRng rng{kSeed};
    for (int i = 0; i < 1000; ++i) {
        const auto value = rng.u64() >> (2 + rng.below(62));
        const auto bytes = encoded_varint(value);
        ByteReader reader{bytes};
        ASSERT_EQ(reader.varint(), value);
    }
}

TEST(Varint, RefusesValuesThatHaveNoForm) {
    std::array<std::uint8_t, 8> buffer{};
    ByteWriter writer{buffer};
    EXPECT_FALSE(writer.varint(kMaxVarint + 1));
    EXPECT_TRUE(writer.failed());
    EXPECT_EQ(writer.size(), 0U);
}

TEST(Varint, RefusesTruncatedForms) {
    for (const std::uint8_t first : Bytes{0x40, 0x80, 0xc0}) {
        const Bytes bytes{first};
        ByteReader reader{bytes};
        EXPECT_FALSE(reader.varint());
        EXPECT_TRUE(reader.failed());
    }
}

}  // namespace
}  // namespace pinhole
