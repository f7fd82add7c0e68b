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
    /// Keeps the newest numbers only and takes older ones for seen: for times when nothing is under way.
    void rest();

  private:
    // One word more than the window, so that the oldest word is whole while the newest fills.
    static constexpr std::uint64_t kWords = kSize / 64 + 1;
    using Bitmap = std::array<std::uint64_t, kWords>;

    static constexpr std::uint64_t kFewWords = 4;

    [[nodiscard]] std::uint64_t& word(std::uint64_t index);
    [[nodiscard]] std::uint64_t word(std::uint64_t index) const;
    void grow();

    bool any_ = false;
    std::uint64_t highest_ = 0;
    /// A word's index; all below is taken for seen.
    std::uint64_t first_ = 0;
    /// The words from first_ on, until a number is beyond them: a connection that says little costs no kilobyte.
    std::array<std::uint64_t, kFewWords> few_{};
    std::unique_ptr<Bitmap> all_;
};

}  // namespace pinhole::crypto
