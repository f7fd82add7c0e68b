// One setting of a link from text, with the keys and values of a topology file: `delay=20ms`, `loss=0.1`,
// `rate=20mbit`, and beyond these `up=false`, `mark=true`, `strip_ecn=true`. For commands and options.
#pragma once

#include "common/base/error.hpp"
#include "tests/lab/model/link.hpp"

#include <string_view>
#include <vector>

namespace pinhole::natbox {

/// Errors are whole sentences in `detail`; then nothing has changed.
[[nodiscard]] Status set_link(lab::LinkConfig& config, std::string_view key, std::string_view value);

/// Every `KEY=VALUE`, or none of them if one is wrong.
[[nodiscard]] Status set_link(lab::LinkConfig& config, const std::vector<std::string_view>& settings);

struct LinkKey {
    std::string_view name;
    /// "a time such as …"
    const char* value;
};

/// For help and options.
[[nodiscard]] std::vector<LinkKey> link_keys();

}  // namespace pinhole::natbox
