#include "peer/transport/frame.hpp"

#include "common/base/encoding.hpp"

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

template <class Write>
Bytes written(Write write) {
    Bytes buffer(200);
    ByteWriter out{buffer};
    write(out);
    return to_bytes(out.written());
}

template <class F>
std::optional<F> parse_as(ByteView bytes) {
    ByteReader reader{bytes};
    const auto frame = parse_frame(reader);
    if (!frame || !reader.empty() || !std::holds_alternative<F>(*frame)) {
        return std::nullopt;
    }
    return std::get<F>(*frame);
}

bool malformed(std::string_view hex) {
    const auto bytes = *from_hex(hex);
    ByteReader reader{bytes};
    return !parse_frame(reader).has_value();
}

std::vector<Range> ranges_of(const AckFrame& frame) {
    std::vector<Range> ranges;
    frame.for_each_range([&](Range range) { ranges.push_back(range); });
    return ranges;
}

TEST(TransportFrame, SmallFramesHaveTheDocumentedBytes) {
    EXPECT_EQ(to_hex(written([](auto& out) { write_ping(out); })), "01");
    EXPECT_EQ(to_hex(written([](auto& out) { write_frame(out, ResetStreamFrame{{4}, 7, 300}); })), "040407412c");
    EXPECT_EQ(to_hex(written([](auto& out) { write_frame(out, StopSendingFrame{{5}, 9}); })), "050509");
    EXPECT_EQ(to_hex(written([](auto& out) { write_frame(out, MaxDataFrame{16384}); })), "1080004000");
    EXPECT_EQ(to_hex(written([](auto& out) { write_frame(out, MaxStreamDataFrame{{1}, 63}); })), "11013f");
    EXPECT_EQ(to_hex(written([](auto& out) { write_frame(out, MaxStreamsFrame{256}); })), "124100");
    EXPECT_EQ(to_hex(written([](auto& out) { write_frame(out, PathChallengeFrame{{1, 2, 3, 4, 5, 6, 7, 8}}); })),
              "1a0102030405060708");
    EXPECT_EQ(to_hex(written([](auto& out) { write_frame(out, CloseFrame{.code = 256, .detail = "bye"}); })),
              "1c410003627965");
}

TEST(TransportFrame, EveryFrameComesBackAsItWasWritten) {
    const auto reset = parse_as<ResetStreamFrame>(
        written([](auto& out) { write_frame(out, ResetStreamFrame{{kMaxVarint}, 1, kMaxVarint}); }));
    ASSERT_TRUE(reset);
    EXPECT_EQ(reset->stream.value, kMaxVarint);
    EXPECT_EQ(reset->final_size, kMaxVarint);
    const auto response = parse_as<PathResponseFrame>(
        written([](auto& out) { write_frame(out, PathResponseFrame{{9, 8, 7, 6, 5, 4, 3, 2}}); }));
    ASSERT_TRUE(response);
    EXPECT_EQ(response->token, (PathToken{9, 8, 7, 6, 5, 4, 3, 2}));
    const auto bytes =
        written([](auto& out) { write_frame(out, CloseFrame{.code = 3, .detail = std::string(500, 'x')}); });
    const auto close = parse_as<CloseFrame>(bytes);
    ASSERT_TRUE(close);
    EXPECT_EQ(close->detail, std::string(kMaxCloseDetail, 'x'));
}

TEST(TransportFrame, StreamKeepsPriorityOffsetAndEnd) {
    for (const bool with_length : {true, false}) {
        for (const auto priority : {Priority::control, Priority::chat, Priority::file}) {
            const auto bytes = written([&](auto& out) {
                const StreamHeader header{.stream = {6},
                                          .priority = priority,
                                          .offset = 70'000,
                                          .length = 3,
                                          .fin = with_length,
                                          .with_length = with_length};
                const auto before = out.size();
                const auto data = write_stream_header(out, header);
                EXPECT_EQ(out.size() - before, stream_header_size(header) + 3);
                data[0] = 'a';
                data[1] = 'b';
                data[2] = 'c';
            });
            const auto frame = parse_as<StreamFrame>(bytes);
            ASSERT_TRUE(frame);
            EXPECT_EQ(frame->stream, StreamId{6});
            EXPECT_EQ(frame->priority, priority);
            EXPECT_EQ(frame->offset, 70'000U);
            EXPECT_EQ(as_text(frame->data), "abc");
            EXPECT_EQ(frame->fin, with_length);
        }
    }
}

TEST(TransportFrame, PaddingIsOneFrameHoweverLong) {
    const auto bytes = *from_hex("000000000001");
    ByteReader reader{bytes};
    EXPECT_TRUE(std::holds_alternative<PaddingFrame>(*parse_frame(reader)));
    EXPECT_EQ(reader.remaining(), 1U);
}

TEST(TransportFrame, AckHasTheRangesFromTheHighestDown) {
    RangeSet received;
    received.insert({0, 3});
    received.insert({5, 6});
    received.insert({10, 21});
    const auto bytes = written([&](auto& out) { write_ack(out, received, 1500us, std::nullopt); });
    // largest 20, delay 1500 µs, two more, 11 numbers; 4 left out, 1; 2 left out, 3.
    EXPECT_EQ(to_hex(bytes), "021445dc020a03000102");
    const auto frame = parse_as<AckFrame>(bytes);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->delay, 1500us);
    EXPECT_FALSE(frame->ecn);
    EXPECT_EQ(ranges_of(*frame), (std::vector<Range>{{10, 21}, {5, 6}, {0, 3}}));
}

TEST(TransportFrame, AckCarriesEcnCounts) {
    RangeSet received;
    received.insert({7, 8});
    const EcnCounts counts{.ect0 = 100, .ect1 = 0, .ce = 5};
    const auto bytes = written([&](auto& out) { write_ack(out, received, 0us, counts); });
    const auto frame = parse_as<AckFrame>(bytes);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->ecn, counts);
}

TEST(TransportFrame, AckLeavesOutTheLowestRangesThatDoNotFit) {
    RangeSet received;
    for (std::uint64_t i = 0; i < kMaxAckRanges + 20; ++i) {
        received.insert({i * 10, i * 10 + 1});
    }
    Bytes large(1000);
    ByteWriter out{large};
    ASSERT_TRUE(write_ack(out, received, 0us, std::nullopt));
    EXPECT_EQ(ranges_of(*parse_as<AckFrame>(out.written())).size(), kMaxAckRanges);
    for (std::size_t room = 0; room < 60; ++room) {
        Bytes small(room);
        ByteWriter tight{small};
        const bool fits = write_ack(tight, received, 0us, std::nullopt);
        EXPECT_EQ(fits, room >= 6);
        EXPECT_EQ(tight.size() == 0, !fits);
        EXPECT_FALSE(tight.failed());
        if (fits) {
            const auto frame = parse_as<AckFrame>(tight.written());
            ASSERT_TRUE(frame);
            EXPECT_EQ(ranges_of(*frame).front(), received.back());
        }
    }
}

TEST(TransportFrame, ImpossibleAcksAreMalformed) {
    EXPECT_TRUE(malformed("0205000006")) << "the first range begins below zero";
    EXPECT_TRUE(malformed("020500010004")) << "a gap without a length";
    EXPECT_TRUE(malformed("02050001000400")) << "the gap reaches below zero";
    EXPECT_FALSE(malformed("02050001000300"));
    EXPECT_TRUE(malformed("02050001000301")) << "the second range begins below zero";
    EXPECT_TRUE(malformed("020500404000")) << "64 further ranges";
    EXPECT_TRUE(malformed("030500000100")) << "ECN counts cut short";
}

TEST(TransportFrame, UnknownAndCutFramesAreMalformed) {
    for (const auto* hex : {"06", "07",   "0f", "13",   "1d", "2c",   "3f",     "7fff",       "04",   "0401",    "05",
                            "10", "1101", "12", "1a01", "20", "2000", "220000", "22000005aa", "1c00", "1c004081"}) {
        EXPECT_TRUE(malformed(hex)) << hex;
    }
    EXPECT_TRUE(malformed("2200ffffffffffffffff0100")) << "data beyond the largest offset";
}

TEST(TransportFrame, WritersLeaveNothingWhenThereIsNoRoom) {
    Bytes buffer(3);
    ByteWriter out{buffer};
    EXPECT_FALSE(write_frame(out, ResetStreamFrame{{1}, 1, 100}));
    EXPECT_FALSE(write_frame(out, PathChallengeFrame{}));
    EXPECT_FALSE(write_frame(out, CloseFrame{.code = 0, .detail = "x"}));
    EXPECT_EQ(out.size(), 0U);
    EXPECT_TRUE(write_frame(out, StopSendingFrame{{1}, 1}));
}

}  // namespace
}  // namespace pinhole::transport
