// The bytes of one stream direction between two moving offsets, in chunks of a fixed size: appending, random access and
// dropping the front cost no copying and, with the pool, no allocation in a steady flow. Holes hold no memory, and a
// stream that says little at a time holds little.
#pragma once

#include "common/base/bytes.hpp"
#include "peer/transport/ring.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace pinhole::transport {

inline constexpr std::size_t kChunkSize = 16U << 10;

using Chunk = std::array<std::uint8_t, kChunkSize>;

/// Chunks in reserve, shared by the streams of a connection.
class ChunkPool {
  public:
    [[nodiscard]] std::unique_ptr<Chunk> take();
    void give(std::unique_ptr<Chunk> chunk);

    /// The flow is over: nothing is kept for the next one.
    void rest() {
        reserve_.clear();
        reserve_.shrink_to_fit();
    }

  private:
    /// 512 KiB: what a flow frees between two acknowledgements.
    static constexpr std::size_t kReserve = 32;

    std::vector<std::unique_ptr<Chunk>> reserve_;
};

class ChunkStore {
  public:
    /// The pool must outlive the store.
    explicit ChunkStore(ChunkPool& pool) : pool_(&pool) {}

    /// `offset` must not lie below the last `release_below`.
    void write(std::uint64_t offset, ByteView bytes);
    /// The range must have been written.
    void read(std::uint64_t offset, ByteSpan out) const;
    void release_below(std::uint64_t offset);
    /// Nothing is kept; writing goes on at `offset` or above.
    void clear(std::uint64_t offset);

    /// Gives back the memory that is not in use.
    void rest() { chunks_.shrink(); }

  private:
    /// A piece that begins where nothing is held and is not longer has room of its own, until something joins it.
    static constexpr std::size_t kSmall = 1024;

    struct Small {
        std::unique_ptr<std::uint8_t[]> bytes;
        std::uint64_t begin = 0;
        std::size_t size = 0;
    };

    void write_chunks(std::uint64_t offset, ByteView bytes);
    void unfold();
    [[nodiscard]] bool write_small(std::uint64_t offset, ByteView bytes);

    ChunkPool* pool_;
    Small small_;
    Ring<std::unique_ptr<Chunk>> chunks_;
    /// Number of the first chunk in the ring: its offset divided by kChunkSize.
    std::uint64_t first_ = 0;
};

}  // namespace pinhole::transport
