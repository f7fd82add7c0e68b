#include "tests/sim/nat_pair.hpp"

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

lab::Topology pair_topology(const std::optional<lab::NatConfig>& a, const std::optional<lab::NatConfig>& b, double loss,
                            Rng& rng) {
    lab::Topology topology;
    const auto add = [&](const std::optional<lab::NatConfig>& nat, const char* host) {
        const auto line = access_line(rng, loss);
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

Verdict run_pair(const Side& a, const Side& b, const Conditions& conditions, std::uint64_t seed) {
    SeededRng rng{seed};
    const auto first = config_of(a, "na", conditions);
    const auto second = config_of(b, "nb", conditions);
    ConnectWorld world{pair_topology(first, second, conditions.loss, rng), rng.u64()};
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
