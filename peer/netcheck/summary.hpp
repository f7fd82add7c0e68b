// A NetReport in plain words for a person: what kind of network this is and who can be reached directly from it.
#pragma once

#include "common/net/net_report.hpp"

#include <string>

namespace pinhole::netcheck {

/// Two or three sentences. Promises only what this build can do.
[[nodiscard]] std::string summarize(const net::NetReport& report);

/// A direct connection over UDP between peers of these classes, with the strategies that this build has. nullopt: it
/// depends on what was not measured.
[[nodiscard]] std::optional<bool> connects(net::NatClass ours, net::NatClass theirs);

}  // namespace pinhole::netcheck
