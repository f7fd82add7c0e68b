#include "common/crypto/blake3.hpp"

#include "common/crypto/blake3_words.hpp"

#include <algorithm>
#include <bit>
#include <span>

namespace pinhole::crypto {

namespace {

using namespace blake3_detail;
using ChainingValue = Blake3::ChainingValue;

/// Chunks that are handed to hash_wide at once; their chaining values are kept on the stack.
constexpr std::size_t kMaxSubtree = 256;

std::uint32_t load_word(const std::uint8_t* bytes) {
    return std::uint32_t{bytes[0]} | std::uint32_t{bytes[1]} << 8U | std::uint32_t{bytes[2]} << 16U |
           std::uint32_t{bytes[3]} << 24U;
}

void store_word(std::uint32_t word, std::uint8_t* bytes) {
    for (std::size_t i = 0; i < 4; ++i) {
        bytes[i] = static_cast<std::uint8_t>(word >> (8 * i));
    }
}

/// §2.2, the function G.
void mix(std::array<std::uint32_t, 16>& v, const std::array<std::size_t, 4>& at, std::uint32_t x, std::uint32_t y) {
    auto& [a, b, c, d] = at;
    v[a] += v[b] + x;
    v[d] = std::rotr(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = std::rotr(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = std::rotr(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = std::rotr(v[b] ^ v[c], 7);
}

/// One block; the first half of the output, which is all that is needed here.
ChainingValue compress(const ChainingValue& h, ByteView block, std::uint64_t counter, std::uint32_t flags) {
    std::array<std::uint8_t, kBlock> padded{};
    std::ranges::copy(block, padded.begin());
    std::array<std::uint32_t, 16> m{};
    for (std::size_t i = 0; i < m.size(); ++i) {
        m[i] = load_word(padded.data() + 4 * i);
    }
    std::array<std::uint32_t, 16> v{h[0],   h[1],   h[2], h[3],   h[4],
                                    h[5],   h[6],   h[7], kIv[0], kIv[1],
                                    kIv[2], kIv[3], 0,    0,      static_cast<std::uint32_t>(block.size()),
                                    flags};
    v[12] = static_cast<std::uint32_t>(counter);
    v[13] = static_cast<std::uint32_t>(counter >> 32U);
    for (const auto& s : kSchedule) {
        mix(v, {0, 4, 8, 12}, m[s[0]], m[s[1]]);
        mix(v, {1, 5, 9, 13}, m[s[2]], m[s[3]]);
        mix(v, {2, 6, 10, 14}, m[s[4]], m[s[5]]);
        mix(v, {3, 7, 11, 15}, m[s[6]], m[s[7]]);
        mix(v, {0, 5, 10, 15}, m[s[8]], m[s[9]]);
        mix(v, {1, 6, 11, 12}, m[s[10]], m[s[11]]);
        mix(v, {2, 7, 8, 13}, m[s[12]], m[s[13]]);
        mix(v, {3, 4, 9, 14}, m[s[14]], m[s[15]]);
    }
    ChainingValue out;
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = v[i] ^ v[i + 8];
    }
    return out;
}

/// §2.4: the blocks of a chunk in a row. `last` is added to the flags of the last one.
ChainingValue compress_chunk(ByteView chunk, std::uint64_t counter, std::uint32_t last) {
    auto h = kIv;
    std::uint32_t flags = kChunkStart;
    while (chunk.size() > kBlock) {
        h = compress(h, chunk.first(kBlock), counter, flags);
        chunk = chunk.subspan(kBlock);
        flags = 0;
    }
    return compress(h, chunk, counter, flags | kChunkEnd | last);
}

std::array<std::uint8_t, kBlock> children(const ChainingValue& left, const ChainingValue& right) {
    std::array<std::uint8_t, kBlock> bytes{};
    for (std::size_t i = 0; i < left.size(); ++i) {
        store_word(left[i], bytes.data() + 4 * i);
        store_word(right[i], bytes.data() + 4 * (i + left.size()));
    }
    return bytes;
}

/// §2.5.
ChainingValue compress_parent(const ChainingValue& left, const ChainingValue& right, std::uint32_t root) {
    return compress(kIv, children(left, right), 0, kParent | root);
}

void compress_chunks(ByteView bytes, std::uint64_t counter, std::span<ChainingValue> out) {
    const Inputs inputs{.bytes = bytes.data(),
                        .count = out.size(),
                        .blocks = Blake3::kChunk / kBlock,
                        .counts = true,
                        .counter = counter,
                        .flags = 0};
    for (auto i = hash_wide(inputs, out.data()); i < out.size(); ++i) {
        out[i] = compress_chunk(bytes.subspan(i * Blake3::kChunk, Blake3::kChunk), counter + i, 0);
    }
}

/// Pairs become their parents; the first half of `values` is left.
void compress_parents(std::span<ChainingValue> values) {
    std::array<std::uint8_t, kMaxSubtree / 2 * kBlock> bytes;
    const auto parents = values.size() / 2;
    for (std::size_t i = 0; i < parents; ++i) {
        std::ranges::copy(children(values[2 * i], values[2 * i + 1]), bytes.data() + i * kBlock);
    }
    const Inputs inputs{.bytes = bytes.data(), .count = parents, .blocks = 1, .flags = kParent};
    for (auto i = hash_wide(inputs, values.data()); i < parents; ++i) {
        values[i] = compress(kIv, ByteView{bytes}.subspan(i * kBlock, kBlock), 0, kParent);
    }
}

}  // namespace

void Blake3::update(ByteView bytes) {
    if (partial_size_ > 0) {
        const auto take = std::min(kChunk - partial_size_, bytes.size());
        std::ranges::copy(bytes.first(take), partial_.data() + partial_size_);
        partial_size_ += take;
        bytes = bytes.subspan(take);
        if (bytes.empty()) {
            return;
        }
        push(compress_chunk(partial_, chunks_, 0), chunks_);
        ++chunks_;
        partial_size_ = 0;
    }
    while (bytes.size() > kChunk) {
        // The largest complete subtree that begins here.
        auto count = std::min(std::bit_floor(bytes.size() / kChunk), kMaxSubtree);
        while ((chunks_ & (count - 1)) != 0) {
            count /= 2;
        }
        add_subtree(bytes.first(count * kChunk));
        bytes = bytes.subspan(count * kChunk);
    }
    std::ranges::copy(bytes, partial_.data());
    partial_size_ = bytes.size();
}

/// All but the root of it: that one may be the root of the whole tree.
void Blake3::add_subtree(ByteView bytes) {
    std::array<ChainingValue, kMaxSubtree> values;
    auto nodes = std::span{values}.first(bytes.size() / kChunk);
    const auto count = nodes.size();
    compress_chunks(bytes, chunks_, nodes);
    while (nodes.size() > 2) {
        compress_parents(nodes);
        nodes = nodes.first(nodes.size() / 2);
    }
    push(nodes[0], chunks_);
    if (count > 1) {
        push(nodes[1], chunks_ + count / 2);
    }
    chunks_ += count;
}

/// Joins what is complete below: as many subtrees remain as the number of chunks has one bits.
void Blake3::push(const ChainingValue& value, std::uint64_t chunks_before) {
    merge(static_cast<std::size_t>(std::popcount(chunks_before)));
    stack_[depth_++] = value;
}

void Blake3::merge(std::size_t depth) {
    while (depth_ > depth) {
        stack_[depth_ - 2] = compress_parent(stack_[depth_ - 2], stack_[depth_ - 1], 0);
        --depth_;
    }
}

Hash32 Blake3::finish() {
    const auto tail = ByteView{partial_}.first(partial_size_);
    ChainingValue root{};
    if (depth_ == 0) {
        root = compress_chunk(tail, 0, kRoot);
    } else {
        if (!tail.empty()) {
            push(compress_chunk(tail, chunks_, 0), chunks_);
        }
        merge(2);
        root = compress_parent(stack_[0], stack_[1], kRoot);
    }
    Hash32 hash{};
    for (std::size_t i = 0; i < root.size(); ++i) {
        store_word(root[i], hash.data() + 4 * i);
    }
    return hash;
}

Hash32 blake3(ByteView bytes) {
    Blake3 hash;
    hash.update(bytes);
    return hash.finish();
}

}  // namespace pinhole::crypto
