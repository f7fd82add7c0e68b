// λ, the new mappings per second that others make on a NAT which counts ports up or down: from how far the count moved
// between samples of ours, less what we moved it ourselves. A pure function.
#pragma once

#include "peer/netcheck/allocation.hpp"

namespace pinhole::netcheck {

/// Over a shorter time chance is larger than what is measured.
inline constexpr Duration kMinRateTime = 1s;

struct RateEvidence {
    /// In the order in which they were sent. Those that are exact mark a time and a count.
    std::span<const PortSample> marks;
    /// Every mapping that we made, also of other protocols, since many NATs count all in one: what lies between two
    /// marks is not of others.
    std::span<const PortSample> own;
    /// When we may have made mappings that nothing shows; the intervals around these are left out.
    std::span<const TimePoint> disturbances;
};

/// From marks that are at least `apart`. Intervals in which the count began anew at the other end are left out, so the
/// range need not be known. nullopt if too little is left.
[[nodiscard]] std::optional<double> mapping_rate(const RateEvidence& evidence, std::int32_t delta, Duration apart);

}  // namespace pinhole::netcheck
