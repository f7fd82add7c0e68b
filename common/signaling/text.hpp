// Texts in signaling messages: what may be shown and logged as it is.
#pragma once

#include "common/base/encoding.hpp"

#include <cstddef>
#include <string>

namespace pinhole::signaling {

inline constexpr std::size_t kMaxText = 64;

/// `printable` changes control characters and malformed UTF-8: what it leaves as it is can be shown and logged.
[[nodiscard]] inline bool is_text(const std::string& text, std::size_t max = kMaxText) {
    return text.size() <= max && printable(text) == text;
}

}  // namespace pinhole::signaling
