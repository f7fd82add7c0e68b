// A network driven in virtual time: what arrives where, what is dropped and why.
#pragma once

#include "tests/lab/model/network.hpp"
#include "tests/unit/lab/bench.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::lab::testing {

[[nodiscard]] inline NatNode nat_node(std::string name, std::string behind = kInternet, NatConfig config = {}) {
    NatNode node;
    node.nat = std::move(config);
    node.nat.name = std::move(name);
    node.behind = std::move(behind);
    return node;
}

[[nodiscard]] inline HostNode host_node(std::string name, std::string behind = kInternet, LinkConfig link = {}) {
    return {.name = std::move(name), .behind = std::move(behind), .link = {.up = link, .down = link}, .addresses = {}};
}

[[nodiscard]] inline Topology resolved(Topology topology) {
    const auto status = resolve(topology);
    EXPECT_TRUE(status) << status.error().detail;
    return topology;
}

struct Arrival {
    std::string host;
    TimePoint at;
    Packet packet;
};

class NetBench {
  public:
    explicit NetBench(Topology topology) : net(resolved(std::move(topology))) {
        net.on_drop = [this](const Packet&, const char* where, const char* reason) {
            drops.push_back(std::string{where} + ": " + reason);
        };
    }

    [[nodiscard]] net::Endpoint endpoint(std::string_view host, std::uint16_t port,
                                         net::Family family = net::Family::v4) {
        return {.address = net.address(net.host(host), family).value(), .port = port};
    }

    void send(std::string_view host, std::uint16_t port, const net::Endpoint& to, std::uint8_t ttl = 64) {
        auto sent = packet(Protocol::udp, endpoint(host, port, to.address.family()), to);
        sent.ttl = ttl;
        sent.payload = {1, 2, 3};
        net.send(net.host(host), std::move(sent), now);
    }

    /// Everything until nothing is on its way any more.
    std::vector<Arrival> run() {
        std::vector<Arrival> arrivals;
        for (;;) {
            while (auto delivery = net.poll(now)) {
                arrivals.push_back({.host = net.node(delivery->to).name, .at = now, .packet = delivery->packet});
            }
            const auto next = net.next_timeout();
            if (!next) {
                return arrivals;
            }
            EXPECT_GT(*next, now);
            now = std::max(now, *next);
        }
    }

    /// The only arrival, which must be at `host`.
    Packet only(std::string_view host) {
        auto arrivals = run();
        EXPECT_EQ(arrivals.size(), 1U);
        if (arrivals.empty()) {
            return {};
        }
        EXPECT_EQ(arrivals.front().host, host);
        return arrivals.front().packet;
    }

    Network net;
    TimePoint now{1s};
    std::vector<std::string> drops;
};

/// alice behind "inner" behind "home", bob behind "office", and a server.
[[nodiscard]] inline Topology layers(const NatConfig& config = {}) {
    Topology topology;
    topology.nats = {nat_node("home", kInternet, config), nat_node("inner", "home", config),
                     nat_node("office", kInternet, config)};
    topology.hosts = {host_node("alice", "inner"), host_node("anna", "inner"), host_node("bob", "office"),
                      host_node("server")};
    return topology;
}

}  // namespace pinhole::lab::testing
