// From the ports that a sequential NAT gave before and after a burst to the ports that the other side is to try. Pure
// arithmetic.
#pragma once

#include "common/base/time.hpp"
#include "common/net/net_report.hpp"
#include "rendezvous/core/planner.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pinhole::rendezvous {

/// Where the burst is: at most `max_ports` ports in at most kMaxScanRanges ranges, ascending; those nearest to the
/// `after` samples if there are more, because the burst came right before them. Empty without samples.
[[nodiscard]] std::vector<net::PortRange> bracket(std::span<const std::uint16_t> before,
                                                  std::span<const std::uint16_t> after, const SequenceModel& model,
                                                  std::uint16_t max_ports);

/// The middle of a burst that begins `delay` after the last of these samples was made; of a block, a port that is free.
/// nullopt: no samples, or not of the block that was measured.
[[nodiscard]] std::optional<std::uint16_t> aim(std::span<const std::uint16_t> before, const SequenceModel& model,
                                               Duration delay);

}  // namespace pinhole::rendezvous
