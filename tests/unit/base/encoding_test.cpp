#include "common/base/encoding.hpp"

#include "common/base/rng.hpp"

#include <array>
#include <utility>

#include <gtest/gtest.h>

namespace pinhole {
namespace {

TEST(Hex, WritesLowerCaseAndReadsEither) {
    EXPECT_EQ(to_hex(Bytes{0x00, 0xab, 0xff}), "00abff");
    EXPECT_EQ(from_hex("00abFF"), (Bytes{0x00, 0xab, 0xff}));
    EXPECT_EQ(from_hex(""), Bytes{});
}

TEST(Hex, RefusesOddLengthsAndStrangeCharacters) {
    for (const auto* text : {"0", "0g", " 00", "0x", "--"}) {
        EXPECT_FALSE(from_hex(text)) << text;
    }
}

// RFC 4648 §10, lower case and without padding.
TEST(Base32, MatchesTheRfc) {
    const std::array<std::pair<const char*, const char*>, 7> cases{{{"", ""},
                                                                    {"f", "my"},
                                                                    {"fo", "mzxq"},
                                                                    {"foo", "mzxw6"},
                                                                    {"foob", "mzxw6yq"},
                                                                    {"fooba", "mzxw6ytb"},
                                                                    {"foobar", "mzxw6ytboi"}}};
    for (const auto& [text, encoded] : cases) {
        EXPECT_EQ(to_base32(as_bytes(text)), encoded);
        EXPECT_EQ(from_base32(encoded), to_bytes(as_bytes(text)));
    }
}

// RFC 4648 §10
TEST(Base64, MatchesTheRfc) {
    const std::array<std::pair<const char*, const char*>, 7> cases{{{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}}};
    for (const auto& [text, encoded] : cases) {
        EXPECT_EQ(to_base64(as_bytes(text)), encoded);
    }
    EXPECT_EQ(to_base64(Bytes{0xfb, 0xff, 0xfe}), "+//+");
}

TEST(Base32, ReadsUpperCase) {
    EXPECT_EQ(from_base32("MZXW6"), to_bytes(as_bytes("foo")));
}

TEST(Base32, RefusesWhatNoEncoderWrites) {
    EXPECT_FALSE(from_base32("m")) << "5 bits are no byte";
    EXPECT_FALSE(from_base32("mzx")) << "15 bits leave 7 over";
    EXPECT_FALSE(from_base32("mz")) << "trailing bits are not zero";
    EXPECT_FALSE(from_base32("mzxw6===")) << "padding";
    EXPECT_FALSE(from_base32("mzxw 6"));
    EXPECT_FALSE(from_base32("mzxw0"));
    EXPECT_FALSE(from_base32("mzxw1"));
    EXPECT_FALSE(from_base32(std::string_view{"my\0", 3}));
}

TEST(Base32, RoundTripsEveryLength) {
    constexpr std::uint64_t kSeed = 3;
    SCOPED_TRACE(kSeed);
    SeededRng rng{kSeed};
    for (std::size_t size = 0; size < 70; ++size) {
        Bytes bytes(size);
        rng.fill(bytes);
        EXPECT_EQ(from_base32(to_base32(bytes)), bytes) << size;
        EXPECT_EQ(from_hex(to_hex(bytes)), bytes) << size;
    }
}

TEST(Utf8, AcceptsEverySequenceLength) {
    EXPECT_TRUE(is_utf8(""));
    EXPECT_TRUE(is_utf8("plain"));
    EXPECT_TRUE(is_utf8("\xc3\xa9"));          // é
    EXPECT_TRUE(is_utf8("\xe2\x82\xac"));      // €
    EXPECT_TRUE(is_utf8("\xf0\x9f\x8d\x8e"));  // an emoji
    EXPECT_TRUE(is_utf8("\xed\x9f\xbf\xee\x80\x80")) << "the neighbours of the surrogates";
    EXPECT_TRUE(is_utf8("\xf4\x8f\xbf\xbf")) << "U+10FFFF";
}

TEST(Utf8, RefusesMalformedSequences) {
    for (const auto* text : {
             "\x80",              // a tail alone
             "\xc0\xaf",          // overlong
             "\xc1\xbf",          // overlong
             "\xe0\x80\xaf",      // overlong
             "\xf0\x80\x80\xaf",  // overlong
             "\xed\xa0\x80",      // surrogate
             "\xf4\x90\x80\x80",  // above U+10FFFF
             "\xf5\x80\x80\x80",  // no such lead
             "\xff",              // no such byte
             "\xe2\x82",          // truncated
             "\xe2\x28\xa1",      // no tail
             "a\xc3"              // truncated at the end
         }) {
        EXPECT_FALSE(is_utf8(text)) << to_hex(as_bytes(text));
    }
}

TEST(Printable, LeavesOrdinaryTextAlone) {
    EXPECT_EQ(printable("Grüße, \xf0\x9f\x8d\x8e!"), "Grüße, \xf0\x9f\x8d\x8e!");
}

TEST(Printable, DisarmsControlCharacters) {
    EXPECT_EQ(printable("a\x1b[31mb\r\n\x7f"), "a?[31mb???");
    EXPECT_EQ(printable("\xc2\x9b"), "?") << "CSI as one C1 character";
    EXPECT_EQ(printable(std::string_view{"\0", 1}), "?");
}

TEST(Printable, ReplacesEveryMalformedByte) {
    EXPECT_EQ(printable("a\xff\x80z"), "a\xef\xbf\xbd\xef\xbf\xbdz");
    EXPECT_EQ(printable("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Printable, AlwaysYieldsUtf8) {
    constexpr std::uint64_t kSeed = 5;
    SCOPED_TRACE(kSeed);
    SeededRng rng{kSeed};
    for (int i = 0; i < 500; ++i) {
        Bytes bytes(rng.below(40));
        rng.fill(bytes);
        const auto text = printable(as_text(bytes));
        ASSERT_TRUE(is_utf8(text)) << to_hex(bytes);
        ASSERT_EQ(printable(text), text);
    }
}

}  // namespace
}  // namespace pinhole
