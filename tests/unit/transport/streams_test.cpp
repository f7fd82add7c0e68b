#include "peer/transport/streams.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

class StreamsTest : public testing::Test {
  protected:
    /// One packet's worth of frames as the peer would parse them. Borrowed until the next call.
    std::vector<Frame> packet(std::size_t room = 1200) {
        buffer.assign(room, 0);
        ByteWriter out{buffer};
        fresh_message = streams.write_frames(out);
        ByteReader reader{out.written()};
        std::vector<Frame> frames;
        while (!reader.empty()) {
            const auto frame = parse_frame(reader);
            if (!frame) {
                ADD_FAILURE() << "malformed";
                break;
            }
            frames.push_back(*frame);
        }
        sent.add({});
        return frames;
    }

    std::vector<StreamFrame> data(std::size_t room = 1200) {
        std::vector<StreamFrame> frames;
        for (const auto& frame : packet(room)) {
            if (const auto* stream = std::get_if<StreamFrame>(&frame)) {
                frames.push_back(*stream);
            }
        }
        return frames;
    }

    template <class E>
    std::size_t events_of() {
        std::size_t count = 0;
        for (std::size_t i = 0; i < events.size(); ++i) {
            count += std::holds_alternative<E>(events[i]) ? 1 : 0;
        }
        return count;
    }

    Config config;
    SentPackets sent;
    Ring<Event> events;
    Streams streams{config, sent, events};
    Bytes buffer;
    bool fresh_message = false;
};

TEST_F(StreamsTest, FirstPacketRaisesTheInitialCredit) {
    const auto frames = packet();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(std::get<MaxDataFrame>(frames[0]).limit, config.connection_window);
    EXPECT_EQ(std::get<MaxStreamsFrame>(frames[1]).count, config.max_streams);
    EXPECT_TRUE(packet().empty());
    EXPECT_FALSE(streams.has_frames());
    streams.on_lost({.value = config.connection_window, .kind = FrameKind::max_data});
    EXPECT_EQ(packet().size(), 1U);
}

TEST_F(StreamsTest, HigherClassGoesFirstAndFillsThePacket) {
    packet();
    const auto file = *streams.open(Priority::file);
    const auto chat = *streams.open(Priority::chat);
    const auto control = *streams.open(Priority::control);
    ASSERT_TRUE(streams.write(file, Bytes(5000)));
    ASSERT_TRUE(streams.write(chat, Bytes(1500)));
    ASSERT_TRUE(streams.write(control, Bytes(100)));
    auto frames = data();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].stream, control);
    EXPECT_EQ(frames[1].stream, chat);
    EXPECT_TRUE(fresh_message);
    EXPECT_TRUE(streams.has_urgent());
    frames = data();
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].stream, chat);
    EXPECT_EQ(frames[1].stream, file);
    EXPECT_TRUE(fresh_message);
    EXPECT_FALSE(streams.has_urgent());
    streams.on_lost({.id = chat.value, .length = 100, .kind = FrameKind::stream});
    frames = data();
    EXPECT_EQ(frames[0].stream, chat);
    EXPECT_FALSE(fresh_message) << "what is repeated is not repeated again";
}

TEST_F(StreamsTest, StreamsOfAClassTakeTurns) {
    packet();
    std::map<StreamId, int> turns;
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(streams.write(*streams.open(Priority::file), Bytes(50'000)));
    }
    for (int i = 0; i < 40; ++i) {
        const auto frames = data();
        ASSERT_EQ(frames.size(), 1U);
        ++turns[frames[0].stream];
    }
    for (const auto& [stream, count] : turns) {
        EXPECT_EQ(count, 10);
    }
}

TEST_F(StreamsTest, SmallFramesShareAPacket) {
    packet();
    for (int i = 0; i < 40; ++i) {
        const auto stream = *streams.open(Priority::file);
        ASSERT_TRUE(streams.write(stream, Bytes(20)));
        streams.finish(stream);
    }
    const auto frames = data();
    EXPECT_EQ(frames.size(), 40U);
    EXPECT_TRUE(std::ranges::all_of(frames, [](const auto& frame) { return frame.fin && frame.data.size() == 20; }));
}

TEST_F(StreamsTest, PacketIsFullWhateverRemains) {
    packet();
    const auto stream = *streams.open(Priority::file);
    std::size_t written = 0;
    for (std::size_t room = 100; room < 300; ++room) {
        // The frame header takes 5 to 8 bytes: every relation between what remains and what fits comes up.
        for (std::size_t size = room - 12; size < room + 3; ++size) {
            ASSERT_TRUE(streams.write(stream, Bytes(size)));
            written += size;
            std::size_t seen = 0;
            while (streams.has_frames()) {
                for (const auto& frame : data(room)) {
                    seen += frame.data.size();
                    streams.on_acked({.id = stream.value,
                                      .value = frame.offset,
                                      .length = static_cast<std::uint32_t>(frame.data.size()),
                                      .kind = FrameKind::stream});
                }
            }
            ASSERT_EQ(seen, size);
            ASSERT_TRUE(streams.handle(MaxStreamDataFrame{stream, written + 10'000}));
            ASSERT_TRUE(streams.handle(MaxDataFrame{written + 10'000}));
        }
    }
}

TEST_F(StreamsTest, ConnectionCreditLimitsAllStreamsTogether) {
    packet();
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(streams.write(*streams.open(Priority::file), Bytes(200'000)));
    }
    std::size_t total = 0;
    for (auto frames = data(); !frames.empty(); frames = data()) {
        for (const auto& frame : frames) {
            total += frame.data.size();
        }
    }
    EXPECT_EQ(total, kInitialConnectionCredit);
    ASSERT_TRUE(streams.handle(MaxDataFrame{kInitialConnectionCredit + 700}));
    EXPECT_EQ(data()[0].data.size(), 700U);
}

TEST_F(StreamsTest, PeersStreamsOpenInOrderAndUpToTheLimit) {
    packet();
    EXPECT_TRUE(*streams.handle(StreamFrame{.stream = {5}, .priority = Priority::chat, .data = Bytes(3)}));
    EXPECT_EQ(events_of<Opened>(), 3U);
    EXPECT_EQ(std::get<Opened>(events[0]).stream, StreamId{1});
    EXPECT_EQ(events_of<Readable>(), 1U);
    const auto beyond = streams.handle(StreamFrame{.stream = {2 * config.max_streams + 1}, .data = {}});
    EXPECT_EQ(beyond.error().reason, CloseReason::stream_limit);
    const auto never = streams.handle(StreamFrame{.stream = {0}, .data = {}});
    EXPECT_EQ(never.error().reason, CloseReason::protocol_violation);
}

TEST_F(StreamsTest, AnswerInheritsThePriorityUntilTheApplicationChooses) {
    packet();
    const Bytes byte(1);
    EXPECT_TRUE(*streams.handle(StreamFrame{.stream = {1}, .priority = Priority::control, .data = byte}));
    ASSERT_TRUE(streams.write(StreamId{1}, Bytes(10)));
    EXPECT_EQ(data().at(0).priority, Priority::control);
    streams.set_priority(StreamId{1}, Priority::file);
    EXPECT_TRUE(*streams.handle(StreamFrame{.stream = {1}, .priority = Priority::control, .offset = 1, .data = byte}));
    ASSERT_TRUE(streams.write(StreamId{1}, Bytes(10)));
    EXPECT_EQ(data().at(0).priority, Priority::file);
}

TEST_F(StreamsTest, ReadableIsReportedOnceUntilItIsTaken) {
    const Bytes bytes(10);
    for (std::uint64_t i = 0; i < 5; ++i) {
        EXPECT_TRUE(*streams.handle(StreamFrame{.stream = {1}, .offset = i * 10, .data = bytes}));
    }
    EXPECT_EQ(events_of<Readable>(), 1U);
    streams.on_event_taken(Readable{StreamId{1}});
    EXPECT_TRUE(*streams.handle(StreamFrame{.stream = {1}, .offset = 50, .data = bytes}));
    EXPECT_EQ(events_of<Readable>(), 2U);
}

TEST_F(StreamsTest, StreamIsForgottenWhenBothDirectionsAreDone) {
    const Bytes bytes(10);
    const StreamId stream{1};
    EXPECT_TRUE(*streams.handle(StreamFrame{.stream = stream, .data = bytes, .fin = true}));
    streams.finish(stream);
    data();
    streams.on_acked({.id = 1, .kind = FrameKind::stream, .fin = true});
    EXPECT_EQ(events_of<Finished>(), 1U);
    EXPECT_EQ(streams.size(), 1U) << "unread data";
    Bytes out(100);
    EXPECT_EQ(streams.read(stream, out).value(), 10U);
    EXPECT_EQ(streams.size(), 0U);
    EXPECT_TRUE(streams.end_of_stream(stream));
    EXPECT_EQ(streams.read(stream, out).value(), 0U);
    EXPECT_TRUE(*streams.handle(StreamFrame{.stream = stream, .data = bytes, .fin = true})) << "a late copy";
    EXPECT_EQ(streams.size(), 0U);
    EXPECT_FALSE(streams.write(stream, bytes));
    EXPECT_EQ(streams.buffered(), 0U);
}

TEST_F(StreamsTest, CutStreamIsNotAnEndedOne) {
    const Bytes bytes(10);
    const StreamId stream{1};
    EXPECT_TRUE(*streams.handle(StreamFrame{.stream = stream, .data = bytes}));
    EXPECT_TRUE(streams.handle(ResetStreamFrame{stream, 5, 20}));
    EXPECT_EQ(events_of<Reset>(), 1U);
    streams.reset(stream, 0);
    packet();
    streams.on_acked({.id = 1, .kind = FrameKind::reset_stream});
    EXPECT_EQ(streams.size(), 0U);
    Bytes out(100);
    EXPECT_FALSE(streams.end_of_stream(stream));
    EXPECT_EQ(streams.read(stream, out).error().code, TransportErrc::stream_reset);
    EXPECT_EQ(streams.buffered(), 0U);
}

TEST_F(StreamsTest, StopIsAnsweredWithReset) {
    packet();
    const auto stream = *streams.open(Priority::file);
    ASSERT_TRUE(streams.write(stream, Bytes(100)));
    data();
    EXPECT_TRUE(streams.handle(StopSendingFrame{stream, 3}));
    EXPECT_EQ(events_of<Stopped>(), 1U);
    const auto frames = packet();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(std::get<ResetStreamFrame>(frames[0]).code, 3U);
    EXPECT_EQ(std::get<ResetStreamFrame>(frames[0]).final_size, 100U);
    EXPECT_EQ(streams.write(stream, Bytes(1)).error().code, TransportErrc::stream_stopped);
    EXPECT_EQ(streams.buffered(), 0U);
}

Config buffers_of(std::uint64_t send_buffer, std::uint64_t unsent) {
    Config config;
    config.send_buffer = send_buffer;
    config.unsent = unsent;
    return config;
}

TEST_F(StreamsTest, WritableFollowsWhenAQuarterOfTheBufferIsFree) {
    packet();
    Streams bounded{buffers_of(4000, 4000), sent, events};
    const auto stream = *bounded.open(Priority::file);
    EXPECT_EQ(bounded.write(stream, Bytes(5000)).value(), 4000U);
    buffer.assign(5000, 0);
    ByteWriter out{buffer};
    bounded.write_frames(out);
    bounded.on_acked({.id = stream.value, .length = 500, .kind = FrameKind::stream});
    EXPECT_EQ(events_of<Writable>(), 0U);
    bounded.on_acked({.id = stream.value, .value = 500, .length = 500, .kind = FrameKind::stream});
    EXPECT_EQ(events_of<Writable>(), 1U);
    EXPECT_EQ(bounded.write(stream, Bytes(5000)).value(), 1000U);
}

TEST_F(StreamsTest, WhatWaitsToBeSentIsBoundedHoweverMuchMayBeUnacknowledged) {
    Streams bounded{buffers_of(8000, 2000), sent, events};
    const auto stream = *bounded.open(Priority::file);
    EXPECT_EQ(bounded.write(stream, Bytes(5000)).value(), 2000U);
    buffer.assign(900, 0);
    ByteWriter first{buffer};
    bounded.write_frames(first);
    EXPECT_EQ(events_of<Writable>(), 0U) << "more than half of it waits";
    ByteWriter second{buffer};
    bounded.write_frames(second);
    EXPECT_EQ(events_of<Writable>(), 1U) << "without an acknowledgement";
    const auto taken = bounded.write(stream, Bytes(5000)).value();
    EXPECT_GT(taken, 1500U);
    EXPECT_LT(taken, 2000U);
}

TEST_F(StreamsTest, WhatIsUnacknowledgedFillsTheSendBufferHoweverLittleWaits) {
    Streams bounded{buffers_of(3000, 2000), sent, events};
    const auto stream = *bounded.open(Priority::file);
    EXPECT_EQ(bounded.write(stream, Bytes(5000)).value(), 2000U);
    buffer.assign(5000, 0);
    ByteWriter out{buffer};
    bounded.write_frames(out);
    EXPECT_EQ(bounded.write(stream, Bytes(5000)).value(), 1000U);
    ByteWriter rest{buffer};
    bounded.write_frames(rest);
    EXPECT_EQ(events_of<Writable>(), 1U);
    EXPECT_EQ(bounded.write(stream, Bytes(5000)).value(), 0U);
}

TEST_F(StreamsTest, OwnStreamsAreLimitedByThePeer) {
    for (std::uint64_t i = 0; i < kInitialStreams; ++i) {
        EXPECT_EQ(streams.open(Priority::file).value(), StreamId{2 * i});
    }
    EXPECT_EQ(streams.open(Priority::file).error().code, TransportErrc::stream_limit);
    EXPECT_TRUE(streams.handle(MaxStreamsFrame{kInitialStreams + 1}));
    EXPECT_TRUE(streams.open(Priority::file));
    EXPECT_FALSE(streams.handle(MaxStreamsFrame{kMaxVarint}));
}

}  // namespace
}  // namespace pinhole::transport
