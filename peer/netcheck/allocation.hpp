// How a NAT chooses external ports, judged from samples: a pure function. Several samples, because two ports of a
// random NAT look like a sequence and two of a sequence like a block.
#pragma once

#include "common/base/time.hpp"
#include "common/net/net_report.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pinhole::netcheck {

/// One new mapping.
struct PortSample {
    net::Endpoint external;
    std::uint16_t local_port = 0;
    /// When the packet that made it was sent; certain only if `exact`, otherwise the first of several tries.
    TimePoint sent_at{};
    bool exact = true;
};

struct AllocationVerdict {
    net::PortAllocation kind = net::PortAllocation::unknown;
    /// Of sequential.
    std::optional<std::int32_t> delta{};
    /// Of block: what was seen of it.
    std::optional<net::PortRange> block{};
};

/// `samples` in the order in which they were sent.
[[nodiscard]] AllocationVerdict judge_allocation(std::span<const PortSample> samples);

/// The largest step that divides nearly all of `differences`: strays (a collision, a port skipped) do not hide it.
/// Zero if there is none.
[[nodiscard]] std::int32_t common_step(std::span<const std::int32_t> differences);

/// External addresses in the samples, each once.
[[nodiscard]] std::vector<net::Address> external_addresses(std::span<const PortSample> samples);

}  // namespace pinhole::netcheck
