// BLAKE3 (the hash mode of its specification, 2020): what `b3sum` prints. A tree over chunks of 1 KiB, so that one
// thread computes many chunks side by side in the lanes of its vector registers: several times as fast as any hash that
// goes through the bytes in a row. For files; keys are derived by hash.hpp.
#pragma once

#include "common/base/bytes.hpp"
#include "common/crypto/hash.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace pinhole::crypto {

class Blake3 {
  public:
    static constexpr std::size_t kChunk = 1024;
    /// The eight words that stand for everything below a node of the tree.
    using ChainingValue = std::array<std::uint32_t, 8>;

    /// Costs least in pieces of a power of two of chunks.
    void update(ByteView bytes);
    /// Once, at the end.
    [[nodiscard]] Hash32 finish();

  private:
    void push(const ChainingValue& value, std::uint64_t chunks_before);
    void merge(std::size_t depth);
    void add_subtree(ByteView bytes);

    /// Roots of complete subtrees from left to right, each smaller than the one before; the last two may be alike,
    /// since the topmost node of all is computed differently and nobody knows which one that is before the end. 2^54
    /// chunks are 2^64 bytes.
    std::array<ChainingValue, 56> stack_;
    std::size_t depth_ = 0;
    std::uint64_t chunks_ = 0;
    std::array<std::uint8_t, kChunk> partial_;  ///< the chunk that is not complete, or not known to be followed
    std::size_t partial_size_ = 0;
};

[[nodiscard]] Hash32 blake3(ByteView bytes);

}  // namespace pinhole::crypto
