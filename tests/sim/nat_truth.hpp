// What a measurement must find, from the settings of the NATs alone: the oracle of the netcheck tests.
#pragma once

#include "common/net/net_report.hpp"
#include "tests/lab/model/nat_model.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace pinhole::sim {

struct NatTruth {
    net::NatBehavior mapping = net::NatBehavior::none;
    net::NatBehavior filtering = net::NatBehavior::none;
    net::PortAllocation allocation = net::PortAllocation::preserving;
    std::optional<std::int32_t> delta;
};

[[nodiscard]] inline net::NatBehavior behaviour(lab::Dependence dependence) {
    // The two enumerations are in the same order, after `unknown` and `none`.
    return static_cast<net::NatBehavior>(static_cast<int>(net::NatBehavior::endpoint_independent) +
                                         static_cast<int>(dependence));
}

/// `layers`: from the inside to the outside. Several NATs show the strictest of each property (RFC 5780 §4.6 in other
/// words); who preserves ports shows one port to everybody, however many mappings it makes; of the allocations the
/// outermost shows that does not preserve.
[[nodiscard]] inline NatTruth truth_of(const std::vector<lab::NatConfig>& layers) {
    NatTruth truth;
    for (const auto& nat : layers) {
        const bool preserving = nat.allocation == lab::Allocation::preserving;
        truth.mapping =
            std::max(truth.mapping, preserving ? net::NatBehavior::endpoint_independent : behaviour(nat.mapping));
        truth.filtering = std::max(truth.filtering, behaviour(nat.filtering));
        if (preserving) {
            continue;
        }
        const bool sequential = nat.allocation == lab::Allocation::sequential;
        truth.allocation = sequential                                 ? net::PortAllocation::sequential
                           : nat.allocation == lab::Allocation::block ? net::PortAllocation::block
                                                                      : net::PortAllocation::random;
        truth.delta = sequential ? std::optional{nat.delta} : std::nullopt;
    }
    return truth;
}

/// What a whole measurement behind one NAT says; nullopt: a public host. `reflexive`: any endpoint of it there, from
/// which the block follows.
[[nodiscard]] inline net::NetReport report_of(const std::optional<lab::NatConfig>& nat,
                                              const std::optional<net::Endpoint>& reflexive) {
    net::NetReport report;
    report.udp.open = true;
    report.udp.reflexive = reflexive;
    if (!nat) {
        report.udp.mapping = net::NatBehavior::none;
        report.udp.filtering = net::NatBehavior::none;
        report.udp.allocation = net::PortAllocation::preserving;
        return report;
    }
    const auto truth = truth_of({*nat});
    report.udp.opening_ttl = 2;
    report.udp.mapping = truth.mapping;
    report.udp.filtering = truth.filtering;
    report.udp.allocation = truth.allocation;
    report.udp.delta = truth.delta;
    if (truth.delta) {
        report.udp.rate = nat->background;
    }
    if (truth.allocation == net::PortAllocation::block && reflexive && nat->block_size > 0) {
        const auto first =
            static_cast<std::uint16_t>(reflexive->port - (reflexive->port - nat->first_port) % nat->block_size);
        report.udp.block = {.first = first, .last = static_cast<std::uint16_t>(first + nat->block_size - 1)};
    }
    return report;
}

}  // namespace pinhole::sim
