// Which packet numbers were seen: a bitmap behind the highest one (the algorithm of RFC 6479).
// Asked after authentication only, so that a forged number cannot move the window. One per key and direction.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace pinhole::crypto {

class ReplayWindow {
  public:
    /// 1 Gbit/s of 1400-byte packets reordered by 50 ms is 4465 numbers; the next power of two leaves as much again.
    static constexpr std::uint64_t kSize = 8192;

    /// True if the number is new and inside the window; from then on it is seen.
    [[nodiscard]] bool accept(std::uint64_t number);
    [[nodiscard]] bool would_accept(std::uint64_t number) const;

  private:
    // One word more than the window, so that the oldest word is whole while the newest fills.
    static constexpr std::uint64_t kWords = kSize / 64 + 1;
    using Bitmap = std::array<std::uint64_t, kWords>;

    std::uint64_t highest_ = 0;
    /// Made by the first number: a connection that never received costs no kilobyte.
    std::unique_ptr<Bitmap> seen_;
};

}  // namespace pinhole::crypto
