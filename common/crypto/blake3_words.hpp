// What BLAKE3's parts share: its constants, and a row of inputs to be compressed. blake3.cpp builds the tree,
// blake3_wide.cpp computes many nodes at once.
#pragma once

#include "common/crypto/blake3.hpp"

namespace pinhole::crypto::blake3_detail {

inline constexpr std::uint32_t kBlock = 64;

// §2.2, table 1.
inline constexpr std::array<std::uint32_t, 8> kIv = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// §2.2, table 3.
inline constexpr std::uint32_t kChunkStart = 1;
inline constexpr std::uint32_t kChunkEnd = 2;
inline constexpr std::uint32_t kParent = 4;
inline constexpr std::uint32_t kRoot = 8;

// §2.2, table 2: the words of each round, by the permutation applied again and again.
inline constexpr auto kSchedule = [] {
    constexpr std::array<std::size_t, 16> kPermutation = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
    std::array<std::array<std::size_t, 16>, 7> schedule{};
    for (std::size_t word = 0; word < 16; ++word) {
        schedule[0][word] = word;
    }
    for (std::size_t round = 1; round < 7; ++round) {
        for (std::size_t word = 0; word < 16; ++word) {
            schedule[round][word] = schedule[round - 1][kPermutation[word]];
        }
    }
    return schedule;
}();

/// `count` inputs in a row, each of `blocks` whole blocks: chunks, or parents, which are one block each.
struct Inputs {
    const std::uint8_t* bytes = nullptr;
    std::size_t count = 0;
    std::size_t blocks = 0;
    bool counts = false;        ///< chunks are numbered, parents are not
    std::uint64_t counter = 0;  ///< of the first
    std::uint32_t flags = 0;    ///< of every block

    [[nodiscard]] constexpr std::uint32_t flags_of(std::size_t block) const {
        return flags | (counts && block == 0 ? kChunkStart : 0) | (counts && block + 1 == blocks ? kChunkEnd : 0);
    }
};

/// Computes what fills the machine's vectors and returns how many that were, from the first on.
[[nodiscard]] std::size_t hash_wide(const Inputs& inputs, Blake3::ChainingValue* out);

}  // namespace pinhole::crypto::blake3_detail
