// λ, the new mappings per second that others make on a NAT which counts ports up or down: from how far the count moved
// between samples of ours, less what we moved it ourselves. A pure function.
#pragma once

#include "peer/netcheck/allocation.hpp"

namespace pinhole::netcheck {

/// Over a shorter time chance is larger than what is measured.
inline constexpr Duration kMinRateTime = 1s;

/// `marks` in the order in which they were sent: those that are exact and at least `apart` from the last one mark a
/// time and a count. `own` is every mapping that we made, also of other protocols, since many NATs count all in one:
/// whatever lies between two marks is not of others. Intervals in which the count began anew at the other end are left
/// out, so the range need not be known. nullopt if too little is left.
[[nodiscard]] std::optional<double> mapping_rate(std::span<const PortSample> marks, std::span<const PortSample> own,
                                                 std::int32_t delta, Duration apart);

}  // namespace pinhole::netcheck
