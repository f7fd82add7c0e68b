#include "common/base/rng.hpp"
#include "peer/transport/chunk_store.hpp"

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
    Bytes bytes(size);
    SeededRng{seed}.fill(bytes);
    return bytes;
}

TEST(TransportChunkStore, ReadsBackWhatWasWrittenAtAnyOffset) {
    ChunkPool pool;
    ChunkStore store{pool};
    const auto data = random_bytes(5 * kChunkSize, 1);
    const ByteView view{data};
    // From the back to the front, in pieces that straddle the chunks.
    for (std::size_t end = data.size(); end > 0;) {
        const auto size = std::min<std::size_t>(end, 7'001);
        end -= size;
        store.write(end, view.subspan(end, size));
    }
    Bytes out(data.size());
    store.read(0, out);
    EXPECT_EQ(out, data);
    Bytes part(20'000);
    store.read(12'345, part);
    EXPECT_TRUE(std::ranges::equal(part, view.subspan(12'345, part.size())));
}

TEST(TransportChunkStore, GoesOnBehindWhatWasReleased) {
    ChunkPool pool;
    ChunkStore store{pool};
    const auto data = random_bytes(3 * kChunkSize, 2);
    const ByteView view{data};
    std::uint64_t offset = 0;
    for (int round = 0; round < 20; ++round) {
        store.write(offset, view);
        store.release_below(offset + 2 * kChunkSize + 5);
        Bytes out(1000);
        store.read(offset + 2 * kChunkSize + 5, out);
        EXPECT_TRUE(std::ranges::equal(out, view.subspan(2 * kChunkSize + 5, 1000)));
        offset += data.size();
        store.release_below(offset);
    }
    store.clear(offset + 77);
    store.write(offset + 77, view.first(10));
    Bytes out(10);
    store.read(offset + 77, out);
    EXPECT_TRUE(std::ranges::equal(out, view.first(10)));
}

TEST(TransportChunkStore, JoinsSmallPiecesThatWereHalfReleased) {
    const auto data = random_bytes(3 * kChunkSize, 3);
    const ByteView view{data};
    for (std::size_t begin = 0; begin < 2 * kChunkSize; begin += 501) {
        ChunkPool pool;
        ChunkStore store{pool};
        store.write(begin, view.subspan(begin, 1000));
        store.release_below(begin + 600);
        Bytes alone(400);
        store.read(begin + 600, alone);
        EXPECT_TRUE(std::ranges::equal(alone, view.subspan(begin + 600, 400)));
        store.write(begin + 1000, view.subspan(begin + 1000, 2000));
        Bytes joined(2400);
        store.read(begin + 600, joined);
        EXPECT_TRUE(std::ranges::equal(joined, view.subspan(begin + 600, 2400)));
    }
}

TEST(TransportChunkPool, GivesChunksOutAgain) {
    ChunkPool pool;
    auto chunk = pool.take();
    const auto* address = chunk.get();
    pool.give(std::move(chunk));
    EXPECT_EQ(pool.take().get(), address);
    pool.give(nullptr);
    EXPECT_NE(pool.take(), nullptr);
}

}  // namespace
}  // namespace pinhole::transport
