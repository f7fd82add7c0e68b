#include "common/crypto/replay_window.hpp"

#include <algorithm>

namespace pinhole::crypto {

std::uint64_t& ReplayWindow::word(std::uint64_t index) {
    return all_ ? (*all_)[index % kWords] : few_[index % kFewWords];
}

std::uint64_t ReplayWindow::word(std::uint64_t index) const {
    return all_ ? (*all_)[index % kWords] : few_[index % kFewWords];
}

bool ReplayWindow::would_accept(std::uint64_t number) const {
    if (!any_ || number > highest_) {
        return true;
    }
    if (highest_ - number >= kSize || number / 64 < first_) {
        return false;
    }
    return (word(number / 64) >> (number % 64) & 1) == 0;
}

bool ReplayWindow::accept(std::uint64_t number) {
    if (!would_accept(number)) {
        return false;
    }
    if (!all_ && number / 64 >= first_ + kFewWords) {
        grow();
    }
    if (number > highest_) {
        const auto from = highest_ / 64;
        const auto fresh = std::min(number / 64 - from, kWords);
        for (std::uint64_t i = 1; i <= fresh; ++i) {
            word(from + i) = 0;
        }
        highest_ = number;
    }
    any_ = true;
    word(number / 64) |= std::uint64_t{1} << (number % 64);
    return true;
}

void ReplayWindow::grow() {
    auto all = std::make_unique<Bitmap>();
    for (auto index = first_; index < first_ + kFewWords; ++index) {
        (*all)[index % kWords] = few_[index % kFewWords];
    }
    all_ = std::move(all);
}

void ReplayWindow::rest() {
    if (!all_) {
        return;
    }
    // Room for half of the few above the highest, so that a little more does not grow it again at once.
    const auto newest = highest_ / 64;
    first_ = std::max(first_, newest - std::min(newest, kFewWords / 2 - 1));
    std::array<std::uint64_t, kFewWords> few{};
    for (auto index = first_; index <= newest; ++index) {
        few[index % kFewWords] = word(index);
    }
    few_ = few;
    all_.reset();
}

}  // namespace pinhole::crypto
