#include "rendezvous/core/continuation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace pinhole::rendezvous {

namespace {

// A NAT that counts up and down alike does so within these ports, and goes on at the other end.
constexpr std::int32_t kFirst = 1024;
constexpr std::int32_t kLast = 65535;
constexpr std::int32_t kPorts = kLast - kFirst + 1;
/// Without one of the samples: so long a burst and its answer take.
constexpr double kBurstSeconds = 1;
constexpr std::int32_t kSlack = 8;

std::int32_t wrapped(std::int64_t port) {
    return kFirst + static_cast<std::int32_t>(((port - kFirst) % kPorts + kPorts) % kPorts);
}

/// Counting down is counting up in a mirror.
std::int32_t mirrored(std::int32_t port, bool mirror) {
    return mirror ? kFirst + kLast - port : port;
}

std::int32_t stride_of(const SequenceModel& model) {
    return std::max(1, std::abs(model.delta));
}

/// Ports that may go by during a burst, in steps of the NAT.
std::int32_t burst_length(const SequenceModel& model) {
    return model.sockets + kSlack + static_cast<std::int32_t>(std::min(model.rate, 1e4) * kBurstSeconds);
}

void add(std::vector<net::PortRange>& ranges, std::int32_t first, std::int32_t last, bool mirror) {
    if (first > last) {
        return;
    }
    const auto low = mirrored(mirror ? last : first, mirror);
    const auto high = mirrored(mirror ? first : last, mirror);
    ranges.push_back({.first = static_cast<std::uint16_t>(low), .last = static_cast<std::uint16_t>(high)});
}

/// All ports between: `count` of them below `end`, over the wrap if need be.
void add_contiguous(std::vector<net::PortRange>& ranges, std::int32_t end, std::int32_t count, bool mirror) {
    const auto below = std::min(count, end - kFirst);
    add(ranges, end - below, end - 1, mirror);
    add(ranges, kLast - (count - below) + 1, kLast, mirror);
}

/// Every other port of the NAT's steps below `end`: one that is found is enough.
void add_steps(std::vector<net::PortRange>& ranges, std::int32_t end, std::int32_t steps, std::int32_t stride,
               bool mirror) {
    const std::int32_t skip = std::cmp_greater(steps, net::kMaxScanRanges) ? 2 : 1;
    for (std::int32_t i = 1; i <= steps && ranges.size() < net::kMaxScanRanges; i += skip) {
        const auto port = wrapped(std::int64_t{end} - std::int64_t{i} * stride);
        add(ranges, port, port, mirror);
    }
}

/// A port of the block that no sample has. The block is what was seen of it, so that it may go on a little beyond.
std::optional<std::uint16_t> inside(const net::PortRange& block, std::span<const std::uint16_t> samples) {
    const auto beyond = (block.last - block.first) / 4;
    const auto outside = [&](std::uint16_t port) { return port < block.first - beyond || port > block.last + beyond; };
    if (std::ranges::any_of(samples, outside)) {
        return std::nullopt;
    }
    auto port = static_cast<std::uint16_t>(block.first + (block.last - block.first) / 2);
    while (port < block.last && std::ranges::find(samples, port) != samples.end()) {
        ++port;
    }
    return port;
}

}  // namespace

std::vector<net::PortRange> bracket(std::span<const std::uint16_t> before, std::span<const std::uint16_t> after,
                                    const SequenceModel& model, std::uint16_t max_ports) {
    std::vector<net::PortRange> ranges;
    if (before.empty() && after.empty()) {
        return ranges;
    }
    const bool mirror = model.delta < 0;
    const auto stride = stride_of(model);
    const auto length = static_cast<std::int64_t>(burst_length(model)) * stride;
    const auto usable = [&](std::uint16_t port) { return mirrored(std::max<std::int32_t>(port, kFirst), mirror); };
    // The burst is above `begin` and below `end`, both exclusive.
    const auto begin = before.empty() ? wrapped(usable(after.front()) - length) : usable(before.back());
    const auto end = after.empty() ? wrapped(begin + length) : usable(after.front());
    const auto between = (end - begin + kPorts) % kPorts - 1;
    if (between <= 0) {
        return ranges;
    }
    if (std::min<std::int64_t>(between, std::int64_t{model.sockets} * stride) <= max_ports) {
        add_contiguous(ranges, end, std::min<std::int32_t>(between, max_ports), mirror);
    } else {
        add_steps(ranges, end, between / stride, stride, mirror);
    }
    std::ranges::sort(ranges);
    return ranges;
}

std::optional<std::uint16_t> aim(std::span<const std::uint16_t> before, const SequenceModel& model, Duration delay) {
    if (before.empty()) {
        return std::nullopt;
    }
    if (model.block) {
        return inside(*model.block, before);
    }
    const auto passed = seconds(std::max(delay, Duration{}));
    const auto steps = std::llround(1 + std::min(model.rate * passed, 1e5) + (model.sockets - 1) / 2.0);
    return static_cast<std::uint16_t>(wrapped(before.back() + steps * std::int64_t{model.delta}));
}

}  // namespace pinhole::rendezvous
