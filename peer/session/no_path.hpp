// Why two peers found no path, in one plain sentence. Knows what the server said of both networks and what ICE saw of
// them; Session asks.
#pragma once

#include "common/net/punch_plan.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace pinhole::session {

struct NoPathFacts {
    net::NatClass ours = net::NatClass::unknown;
    net::NatClass theirs = net::NatClass::unknown;
    bool same_nat = false;
    /// Of the other side, of any kind.
    std::size_t remote_candidates = 0;
    std::size_t pairs = 0;
    /// Over TCP, too.
    bool tcp_tried = false;
    /// Packets of the other side came in.
    bool heard_anything = false;
    /// Strategies of the plan that this side was told not to use.
    std::vector<std::string> switched_off;
};

/// Without a full stop, to be put behind "no path to NAME: ".
[[nodiscard]] std::string why_no_path(const NoPathFacts& facts);

}  // namespace pinhole::session
