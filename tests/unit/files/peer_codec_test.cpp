#include "common/signaling/peer_codec.hpp"

#include "common/signaling/peer_frames.hpp"

#include <gtest/gtest.h>

namespace pinhole::signaling {
namespace {

TransferId transfer_id() {
    SeededRng rng{3};
    return TransferId::generate(rng);
}

template <class T>
T round_trip(const T& message) {
    const auto parsed = parse_peer_message(serialize(message));
    EXPECT_TRUE(parsed);
    return std::get<T>(*parsed);
}

TEST(PeerCodec, KeepsEveryFieldOfAnOffer) {
    const TransferOffer offer{.id = transfer_id(),
                              .name = "\xff name",
                              .files = 3,
                              .directories = 2,
                              .bytes = 1ULL << 40,
                              .disk_bytes = 77,
                              .size_known = false};
    const auto back = round_trip(offer);
    EXPECT_EQ(back.id, offer.id);
    EXPECT_EQ(back.name, offer.name);
    EXPECT_EQ(back.files, 3U);
    EXPECT_EQ(back.directories, 2U);
    EXPECT_EQ(back.bytes, 1ULL << 40);
    EXPECT_EQ(back.disk_bytes, 77U);
    EXPECT_FALSE(back.size_known);
}

TEST(PeerCodec, KeepsEveryFieldOfAHeader) {
    const EntryHeader header{.path = {"a", "\xfe\xff", std::string(255, 'x')},
                             .kind = EntryKind::directory,
                             .size = 9,
                             .mode = 0751,
                             .mtime_ns = -5};
    const auto back = round_trip(header);
    EXPECT_EQ(back.path, header.path);
    EXPECT_EQ(back.kind, EntryKind::directory);
    EXPECT_EQ(back.size, 9U);
    EXPECT_TRUE(back.size_known);
    EXPECT_EQ(back.mode, 0751U);
    EXPECT_EQ(back.mtime_ns, -5);
}

TEST(PeerCodec, KeepsTheSmallMessages) {
    EXPECT_EQ(round_trip(ZeroRun{1ULL << 50}).count, 1ULL << 50);
    crypto::Hash32 hash{};
    hash.fill(0xab);
    EXPECT_EQ(round_trip(EntryTrailer{.size = 8, .hash = hash}).hash, hash);
    EXPECT_EQ(round_trip(EntrySkipped{{"a", "b"}, SkipReason::vanished}).reason, SkipReason::vanished);
    EXPECT_EQ(round_trip(TransferRefuse{RefuseReason::busy}).reason, RefuseReason::busy);
    EXPECT_EQ(round_trip(EntryStored{12}).index, 12U);
    EXPECT_EQ(round_trip(TransferAbort{AbortReason::disk_full, "a.bin"}).detail, "a.bin");
    round_trip(TransferAccept{});
    round_trip(TransferEnd{});
    round_trip(TransferStored{});
}

TEST(PeerCodec, CutsAnAbortsDetailToPrintableText) {
    const auto abort = round_trip(TransferAbort{AbortReason::failed, std::string(600, '\xff') + "\x1b[2J"});
    EXPECT_LE(abort.detail.size(), 512U);
    EXPECT_TRUE(is_utf8(abort.detail));
}

TEST(PeerCodec, RefusesValuesThatNoSenderProduces) {
    const auto refuses = [](const PeerMessage& message) { return !parse_peer_message(serialize(message)); };
    EXPECT_TRUE(refuses(EntryHeader{.path = {}}));
    EXPECT_TRUE(refuses(EntryHeader{.path = {"a"}, .mode = 04755}));
    EXPECT_TRUE(refuses(EntryHeader{.path = {"a"}, .kind = static_cast<EntryKind>(9)}));
    EXPECT_TRUE(refuses(EntryHeader{.path = {"a"}, .size = 1ULL << 63}));
    EXPECT_TRUE(refuses(ZeroRun{0}));
    EXPECT_TRUE(refuses(ChatText{.id = {}, .sent_at = {}, .text = ""}));
    EXPECT_FALSE(parse_peer_message(Bytes{}));
    EXPECT_FALSE(parse_peer_message(Bytes{0xff, 0xff, 0xff}));
    EXPECT_FALSE(parse_peer_message(Bytes(limits::kMaxPeerMessage + 1, 0)));
}

TEST(PeerFrames, CutsAStreamIntoFramesUnderAnySplit) {
    Bytes stream = frame(EntryStored{1});
    const auto header = data_frame_header(3);
    stream.insert(stream.end(), header.begin(), header.end());
    stream.insert(stream.end(), {1, 2, 3});
    const auto last = frame(TransferStored{});
    stream.insert(stream.end(), last.begin(), last.end());
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
        SCOPED_TRACE(piece);
        FrameReader reader;
        std::vector<Frame> frames;
        for (ByteView rest{stream}; !rest.empty();) {
            auto part = rest.first(std::min(piece, rest.size()));
            rest = rest.subspan(part.size());
            while (!part.empty()) {
                auto read = reader.read(part);
                ASSERT_TRUE(read);
                if (*read) {
                    frames.push_back(std::move(**read));
                }
            }
        }
        ASSERT_EQ(frames.size(), 3U);
        EXPECT_EQ(std::get<Bytes>(frames[1]), (Bytes{1, 2, 3}));
        EXPECT_EQ(reader.buffered(), 0U);
    }
}

TEST(PeerFrames, RefusesFramesBeyondTheirBoundBeforeTheirBytesCome) {
    const auto refuses = [](Bytes header) {
        FrameReader reader;
        ByteView view{header};
        return !reader.read(view);
    };
    EXPECT_TRUE(refuses({0x00, 0x01, 0x00, 0x01}));
    EXPECT_TRUE(refuses({0x80, 0x04, 0x00, 0x01}));
    EXPECT_TRUE(refuses({0x00, 0x00, 0x00, 0x00}));
    EXPECT_TRUE(refuses({0x80, 0x00, 0x00, 0x00}));
    EXPECT_FALSE(refuses({0x80, 0x04, 0x00, 0x00}));
    EXPECT_FALSE(refuses({0x00, 0x01, 0x00, 0x00}));
}

}  // namespace
}  // namespace pinhole::signaling
