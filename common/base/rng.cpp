#include "common/base/rng.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace pinhole {

std::uint64_t Rng::u64() {
    std::array<std::uint8_t, 8> bytes{};
    fill(bytes);
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

std::uint32_t Rng::u32() {
    return static_cast<std::uint32_t>(u64());
}

std::uint64_t Rng::below(std::uint64_t bound) {
    // Values under `skip` would make the low remainders likelier; draw again instead.
    const std::uint64_t skip = (0 - bound) % bound;
    std::uint64_t value = u64();
    while (value < skip) {
        value = u64();
    }
    return value % bound;
}

double Rng::unit() {
    return static_cast<double>(u64() >> 11) * 0x1.0p-53;
}

void SeededRng::fill(ByteSpan out) {
    while (!out.empty()) {
        const auto value = next();
        const auto count = std::min(out.size(), sizeof value);
        std::memcpy(out.data(), &value, count);
        out = out.subspan(count);
    }
}

std::uint64_t SeededRng::next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

}  // namespace pinhole
