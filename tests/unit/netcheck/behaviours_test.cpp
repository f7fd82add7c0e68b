// Netcheck behind every kind of NAT that the lab's model knows, against our own STUN service.
#include "tests/unit/netcheck/world.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pinhole::netcheck::testing {
namespace {

using lab::Allocation;
using lab::Dependence;
using net::NatBehavior;
using net::NatClass;
using net::PortAllocation;

constexpr std::array kDependences{Dependence::endpoint_independent, Dependence::address_dependent,
                                  Dependence::address_and_port_dependent};
constexpr std::array kAllocations{Allocation::preserving, Allocation::sequential, Allocation::block,
                                  Allocation::random};

NatBehavior behavior_of(Dependence dependence) {
    switch (dependence) {
        case Dependence::endpoint_independent:
            return NatBehavior::endpoint_independent;
        case Dependence::address_dependent:
            return NatBehavior::address_dependent;
        case Dependence::address_and_port_dependent:
            break;
    }
    return NatBehavior::address_and_port_dependent;
}

PortAllocation allocation_of(Allocation allocation) {
    switch (allocation) {
        case Allocation::preserving:
            return PortAllocation::preserving;
        case Allocation::sequential:
            return PortAllocation::sequential;
        case Allocation::block:
            return PortAllocation::block;
        case Allocation::random:
            break;
    }
    return PortAllocation::random;
}

struct Cell {
    Dependence mapping;
    Dependence filtering;
    Allocation allocation;
};

std::vector<Cell> all_cells() {
    std::vector<Cell> cells;
    for (const auto mapping : kDependences) {
        for (const auto filtering : kDependences) {
            for (const auto allocation : kAllocations) {
                cells.push_back({mapping, filtering, allocation});
            }
        }
    }
    return cells;
}

/// What the outside can see: a NAT that keeps ports shows the same one to everybody.
NatBehavior visible_mapping(const Cell& cell) {
    return cell.allocation == Allocation::preserving ? NatBehavior::endpoint_independent : behavior_of(cell.mapping);
}

lab::NatConfig nat_of(const Cell& cell) {
    lab::NatConfig nat;
    nat.mapping = cell.mapping;
    nat.filtering = cell.filtering;
    nat.allocation = cell.allocation;
    return nat;
}

std::string text(const Cell& cell) {
    return fmt::format("mapping {} filtering {} allocation {}", net::name(behavior_of(cell.mapping)),
                       net::name(behavior_of(cell.filtering)), net::name(allocation_of(cell.allocation)));
}

std::string text(const net::ProtocolReport& report) {
    std::string ports;
    for (const auto port : report.samples) {
        ports += fmt::format(" {}", port);
    }
    return fmt::format("mapping {} filtering {} allocation {} samples{}", net::name(report.mapping),
                       net::name(report.filtering), net::name(report.allocation), ports);
}

/// Seeds in which the verdict was wrong.
std::size_t wrong(const Cell& cell, const lab::LinkConfig& link, std::uint64_t seeds) {
    std::size_t count = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        World world{{.seed = seed, .nats = {nat_of(cell)}, .link = link}};
        const auto& udp = world.run().udp;
        const bool right = udp.open == true && udp.mapping == visible_mapping(cell) &&
                           udp.filtering == behavior_of(cell.filtering) &&
                           udp.allocation == allocation_of(cell.allocation);
        if (!right) {
            ++count;
            ADD_FAILURE_AT(__FILE__, __LINE__) << "seed " << seed << ": " << text(cell) << "\n  found " << text(udp);
        }
    }
    return count;
}

TEST(Behaviours, OfEveryNatAreFoundOnACleanLink) {
    for (const auto& cell : all_cells()) {
        wrong(cell, {.delay = 25ms}, 2);
    }
}

TEST(Behaviours, OfEveryNatAreFoundThroughLossJitterAndReordering) {
    for (const auto& cell : all_cells()) {
        wrong(cell, {.delay = 25ms, .jitter = 10ms, .loss = 0.02, .reorder = 0.02}, 2);
    }
}

WorldConfig behind(const lab::NatConfig& nat) {
    WorldConfig config;
    config.nats = {nat};
    return config;
}

bool noted(const net::NetReport& report, std::string_view words) {
    return std::ranges::any_of(report.notes,
                               [&](const std::string& note) { return note.find(words) != std::string::npos; });
}

TEST(Behaviours, WithoutANatThereIsNone) {
    World world{WorldConfig{}};
    const auto& report = world.run();
    EXPECT_EQ(report.udp.mapping, NatBehavior::none);
    EXPECT_EQ(report.udp.filtering, NatBehavior::none);
    EXPECT_EQ(report.tcp.mapping, NatBehavior::none);
    EXPECT_FALSE(report.udp.hairpin);
    EXPECT_FALSE(report.udp.opening_ttl);
    EXPECT_EQ(report.rtt, 20ms);
    EXPECT_EQ(net::classify(report), NatClass::open);
}

TEST(Behaviours, AFirewallWithoutANatIsAFilterWithoutAMapping) {
    for (const auto filter : kDependences) {
        lab::NatConfig nat;
        nat.ipv6_filtering = filter;
        auto config = behind(nat);
        config.ipv6 = true;
        config.only_ipv6 = true;
        World world{config};
        const auto& report = world.run();
        EXPECT_EQ(report.udp.mapping, NatBehavior::none);
        const bool open = filter == Dependence::endpoint_independent;
        EXPECT_EQ(report.udp.filtering, open ? NatBehavior::none : behavior_of(filter));
        EXPECT_EQ(report.udp.opening_ttl, open ? std::nullopt : std::optional<std::uint8_t>{2});
        EXPECT_EQ(report.ipv6, true);
        EXPECT_EQ(report.reflexive_v6, report.udp.reflexive);
    }
}

TEST(Behaviours, OfSeveralNatsTheStrictestShow) {
    const Cell home{Dependence::endpoint_independent, Dependence::address_and_port_dependent, Allocation::preserving};
    const Cell carrier{Dependence::address_and_port_dependent, Dependence::endpoint_independent, Allocation::random};
    WorldConfig config;
    config.nats = {nat_of(home), nat_of(carrier)};
    World world{config};
    const auto& udp = world.run().udp;
    EXPECT_EQ(udp.mapping, NatBehavior::address_and_port_dependent);
    EXPECT_EQ(udp.filtering, NatBehavior::address_and_port_dependent);
    EXPECT_EQ(udp.allocation, PortAllocation::random);
}

TEST(Behaviours, TheOpeningTtlCountsOurNats) {
    for (std::size_t layers = 1; layers <= 3; ++layers) {
        WorldConfig config;
        config.nats.assign(layers, lab::NatConfig{});
        World world{config};
        EXPECT_EQ(world.run().udp.opening_ttl, static_cast<std::uint8_t>(layers + 1));
    }
}

TEST(Behaviours, NoTtlIsClaimedWhereEveryDestinationSeesAnotherPort) {
    World world{behind(
        nat_of({Dependence::address_and_port_dependent, Dependence::address_and_port_dependent, Allocation::random}))};
    EXPECT_FALSE(world.run().udp.opening_ttl);
    EXPECT_TRUE(noted(world.report(), "smallest TTL"));
}

TEST(Behaviours, HairpinIsSeenAndItsAbsenceToo) {
    for (const bool hairpin : {false, true}) {
        lab::NatConfig nat;
        nat.hairpin = hairpin;
        World world{behind(nat)};
        EXPECT_EQ(world.run().udp.hairpin, hairpin);
    }
}

TEST(Behaviours, OfTcpAreMeasuredApart) {
    lab::NatConfig nat;
    nat.tcp_mapping = Dependence::address_and_port_dependent;
    nat.tcp_allocation = Allocation::sequential;
    World world{behind(nat)};
    const auto& report = world.run();
    EXPECT_EQ(report.udp.mapping, NatBehavior::endpoint_independent);
    EXPECT_EQ(report.udp.allocation, PortAllocation::preserving);
    EXPECT_EQ(report.tcp.open, true);
    EXPECT_EQ(report.tcp.mapping, NatBehavior::address_and_port_dependent);
    EXPECT_EQ(report.tcp.allocation, PortAllocation::sequential);
    EXPECT_EQ(report.tcp.filtering, NatBehavior::unknown);
    EXPECT_TRUE(noted(report, "filtering of TCP was not measured"));
}

TEST(Behaviours, SeveralExternalAddressesAreTold) {
    lab::NatConfig nat;
    nat.pooling = lab::Pooling::arbitrary;
    nat.allocation = Allocation::random;
    auto config = behind(nat);
    config.external_addresses = 3;
    World world{config};
    const auto& report = world.run();
    EXPECT_EQ(report.udp.mapping, NatBehavior::endpoint_independent);
    EXPECT_EQ(report.udp.allocation, PortAllocation::random);
    EXPECT_TRUE(noted(report, "several external addresses"));
}

TEST(Behaviours, OfALinuxRouterAreNotSpoiltByItsClashes) {
    for (const auto filter : {Dependence::address_dependent, Dependence::address_and_port_dependent}) {
        auto nat = nat_of({Dependence::endpoint_independent, filter, Allocation::preserving});
        nat.unsolicited = lab::Unsolicited::clash;
        World world{behind(nat)};
        const auto& udp = world.run().udp;
        EXPECT_EQ(udp.mapping, NatBehavior::endpoint_independent);
        EXPECT_EQ(udp.filtering, behavior_of(filter));
        EXPECT_EQ(udp.allocation, PortAllocation::preserving);
        EXPECT_EQ(udp.opening_ttl, 2);
    }
}

TEST(Behaviours, BlocksOfAllSizesAreFound) {
    for (const std::uint16_t size : std::initializer_list<std::uint16_t>{64, 256, 512, 1024, 2048}) {
        auto nat =
            nat_of({Dependence::address_and_port_dependent, Dependence::address_and_port_dependent, Allocation::block});
        nat.block_size = size;
        World world{behind(nat)};
        const auto& udp = world.run().udp;
        EXPECT_EQ(udp.allocation, PortAllocation::block) << size;
        ASSERT_TRUE(udp.block) << size;
        EXPECT_LT(udp.block->last - udp.block->first, size);
    }
}

TEST(Behaviours, StepsOfAllSizesAreFound) {
    for (const std::int32_t delta : {1, -1, 2, 10, 256, -256}) {
        auto nat =
            nat_of({Dependence::address_and_port_dependent, Dependence::address_dependent, Allocation::sequential});
        nat.delta = delta;
        nat.background = 50;
        World world{behind(nat)};
        const auto& udp = world.run().udp;
        EXPECT_EQ(udp.allocation, PortAllocation::sequential) << delta;
        EXPECT_EQ(udp.delta, delta);
        ASSERT_TRUE(udp.rate);
        EXPECT_NEAR(*udp.rate, 50, 15);
    }
}

TEST(Behaviours, IPv6IsReportedBesideIPv4) {
    auto config = behind({});
    config.ipv6 = true;
    World world{config};
    const auto& report = world.run();
    EXPECT_EQ(report.ipv6, true);
    ASSERT_TRUE(report.reflexive_v6);
    EXPECT_EQ(report.reflexive_v6->address.family(), net::Family::v6);
    EXPECT_EQ(report.udp.reflexive->address.family(), net::Family::v4);
}

}  // namespace
}  // namespace pinhole::netcheck::testing
