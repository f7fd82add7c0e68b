// When two peers that agreed to talk are started: at one instant. A pure function of what the server knows of both.
#pragma once

#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"

#include <optional>

namespace pinhole::rendezvous {

/// What the server knows of one side.
struct Standing {
    net::Address observed;
    /// To the server and back; nullopt before the first answer to a ping.
    std::optional<Duration> rtt;
};

struct Introduction {
    Duration caller_delay{};
    Duration callee_delay{};
};

[[nodiscard]] Introduction introduce(const Standing& caller, const Standing& callee);

}  // namespace pinhole::rendezvous
