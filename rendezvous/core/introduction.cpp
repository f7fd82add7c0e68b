#include "rendezvous/core/introduction.hpp"

#include <algorithm>

namespace pinhole::rendezvous {

namespace {

/// A longer round trip is a side that delays its answers; waiting for it would hold up the other one.
constexpr Duration kMaxRtt = 2s;

Duration one_way(const Standing& standing) {
    return std::min(standing.rtt.value_or(Duration{}), kMaxRtt) / 2;
}

}  // namespace

Introduction introduce(const Standing& caller, const Standing& callee) {
    // Both messages leave at one instant and arrive after half a round trip each: the nearer side waits for the other.
    const auto start = std::max(one_way(caller), one_way(callee));
    return {.caller_delay = start - one_way(caller), .callee_delay = start - one_way(callee)};
}

}  // namespace pinhole::rendezvous
