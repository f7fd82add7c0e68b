#include "common/crypto/blake3_words.hpp"

#include <bit>

#if defined(__x86_64__) || defined(__aarch64__)
#include "common/crypto/blake3_lanes.hpp"
#endif

namespace pinhole::crypto::blake3_detail {

#if defined(__x86_64__)

namespace {

[[gnu::target("avx2")]] std::size_t hash_avx2(const Inputs& inputs, std::size_t first, Blake3::ChainingValue* out) {
    return Lanes<8>::hash_all(inputs, first, out);
}

// As wide as the registers, of which there are 32: state and message fit.
[[gnu::target("avx512f,avx512vl")]] std::size_t hash_avx512(const Inputs& inputs, std::size_t first,
                                                            Blake3::ChainingValue* out) {
    return Lanes<16>::hash_all(inputs, first, out);
}

}  // namespace

std::size_t hash_wide(const Inputs& inputs, Blake3::ChainingValue* out) {
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
    std::size_t done = avx512 ? hash_avx512(inputs, 0, out) : 0;
    done = __builtin_cpu_supports("avx2") ? hash_avx2(inputs, done, out) : done;
    return Lanes<4>::hash_all(inputs, done, out);  // SSE2, which every x86-64 has
}

#elif defined(__aarch64__)

std::size_t hash_wide(const Inputs& inputs, Blake3::ChainingValue* out) {
    return std::endian::native == std::endian::little ? Lanes<4>::hash_all(inputs, 0, out) : 0;  // NEON
}

#else

std::size_t hash_wide(const Inputs&, Blake3::ChainingValue*) {
    return 0;
}

#endif

}  // namespace pinhole::crypto::blake3_detail
