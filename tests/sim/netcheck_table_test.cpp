// Netcheck against every cell of mapping × filtering × allocation × layers × unsolicited policy at 2 % loss.
// PINHOLE_SEEDS=100 runs 100 seeds of every cell and prints the tables; PINHOLE_SEED=n runs just that one.
#include "tests/sim/nat_kinds.hpp"
#include "tests/sim/nat_truth.hpp"
#include "tests/sim/netcheck_program.hpp"
#include "tests/sim/server_program.hpp"

#include <map>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

enum class Layers : std::uint8_t { one, two, firewall };

struct PortChoice {
    Allocation allocation = Allocation::preserving;
    std::int32_t delta = 1;
    const char* text = "";
};

constexpr std::array kChoices{PortChoice{Allocation::preserving, 1, "preserving"},
                              PortChoice{Allocation::sequential, 1, "sequential +1"},
                              PortChoice{Allocation::sequential, 2, "sequential +2"},
                              PortChoice{Allocation::sequential, -1, "sequential -1"},
                              PortChoice{Allocation::block, 1, "block"},
                              PortChoice{Allocation::random, 1, "random"}};
constexpr std::array kLayers{std::pair{Layers::one, "one NAT"}, std::pair{Layers::two, "two NATs"},
                             std::pair{Layers::firewall, "firewall, NAT"}};
constexpr std::array kPolicies{std::pair{Unsolicited::drop, "drop"}, std::pair{Unsolicited::reject, "reject"},
                               std::pair{Unsolicited::clash, "clash"}};

struct Cell {
    Dependence mapping = Dependence::endpoint_independent;
    Dependence filtering = Dependence::endpoint_independent;
    PortChoice ports;
    Layers layers = Layers::one;
    Unsolicited unsolicited = Unsolicited::drop;

    [[nodiscard]] std::uint64_t number() const {
        const auto digits = {static_cast<int>(mapping), static_cast<int>(filtering), static_cast<int>(ports.allocation),
                             ports.delta + 1,           static_cast<int>(layers),    static_cast<int>(unsolicited)};
        std::uint64_t number = 0;
        for (const auto digit : digits) {
            number = number * 10 + static_cast<std::uint64_t>(digit);
        }
        return number;
    }
};

/// From the inside to the outside.
std::vector<lab::NatConfig> nats_of(const Cell& cell) {
    std::vector<lab::NatConfig> nats;
    if (cell.layers == Layers::two) {
        nats.push_back(nat_config("inner",
                                  {.mapping = Dependence::endpoint_independent,
                                   .allocation = Allocation::random,
                                   .filtering = Dependence::address_dependent},
                                  cell.unsolicited));
    } else if (cell.layers == Layers::firewall) {
        nats.push_back(nat_config("firewall", {}));
    }
    auto outer =
        nat_config("outer", {.mapping = cell.mapping, .allocation = cell.ports.allocation, .filtering = cell.filtering},
                   cell.unsolicited);
    outer.delta = cell.ports.delta;
    nats.push_back(outer);
    return nats;
}

lab::Topology topology_of(const std::vector<lab::NatConfig>& nats, Rng& rng) {
    lab::Topology topology;
    std::string behind = lab::kInternet;
    lab::LinkConfig line;
    line.delay = 1ms * static_cast<int>(20 + rng.below(21));
    line.jitter = 5ms;
    line.loss = 0.02;
    for (auto nat = nats.rbegin(); nat != nats.rend(); ++nat) {
        topology.nats.push_back(nat_node(*nat, line, behind));
        behind = nat->name;
        line = {.delay = 1ms};  // the inner lines are short and whole
    }
    topology.hosts.push_back(host_node("alice", behind));
    topology.hosts.push_back(server_node({.delay = 1ms}));
    return topology;
}

/// What is wrong with one measurement; empty if nothing is.
std::string faults(const net::NetReport& report, const NatTruth& truth) {
    std::string wrong;
    const auto expect = [&](const char* what, auto found, auto right) {
        if (found != right) {
            wrong += fmt::format("{} {} instead of {}; ", what, net::name(found), net::name(right));
        }
    };
    expect("mapping", report.udp.mapping, truth.mapping);
    expect("filtering", report.udp.filtering, truth.filtering);
    expect("allocation", report.udp.allocation, truth.allocation);
    expect("TCP mapping", report.tcp.mapping, truth.mapping);
    if (truth.delta && report.udp.delta != truth.delta) {
        wrong += fmt::format("delta {} instead of {}; ", report.udp.delta.value_or(0), *truth.delta);
    }
    return wrong;
}

std::string measure(const Cell& cell, std::uint64_t seed) {
    SeededRng rng{seed_of(seed, cell.number())};
    const auto nats = nats_of(cell);
    World world{topology_of(nats, rng), rng.u64()};
    ServerProgram server{world, "server"};
    netcheck::Config config;
    config.servers.push_back({.endpoint = server.endpoint(), .second_port = 3479});
    NetcheckProgram netcheck{world, "alice", config};
    world.run([&] { return netcheck.complete_after().has_value(); }, 10s);
    auto wrong = faults(netcheck.report(), truth_of(nats));
    if (!netcheck.first_after() || *netcheck.first_after() >= 1s) {
        wrong += "no first report within 1 s; ";
    }
    if (!netcheck.complete_after() || *netcheck.complete_after() >= 6s) {
        wrong += "not complete within 6 s; ";
    }
    return wrong;
}

struct Score {
    std::uint64_t runs = 0;
    std::uint64_t right = 0;
    std::string example;
};

/// Of the wrong ones the first is kept, with what replays it.
void score(const Cell& cell, std::uint64_t seed, Score& into) {
    ++into.runs;
    const auto wrong = measure(cell, seed);
    if (wrong.empty()) {
        ++into.right;
    } else if (into.example.empty()) {
        into.example = fmt::format("PINHOLE_SEED={}: {}", seed, wrong);
    }
}

class Table : public testing::TestWithParam<std::tuple<std::size_t, std::size_t>> {
  protected:
    [[nodiscard]] static auto layers() { return kLayers[std::get<0>(GetParam())]; }

    [[nodiscard]] static auto policy() { return kPolicies[std::get<1>(GetParam())]; }
};

/// One row of the table: an allocation; nine columns: mapping × filtering.
TEST_P(Table, EveryCellIsMeasuredRight) {
    const auto first = only_seed() != 0 ? only_seed() : 1;
    const auto seeds = only_seed() != 0 ? 1 : seeds_or(3);
    const bool printing = seeds >= 20;
    if (printing) {
        fmt::print("{}, unsolicited packets: {}. Right of {} seeds; mapping/filtering:\n{:>14}", layers().second,
                   policy().second, seeds, "");
        for (const auto* column : {"EI/EI", "EI/AD", "EI/PD", "AD/EI", "AD/AD", "AD/PD", "PD/EI", "PD/AD", "PD/PD"}) {
            fmt::print(" {:>5}", column);
        }
        fmt::print("\n");
    }
    for (const auto& ports : kChoices) {
        std::string row;
        for (const auto mapping : kDependences) {
            for (const auto filtering : kDependences) {
                const Cell cell{.mapping = mapping,
                                .filtering = filtering,
                                .ports = ports,
                                .layers = layers().first,
                                .unsolicited = policy().first};
                Score result;
                for (auto seed = first; seed < first + seeds; ++seed) {
                    score(cell, seed, result);
                }
                row += fmt::format(" {:>5}", result.right);
                EXPECT_GE(result.right + allowed_wrong(result.runs), result.runs)
                    << ports.text << ", mapping " << net::name(behaviour(mapping)) << ", filtering "
                    << net::name(behaviour(filtering)) << ": " << result.right << " of " << result.runs << ", e.g. "
                    << result.example;
            }
        }
        if (printing) {
            fmt::print("{:>14}{}\n", ports.text, row);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Netcheck, Table,
                         testing::Combine(testing::Range<std::size_t>(0, kLayers.size()),
                                          testing::Range<std::size_t>(0, kPolicies.size())));

}  // namespace
}  // namespace pinhole::sim
