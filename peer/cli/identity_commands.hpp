// `pinhole id` and `pinhole contacts`: what needs no network.
#pragma once

#include "peer/cli/environment.hpp"

#include <string>

namespace pinhole::cli {

[[nodiscard]] Exit show_id(Environment& environment);

[[nodiscard]] Exit list_contacts(Environment& environment);
[[nodiscard]] Exit add_contact(Environment& environment, const std::string& name, const std::string& id);
[[nodiscard]] Exit remove_contact(Environment& environment, const std::string& name_or_id);
[[nodiscard]] Exit rename_contact(Environment& environment, const std::string& name_or_id, const std::string& name);

}  // namespace pinhole::cli
