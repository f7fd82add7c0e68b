#include "tests/sim/world.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace pinhole::sim {

namespace {

lab::Topology resolved(lab::Topology topology, std::uint64_t seed) {
    topology.seed = seed;
    if (const auto status = lab::resolve(topology); !status) {
        throw std::invalid_argument(status.error().message());
    }
    return topology;
}

}  // namespace

World::World(lab::Topology topology, std::uint64_t seed)
    : rng_(seed ^ 0x776f726c64), network_(resolved(std::move(topology), seed)) {
    for (std::size_t i = 0; i < network_.hosts(); ++i) {
        const lab::HostId id{i};
        const auto& node = network_.node(id);
        hosts_.push_back(std::make_unique<Host>(node.name, node.addresses, draw_seed(),
                                                [this, id](lab::Packet packet) { send(id, std::move(packet)); }));
    }
}

Host& World::host(std::string_view name) {
    return *hosts_.at(network_.host(name).value);
}

void World::after(Duration delay, std::function<void()> action) {
    actions_.emplace(now_ + delay, std::move(action));
}

net::Address World::move(std::string_view host, std::string_view behind) {
    const auto id = network_.host(host);
    const auto address = network_.move(id, behind, now_);
    hosts_.at(id.value)->set_addresses(network_.node(id).addresses);
    return address;
}

bool World::run(const std::function<bool()>& done, Duration limit) {
    const auto end = now_ + limit;
    while (!done()) {
        if (!step(end)) {
            now_ = end;
            return done();
        }
    }
    return true;
}

void World::run_for(Duration time) {
    run([] { return false; }, time);
}

bool World::step(TimePoint limit) {
    auto next = network_.next_timeout();
    for (const auto& host : hosts_) {
        next = earliest(next, host->next_timeout());
    }
    for (const auto* program : programs_) {
        next = earliest(next, program->next_timeout());
    }
    if (!actions_.empty()) {
        next = earliest(next, actions_.begin()->first);
    }
    if (!next || *next > limit) {
        return false;
    }
    ++steps_;
    now_ = std::max(now_, *next);
    const auto due = [this](std::optional<TimePoint> when) { return when && *when <= now_; };
    while (auto delivery = network_.poll(now_)) {
        hosts_.at(delivery->to.value)->handle_packet(std::move(delivery->packet), now_);
    }
    for (const auto& host : hosts_) {
        if (due(host->next_timeout())) {
            host->handle_timeout(now_);
        }
    }
    for (std::size_t i = 0; i < programs_.size(); ++i) {
        if (due(programs_[i]->next_timeout())) {
            programs_[i]->handle_timeout(now_);
        }
    }
    while (!actions_.empty() && actions_.begin()->first <= now_) {
        const auto action = std::move(actions_.begin()->second);
        actions_.erase(actions_.begin());
        action();
    }
    return true;
}

void World::send(lab::HostId from, lab::Packet packet) {
    note(from, packet);
    if (!wiretap || wiretap(*hosts_.at(from.value), packet)) {
        network_.send(from, std::move(packet), now_);
    }
}

void World::note(lab::HostId from, const lab::Packet& packet) {
    const auto mix = [this](std::uint64_t value) { trace_ = (trace_ ^ value) * 0x100000001b3; };
    mix(static_cast<std::uint64_t>(elapsed().count()));
    mix(from.value);
    mix(packet.flow.source.port);
    mix(packet.flow.destination.port);
    for (const auto byte : packet.payload) {
        mix(byte);
    }
    ++packets_;
}

}  // namespace pinhole::sim
