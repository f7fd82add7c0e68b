#include "common/crypto/replay_window.hpp"

#include <algorithm>

namespace pinhole::crypto {

bool ReplayWindow::would_accept(std::uint64_t number) const {
    if (!seen_ || number > highest_) {
        return true;
    }
    if (highest_ - number >= kSize) {
        return false;
    }
    const auto word = (*seen_)[number / 64 % kWords];
    return (word >> (number % 64) & 1) == 0;
}

bool ReplayWindow::accept(std::uint64_t number) {
    if (!would_accept(number)) {
        return false;
    }
    if (!seen_) {
        seen_ = std::make_unique<Bitmap>();
    }
    if (number > highest_) {
        const auto from = highest_ / 64;
        const auto fresh = std::min(number / 64 - from, kWords);
        for (std::uint64_t i = 1; i <= fresh; ++i) {
            (*seen_)[(from + i) % kWords] = 0;
        }
        highest_ = number;
    }
    (*seen_)[number / 64 % kWords] |= std::uint64_t{1} << (number % 64);
    return true;
}

}  // namespace pinhole::crypto
