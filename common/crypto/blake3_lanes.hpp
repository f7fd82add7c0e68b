// BLAKE3's compression of many inputs at once: lane i of every vector belongs to input i. Written with the vector types
// that GCC and Clang share, so that each instruction set is one more instantiation. Inlined into functions that are
// compiled for that instruction set (blake3_wide.cpp) and used nowhere else. Little-endian machines only.
#pragma once

#include "common/crypto/blake3_words.hpp"

#include <cstring>
#include <utility>

#define PINHOLE_INLINE [[gnu::always_inline]] inline

namespace pinhole::crypto::blake3_detail {

/// N inputs side by side; N is 4, 8 or 16.
template <std::size_t N>
struct Lanes {
    using Vector [[gnu::vector_size(N * sizeof(std::uint32_t))]] = std::uint32_t;

    // Everything by reference: by value, the registers that carry a vector would depend on the instruction set.
    template <int kCount>
    PINHOLE_INLINE static void rotate_right(Vector& value) {
        value = (value >> kCount) | (value << (32 - kCount));
    }

    /// §2.2, the function G.
    PINHOLE_INLINE static void mix(Vector& a, Vector& b, Vector& c, Vector& d, const Vector& x, const Vector& y) {
        a += b + x;
        d ^= a;
        rotate_right<16>(d);
        c += d;
        b ^= c;
        rotate_right<12>(b);
        a += b + y;
        d ^= a;
        rotate_right<8>(d);
        c += d;
        b ^= c;
        rotate_right<7>(b);
    }

    template <std::size_t kRound>
    PINHOLE_INLINE static void round(Vector (&v)[16], const Vector (&m)[16]) {
        constexpr auto& s = kSchedule[kRound];
        mix(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
        mix(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
        mix(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
        mix(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
        mix(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
        mix(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
        mix(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
        mix(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
    }

    /// One step of a transposition: exchanges the blocks of kStep x kStep words off the diagonal of two rows.
    template <std::size_t kStep, std::size_t... kLane>
    PINHOLE_INLINE static void exchange(Vector& a, Vector& b, std::index_sequence<kLane...>) {
        const Vector low = __builtin_shufflevector(a, b, ((kLane & kStep) == 0 ? kLane : kLane - kStep + N)...);
        b = __builtin_shufflevector(a, b, ((kLane & kStep) == 0 ? kLane + kStep : kLane + N)...);
        a = low;
    }

    template <std::size_t kStep, std::size_t... kRow>
    PINHOLE_INLINE static void transpose_step(Vector* rows, std::index_sequence<kRow...>) {
        ((void)((kRow & kStep) == 0 ? exchange<kStep>(rows[kRow], rows[kRow + kStep], std::make_index_sequence<N>{})
                                    : void()),
         ...);
    }

    /// N rows of N words.
    PINHOLE_INLINE static void transpose(Vector* rows) {
        constexpr auto kRows = std::make_index_sequence<N>{};
        transpose_step<1>(rows, kRows);
        transpose_step<2>(rows, kRows);
        if constexpr (N >= 8) {
            transpose_step<4>(rows, kRows);
        }
        if constexpr (N >= 16) {
            transpose_step<8>(rows, kRows);
        }
    }

    /// Word w of the block of every input in m[w].
    PINHOLE_INLINE static void load(Vector (&m)[16], const std::uint8_t* block, std::size_t stride) {
        for (std::size_t group = 0; group < 16; group += N) {
            for (std::size_t lane = 0; lane < N; ++lane) {
                std::memcpy(&m[group + lane], block + lane * stride + group * sizeof(std::uint32_t), sizeof(Vector));
            }
            transpose(&m[group]);
        }
    }

    PINHOLE_INLINE static void compress(Vector (&h)[8], const Vector (&m)[16], const Vector& low, const Vector& high,
                                        std::uint32_t flags) {
        Vector v[16] = {h[0],
                        h[1],
                        h[2],
                        h[3],
                        h[4],
                        h[5],
                        h[6],
                        h[7],
                        Vector{} + kIv[0],
                        Vector{} + kIv[1],
                        Vector{} + kIv[2],
                        Vector{} + kIv[3],
                        low,
                        high,
                        Vector{} + kBlock,
                        Vector{} + flags};
        round<0>(v, m);
        round<1>(v, m);
        round<2>(v, m);
        round<3>(v, m);
        round<4>(v, m);
        round<5>(v, m);
        round<6>(v, m);
        for (std::size_t i = 0; i < 8; ++i) {
            h[i] = v[i] ^ v[i + 8];
        }
    }

    /// The chaining values of N inputs that lie in a row.
    PINHOLE_INLINE static void hash(const Inputs& inputs, std::size_t first, Blake3::ChainingValue* out) {
        Vector low{};
        Vector high{};
        for (std::size_t lane = 0; lane < N; ++lane) {
            const auto counter = inputs.counts ? inputs.counter + first + lane : 0;
            low[lane] = static_cast<std::uint32_t>(counter);
            high[lane] = static_cast<std::uint32_t>(counter >> 32U);
        }
        Vector h[8] = {Vector{} + kIv[0], Vector{} + kIv[1], Vector{} + kIv[2], Vector{} + kIv[3],
                       Vector{} + kIv[4], Vector{} + kIv[5], Vector{} + kIv[6], Vector{} + kIv[7]};
        const auto stride = inputs.blocks * kBlock;
        const auto* begin = inputs.bytes + first * stride;
        for (std::size_t block = 0; block < inputs.blocks; ++block) {
            Vector m[16];
            load(m, begin + block * kBlock, stride);
            compress(h, m, low, high, inputs.flags_of(block));
        }
        for (std::size_t lane = 0; lane < N; ++lane) {
            for (std::size_t i = 0; i < 8; ++i) {
                out[first + lane][i] = h[i][lane];
            }
        }
    }

    /// As many of the inputs from `first` on as fill all lanes; returns how far it came.
    PINHOLE_INLINE static std::size_t hash_all(const Inputs& inputs, std::size_t first, Blake3::ChainingValue* out) {
        for (; first + N <= inputs.count; first += N) {
            hash(inputs, first, out);
        }
        return first;
    }
};

}  // namespace pinhole::crypto::blake3_detail

#undef PINHOLE_INLINE
