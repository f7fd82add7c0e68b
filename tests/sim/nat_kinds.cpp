#include "tests/sim/nat_kinds.hpp"

#include "common/base/rng.hpp"

#include <algorithm>
#include <cstdlib>

namespace pinhole::sim {

namespace {

const char* text(Dependence dependence) {
    switch (dependence) {
        case Dependence::endpoint_independent:
            return "EI";
        case Dependence::address_dependent:
            return "HD";
        case Dependence::address_and_port_dependent:
            return "PD";
    }
    return "?";
}

const char* text(Allocation allocation) {
    switch (allocation) {
        case Allocation::preserving:
            return "PP";
        case Allocation::sequential:
            return "PC";
        case Allocation::block:
            return "BL";
        case Allocation::random:
            return "RD";
    }
    return "?";
}

std::uint64_t number_in(const char* variable, std::uint64_t otherwise) {
    const char* value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): one thread
    return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

}  // namespace

std::string NatKind::text() const {
    return std::string{sim::text(mapping)} + "-" + sim::text(allocation) + "-" + sim::text(filtering);
}

std::vector<NatKind> all_kinds() {
    std::vector<NatKind> kinds;
    for (const auto mapping : kDependences) {
        for (const auto allocation : {Allocation::preserving, Allocation::sequential, Allocation::random}) {
            for (const auto filtering : kDependences) {
                kinds.push_back({.mapping = mapping, .allocation = allocation, .filtering = filtering});
            }
        }
    }
    return kinds;
}

lab::NatConfig nat_config(std::string_view name, const NatKind& kind, Unsolicited unsolicited) {
    lab::NatConfig config;
    config.name = name;
    config.mapping = kind.mapping;
    config.filtering = kind.filtering;
    config.allocation = kind.allocation;
    config.unsolicited = unsolicited;
    return config;
}

lab::LinkPair both_ways(const lab::LinkConfig& link) {
    return {.up = link, .down = link};
}

lab::NatNode nat_node(const lab::NatConfig& config, const lab::LinkConfig& link, std::string_view behind) {
    lab::NatNode node;
    node.nat = config;
    node.behind = behind;
    node.link = both_ways(link);
    return node;
}

lab::HostNode host_node(std::string_view name, std::string_view behind, const lab::LinkConfig& link) {
    lab::HostNode node;
    node.name = name;
    node.behind = behind;
    node.link = both_ways(link);
    return node;
}

lab::HostNode server_node(const lab::LinkConfig& link, std::size_t addresses) {
    auto node = host_node("server", lab::kInternet, link);
    // Of documentation and benchmarking networks that `resolve` assigns nothing from; no two share a /24.
    const std::array known{net::Address::v4({203, 0, 113, 10}), net::Address::v4({192, 0, 2, 10})};
    node.addresses.assign(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(addresses));
    return node;
}

std::uint64_t seeds_or(std::uint64_t usual) {
    return number_in("PINHOLE_SEEDS", usual);
}

std::uint64_t only_seed() {
    return number_in("PINHOLE_SEED", 0);
}

std::uint64_t allowed_wrong(std::uint64_t runs) {
    return runs <= 1 ? 0 : std::max<std::uint64_t>(1, runs / 100);
}

std::uint64_t seed_of(std::uint64_t seed, std::uint64_t world) {
    return SeededRng{seed ^ (world + 1) << 32}.u64();
}

}  // namespace pinhole::sim
