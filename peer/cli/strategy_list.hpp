// --only and --without: lists of strategies by the names of the command line's contract.
#pragma once

#include "common/net/punch_plan.hpp"

#include <expected>
#include <string>
#include <vector>

namespace pinhole::cli {

/// What --without LIST excludes. A strategy that this build does not have is not used anyway. The error is a sentence.
[[nodiscard]] std::expected<std::vector<net::Strategy>, std::string> excluded_by(const std::string& list);

/// What --only LIST excludes; an error also for strategies that this build does not have.
[[nodiscard]] std::expected<std::vector<net::Strategy>, std::string> excluded_by_only(const std::string& list);

}  // namespace pinhole::cli
