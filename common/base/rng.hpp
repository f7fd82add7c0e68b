// The source of randomness that cores are constructed with: libsodium in production (crypto/random.hpp),
// seeded in tests, so that a failing run replays exactly.
#pragma once

#include "common/base/bytes.hpp"

#include <cstdint>

namespace pinhole {

class Rng {
  public:
    Rng() = default;
    Rng(const Rng&) = delete;
    Rng& operator=(const Rng&) = delete;
    virtual ~Rng() = default;

    virtual void fill(ByteSpan out) = 0;

    [[nodiscard]] std::uint64_t u64();
    [[nodiscard]] std::uint32_t u32();
    /// Uniform in [0, bound); bound > 0.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound);
    /// Uniform in [0, 1).
    [[nodiscard]] double unit();
};

/// Deterministic from its seed, the same on every platform (SplitMix64). Never for secrets.
class SeededRng final : public Rng {
  public:
    explicit SeededRng(std::uint64_t seed) : state_(seed) {}

    void fill(ByteSpan out) override;

  private:
    std::uint64_t next();

    std::uint64_t state_;
};

}  // namespace pinhole
