#include "tests/unit/ice/virtual_network.hpp"

#include "common/base/encoding.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace pinhole::ice::testing {

namespace {

const net::Endpoint kStunServer{.address = net::Address::v4({198, 51, 100, 1}), .port = 3478};

net::Endpoint seen_as(Behaviour behaviour, const net::Endpoint& remote) {
    switch (behaviour) {
        case Behaviour::independent:
            return {};
        case Behaviour::address_dependent:
            return {.address = remote.address, .port = 0};
        case Behaviour::address_and_port_dependent:
            return remote;
    }
    return remote;
}

}  // namespace

net::Endpoint at(const char* text) {
    return *net::Endpoint::parse(text);
}

net::Candidate host_candidate(const net::Endpoint& endpoint, std::uint16_t preference) {
    return {.type = net::CandidateType::host,
            .endpoint = endpoint,
            .base = endpoint,
            .priority = net::candidate_priority(net::CandidateType::host, preference),
            .foundation = "h" + std::to_string(65535 - preference)};
}

std::size_t VirtualNetwork::add(const HostConfig& config, Duration patience) {
    Host host;
    host.config = config;
    host.rng = std::make_unique<SeededRng>(rng_.u64());
    host.agent = std::make_unique<Agent>(
        Config{.role = config.role, .local = Credentials::generate(*host.rng), .patience = patience}, *host.rng);
    // Hosts behind one NAT must not get the same ports.
    host.next_port = static_cast<std::uint16_t>(40000 + 1000 * hosts_.size());
    hosts_.push_back(std::move(host));
    const auto index = hosts_.size() - 1;
    auto& agent = *hosts_[index].agent;
    if (config.base) {
        agent.add_local_candidate(host_candidate(config.address), now_);
    }
    if (config.nat_address) {
        agent.add_local_candidate({.type = net::CandidateType::server_reflexive,
                                   .endpoint = reflexive(index),
                                   .base = config.address,
                                   .priority = net::candidate_priority(net::CandidateType::server_reflexive, 65535),
                                   .foundation = "s"},
                                  now_);
    }
    return index;
}

net::Endpoint VirtualNetwork::reflexive(std::size_t index) {
    auto& host = hosts_[index];
    if (!host.config.nat_address) {
        return host.config.address;
    }
    return {.address = *host.config.nat_address, .port = map(host, kStunServer).port};
}

void VirtualNetwork::exchange_credentials(std::size_t a, std::size_t b) {
    agent(a).set_remote_credentials(agent(b).local_credentials());
    agent(b).set_remote_credentials(agent(a).local_credentials());
}

void VirtualNetwork::offer(std::size_t from, std::size_t to) {
    const auto& config = hosts_[from].config;
    if (config.offer_host) {
        agent(to).add_remote_candidate(host_candidate(config.address), now_);
    }
    if (config.nat_address && config.offer_reflexive) {
        const auto endpoint = reflexive(from);
        agent(to).add_remote_candidate(
            {.type = net::CandidateType::server_reflexive,
             .endpoint = endpoint,
             .base = endpoint,
             .priority = net::candidate_priority(net::CandidateType::server_reflexive, 65535),
             .foundation = "s"},
            now_);
    }
    agent(to).end_of_remote_candidates(now_);
}

void VirtualNetwork::connect(std::size_t a, std::size_t b) {
    exchange_credentials(a, b);
    offer(a, b);
    offer(b, a);
    start(a);
    start(b);
}

void VirtualNetwork::drain(std::size_t index) {
    auto& host = hosts_[index];
    while (auto transmit = host.agent->poll_transmit()) {
        send(index, *std::move(transmit));
    }
    while (auto event = host.agent->poll_event()) {
        host.events.push_back(*std::move(event));
    }
}

VirtualNetwork::Mapping& VirtualNetwork::map(Host& host, const net::Endpoint& destination) {
    auto& mapping = host.mappings[seen_as(host.config.nat.mapping, destination)];
    if (mapping.port == 0) {
        mapping.port = host.next_port++;
    }
    return mapping;
}

void VirtualNetwork::send(std::size_t index, net::Transmit transmit) {
    sent_.push_back({.at = now_, .host = index, .transmit = transmit});
    auto& host = hosts_[index];
    Packet packet{.source = transmit.path.local,
                  .destination = transmit.path.remote,
                  .payload = std::move(transmit.payload),
                  .inside = {}};
    for (std::size_t other = 0; other < hosts_.size(); ++other) {
        // Hosts behind the same NAT share a LAN.
        if (other != index && host.config.nat_address && hosts_[other].config.nat_address == host.config.nat_address &&
            hosts_[other].config.address == packet.destination) {
            packet.inside = other;
        }
    }
    if (host.config.nat_address && !packet.inside) {
        auto& mapping = map(host, packet.destination);
        mapping.allowed.insert(seen_as(host.config.nat.filtering, packet.destination));
        packet.source = {.address = *host.config.nat_address, .port = mapping.port};
    }
    const bool lost = rng_.unit() < link_.loss;
    if (tamper_ && !packet.payload.empty()) {
        auto& byte = packet.payload[rng_.below(packet.payload.size())];
        byte = static_cast<std::uint8_t>(byte ^ (1U << rng_.below(8)));
    }
    if (!lost) {
        const auto jitter = rng_.below(static_cast<std::uint64_t>(link_.jitter.count()) + 1);
        flying_.emplace(now_ + link_.latency + Duration{static_cast<Duration::rep>(jitter)}, std::move(packet));
    }
}

std::optional<std::size_t> VirtualNetwork::receiver(const Packet& packet) {
    for (std::size_t index = 0; index < hosts_.size(); ++index) {
        auto& host = hosts_[index];
        if (packet.inside) {
            return packet.inside;
        }
        if (!host.config.nat_address) {
            if (host.config.address == packet.destination) {
                return index;
            }
            continue;
        }
        if (*host.config.nat_address != packet.destination.address) {
            continue;
        }
        for (const auto& [key, mapping] : host.mappings) {
            if (mapping.port == packet.destination.port &&
                (host.config.nat.filtering == Behaviour::independent ||
                 mapping.allowed.contains(seen_as(host.config.nat.filtering, packet.source)))) {
                return index;
            }
        }
    }
    return std::nullopt;
}

void VirtualNetwork::deliver(const Packet& packet) {
    if (const auto index = receiver(packet)) {
        auto& host = hosts_[*index];
        host.agent->handle_datagram({.local = host.config.address, .remote = packet.source}, packet.payload, now_);
        drain(*index);
    }
}

void VirtualNetwork::inject(std::size_t index, const net::Endpoint& source, const Bytes& payload) {
    auto& host = hosts_[index];
    host.agent->handle_datagram({.local = host.config.address, .remote = source}, payload, now_);
    drain(index);
}

std::optional<TimePoint> VirtualNetwork::next_event() const {
    std::optional<TimePoint> next;
    if (!flying_.empty()) {
        next = flying_.begin()->first;
    }
    for (const auto& host : hosts_) {
        next = earliest(next, host.agent->next_timeout());
    }
    return next;
}

void VirtualNetwork::step() {
    while (!flying_.empty() && flying_.begin()->first <= now_) {
        const auto packet = std::move(flying_.extract(flying_.begin()).mapped());
        deliver(packet);
    }
    for (std::size_t index = 0; index < hosts_.size(); ++index) {
        const auto due = hosts_[index].agent->next_timeout();
        if (due && *due <= now_) {
            hosts_[index].agent->handle_timeout(now_);
        }
        drain(index);
    }
}

void VirtualNetwork::run_until(Duration deadline) {
    const TimePoint end = TimePoint{} + deadline;
    std::size_t stalled = 0;
    for (std::size_t index = 0; index < hosts_.size(); ++index) {
        drain(index);
    }
    while (const auto next = next_event()) {
        if (*next > end) {
            break;
        }
        stalled = *next <= now_ ? stalled + 1 : 0;
        if (stalled > 1000) {
            throw std::runtime_error("an agent asks for a timeout that handle_timeout does not serve");
        }
        now_ = std::max(now_, *next);
        step();
    }
    now_ = std::max(now_, end);
}

bool VirtualNetwork::run_until_selected(Duration deadline) {
    const auto selected = [&](std::size_t index) { return agent(index).selected().has_value(); };
    const auto settled = [&](std::size_t index) { return selected(index) || !all<Failed>(index).empty(); };
    const auto everyone = [&](const auto& predicate) {
        for (std::size_t index = 0; index < hosts_.size(); ++index) {
            if (!predicate(index)) {
                return false;
            }
        }
        return true;
    };
    while (now_ < TimePoint{} + deadline && !everyone(settled)) {
        run_until(now_.time_since_epoch() + 5ms);
    }
    return everyone(selected);
}

std::string VirtualNetwork::trace() const {
    std::string text;
    for (const auto& sent : sent_) {
        text += fmt::format("{} {} {} {} {}\n", sent.at.time_since_epoch().count(), sent.host,
                            sent.transmit.path.local.text(), sent.transmit.path.remote.text(),
                            to_hex(sent.transmit.payload));
    }
    return text;
}

}  // namespace pinhole::ice::testing
