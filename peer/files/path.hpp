// Names from the other side: whether they may become a path here, and what to call a file whose name is taken.
#pragma once

#include "common/base/error.hpp"

#include <span>
#include <string>
#include <string_view>

namespace pinhole::files {

/// Safe below any folder: each component is 1 to kMaxName bytes, not "." or "..", without '/' and NUL; at most
/// kMaxDepth components and kMaxPath bytes in all. Backslashes and bytes that are not UTF-8 are ordinary. Error:
/// unsafe_name.
[[nodiscard]] Status check_path(std::span<const std::string> components);

/// Joined with '/'.
[[nodiscard]] std::string join_path(std::span<const std::string> components);

/// "name.ext" as "name (2).ext"; `number` 0 is the name itself. The stem is cut, not within a UTF-8 character, so that
/// the result stays within kMaxName bytes.
[[nodiscard]] std::string numbered_name(std::string_view name, unsigned number);

}  // namespace pinhole::files
