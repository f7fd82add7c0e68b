// The 27 NAT types that the literature names mapping × allocation × filtering, and the small topologies that tests put
// them into.
#pragma once

#include "tests/lab/model/topology.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pinhole::sim {

using lab::Allocation;
using lab::Dependence;
using lab::Unsolicited;

inline constexpr std::array kDependences{Dependence::endpoint_independent, Dependence::address_dependent,
                                         Dependence::address_and_port_dependent};

struct NatKind {
    Dependence mapping = Dependence::endpoint_independent;
    Allocation allocation = Allocation::preserving;
    Dependence filtering = Dependence::address_and_port_dependent;

    /// "EI-PP-PD": mapping, allocation, filtering.
    [[nodiscard]] std::string text() const;

    friend auto operator<=>(const NatKind&, const NatKind&) = default;
};

/// All of mapping × {preserving, sequential, random} × filtering, in the order of the map in the literature.
[[nodiscard]] std::vector<NatKind> all_kinds();

[[nodiscard]] lab::NatConfig nat_config(std::string_view name, const NatKind& kind,
                                        Unsolicited unsolicited = Unsolicited::drop);

/// Both directions alike.
[[nodiscard]] lab::LinkPair both_ways(const lab::LinkConfig& link);
[[nodiscard]] lab::NatNode nat_node(const lab::NatConfig& config, const lab::LinkConfig& link,
                                    std::string_view behind = lab::kInternet);
[[nodiscard]] lab::HostNode host_node(std::string_view name, std::string_view behind = lab::kInternet,
                                      const lab::LinkConfig& link = {});
/// On the internet, with so many addresses.
[[nodiscard]] lab::HostNode server_node(const lab::LinkConfig& link, std::size_t addresses = 2);

/// PINHOLE_SEEDS, or so many.
[[nodiscard]] std::uint64_t seeds_or(std::uint64_t usual);
/// PINHOLE_SEED: the one seed to run, or 0.
[[nodiscard]] std::uint64_t only_seed();
/// Runs of so many that loss may spoil: 1 of 100, and one of fewer; none when one run is replayed.
[[nodiscard]] std::uint64_t allowed_wrong(std::uint64_t runs);
/// The seed of one of many worlds that a seed stands for, so that they do not all lose the same packets.
[[nodiscard]] std::uint64_t seed_of(std::uint64_t seed, std::uint64_t world);

}  // namespace pinhole::sim
