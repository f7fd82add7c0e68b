// Reads the topology part of a scenario file (TOML; tests/lab/README.md). Other parts of the file are not looked at.
#pragma once

#include "common/base/error.hpp"
#include "tests/lab/model/topology.hpp"

#include <filesystem>
#include <string_view>

namespace pinhole::lab {

/// Resolved. Errors are whole sentences in `detail`, with the line where there is one: an unknown key, a value of the
/// wrong kind, a name that nothing has.
[[nodiscard]] Result<Topology> parse_topology(std::string_view toml);
[[nodiscard]] Result<Topology> load_topology(const std::filesystem::path& file);

}  // namespace pinhole::lab
