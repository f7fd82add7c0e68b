#include "tests/sim/nat_pair.hpp"

#include <cstdlib>
#include <utility>

#include <fmt/format.h>

namespace pinhole::sim {

namespace {

std::optional<lab::NatConfig> config_of(const Side& side, const char* nat, const Conditions& conditions) {
    if (!side) {
        return std::nullopt;
    }
    auto config = nat_config(nat, *side, conditions.unsolicited);
    config.background = conditions.background;
    return config;
}

lab::LinkConfig line_of(const Conditions& conditions, Rng& rng) {
    auto line = access_line(rng, conditions.loss);
    if (conditions.delay) {
        line.delay = *conditions.delay / 2;
        line.jitter = *conditions.delay / 20;
    }
    return line;
}

lab::Topology pair_topology(const std::optional<lab::NatConfig>& a, const std::optional<lab::NatConfig>& b,
                            const Conditions& conditions, Rng& rng) {
    lab::Topology topology;
    const auto add = [&](const std::optional<lab::NatConfig>& nat, const char* host) {
        const auto line = line_of(conditions, rng);
        if (nat) {
            topology.nats.push_back(nat_node(*nat, line));
            topology.hosts.push_back(host_node(host, nat->name));
        } else {
            topology.hosts.push_back(host_node(host, lab::kInternet, line));
        }
    };
    add(a, "alice");
    add(b, "bob");
    topology.hosts.push_back(server_node({.delay = 5ms}, 1));
    return topology;
}

}  // namespace

std::string text(const Side& side) {
    return side ? side->text() : "public";
}

std::string text(const Conditions& conditions) {
    const char* unsolicited = conditions.unsolicited == Unsolicited::drop     ? "Drop"
                              : conditions.unsolicited == Unsolicited::reject ? "Reject"
                                                                              : "Clash";
    return fmt::format("{}{:.0f}OthersPerSecond{:.0f}PercentLoss", unsolicited, conditions.background,
                       100 * conditions.loss) +
           (conditions.delay ? fmt::format("{:.0f}Milliseconds", 1e3 * seconds(*conditions.delay)) : "");
}

std::vector<Conditions> all_conditions() {
    std::vector<Conditions> all;
    for (const Duration delay : {20ms, 150ms}) {
        for (const double loss : {0.0, 0.05}) {
            for (const double background : {0, 20, 100}) {
                for (const auto unsolicited : {Unsolicited::drop, Unsolicited::reject, Unsolicited::clash}) {
                    all.push_back({.unsolicited = unsolicited, .loss = loss, .background = background, .delay = delay});
                }
            }
        }
    }
    return all;
}

std::vector<Conditions> conditions_or(std::vector<Conditions> usual) {
    const bool all = std::getenv("PINHOLE_ALL_CONDITIONS") != nullptr;  // NOLINT(concurrency-mt-unsafe): one thread
    return all ? all_conditions() : std::move(usual);
}

Verdict run_pair(const Side& a, const Side& b, const Conditions& conditions, std::uint64_t seed) {
    SeededRng rng{seed};
    const auto first = config_of(a, "na", conditions);
    const auto second = config_of(b, "nb", conditions);
    ConnectWorld world{pair_topology(first, second, conditions, rng), rng.u64()};
    if (!world.log_in()) {
        return {.why = "not online; "};
    }
    world.report(first, second);
    auto verdict = world.connect();
    // What the application was told must be where the data really went.
    const auto outside = b ? world.world.network().nat("nb").external().front() : world.bob.local().address;
    if (verdict.outcome == Outcome::direct && verdict.remote.address != outside) {
        verdict.outcome = Outcome::dishonest;
        verdict.why = "path to " + verdict.remote.text() + " instead of " + outside.text() + "; ";
    }
    return verdict;
}

}  // namespace pinhole::sim
