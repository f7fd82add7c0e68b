#include "common/stun/stream_framer.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/channel_data.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::stun {
namespace {

using testing::ElementsAre;

Bytes binding() {
    return MessageBuilder{MessageClass::request, kBinding, TransactionId{}}
        .text(AttributeType::software, "test")
        .finish();
}

Bytes channel(std::size_t size, bool padded = true) {
    const Bytes payload(size, 0x42);
    return channel_message({.channel = 0x4000, .payload = payload}, padded);
}

std::vector<Bytes> frames_of(StreamFramer& framer) {
    std::vector<Bytes> frames;
    while (const auto frame = framer.next().value()) {
        frames.push_back(to_bytes(*frame));
    }
    return frames;
}

TEST(ChannelData, ReadsWhatItWrote) {
    const Bytes payload{1, 2, 3, 4, 5};
    const auto bytes = channel_message({.channel = 0x4fff, .payload = payload}, true);
    EXPECT_EQ(bytes.size(), 12U);
    const auto data = parse_channel_data(bytes).value();
    EXPECT_EQ(data.channel, 0x4fff);
    EXPECT_THAT(data.payload, ElementsAre(1, 2, 3, 4, 5));
    EXPECT_EQ(channel_message({.channel = 0x4fff, .payload = payload}, false).size(), 9U);
}

TEST(ChannelData, IsNotReadBeyondItsDatagram) {
    EXPECT_FALSE(parse_channel_data(Bytes{0x40, 0, 0}));
    EXPECT_FALSE(parse_channel_data(Bytes{0x40, 0, 0, 2, 1}));
    EXPECT_TRUE(parse_channel_data(Bytes{0x40, 0, 0, 0}));
}

TEST(ChannelData, BeginsWithTheNumbersThatRfc8656Left) {
    EXPECT_FALSE(is_channel_data(Bytes{0x3f, 0xff, 0, 0}));
    EXPECT_TRUE(is_channel_data(Bytes{0x7f, 0xff, 0, 0}));
    EXPECT_FALSE(is_channel_data(Bytes{0x80, 0, 0, 0}));
}

TEST(StreamFramer, CutsMessagesThatComeByteForByte) {
    StreamFramer framer;
    std::vector<Bytes> frames;
    for (const auto& message : {binding(), channel(5), channel(0), channel(8), binding()}) {
        for (const auto byte : message) {
            framer.push(Bytes{byte});
            for (auto& frame : frames_of(framer)) {
                frames.push_back(std::move(frame));
            }
        }
    }
    EXPECT_THAT(frames, ElementsAre(binding(), channel(5, false), channel(0), channel(8), binding()));
    EXPECT_EQ(framer.buffered(), 0U);
}

TEST(StreamFramer, CutsMessagesThatComeAtOnce) {
    Bytes all;
    for (const auto& message : {binding(), channel(5), channel(1200), binding()}) {
        all.insert(all.end(), message.begin(), message.end());
    }
    StreamFramer framer;
    framer.push(all);
    EXPECT_THAT(frames_of(framer), ElementsAre(binding(), channel(5, false), channel(1200), binding()));
}

TEST(StreamFramer, GivesTheRestToWhoeverGoesOnWithOtherBytes) {
    StreamFramer framer;
    auto bytes = binding();
    bytes.insert(bytes.end(), {'r', 'a', 'w'});
    framer.push(bytes);
    EXPECT_EQ(to_bytes(framer.next().value().value()), binding());
    EXPECT_THAT(framer.take_rest(), ElementsAre('r', 'a', 'w'));
    EXPECT_EQ(framer.buffered(), 0U);
}

TEST(StreamFramer, RefusesOtherProtocolsForGood) {
    for (const auto& bytes : {Bytes{0x80, 'O', 'S', 'T'}, Bytes{0x16, 3, 1, 0}, Bytes{0xc0, 0, 0, 0},
                              Bytes{0, 1, 0, 0, 0, 0, 0, 0}, Bytes{0, 1, 0, 3}}) {
        StreamFramer framer;
        framer.push(bytes);
        EXPECT_FALSE(framer.next().has_value());
        framer.push(binding());
        EXPECT_FALSE(framer.next().has_value());
    }
}

TEST(StreamFramer, RefusesWhatAnnouncesMoreThanItsBound) {
    StreamFramer framer{1280};
    framer.push(channel(1276));
    EXPECT_TRUE(framer.next().value().has_value());
    framer.push(channel_header(0x4000, 1277));
    EXPECT_EQ(framer.next().error().code, make_error_code(Errc::too_large));
}

}  // namespace
}  // namespace pinhole::stun
