// A NAT on the bench: packets of either side by the text of their endpoints.
#pragma once

#include "tests/lab/model/nat_model.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::lab::testing {

[[nodiscard]] inline net::Endpoint at(std::string_view text) {
    const auto endpoint = net::Endpoint::parse(text);
    EXPECT_TRUE(endpoint) << text;
    return endpoint.value_or(net::Endpoint{});
}

[[nodiscard]] inline net::Address address(std::string_view text) {
    const auto parsed = net::Address::parse(text);
    EXPECT_TRUE(parsed) << text;
    return parsed.value_or(net::Address{});
}

[[nodiscard]] inline Packet packet(Protocol protocol, const net::Endpoint& source, const net::Endpoint& destination,
                                   TcpFlags tcp = {}) {
    Packet result;
    result.flow = {.protocol = protocol, .source = source, .destination = destination};
    result.tcp = tcp;
    result.size = 100;
    return result;
}

inline constexpr const char* kExternal = "198.18.1.2";

class NatBench {
  public:
    explicit NatBench(NatConfig config, std::uint64_t seed = 1, std::vector<net::Address> external = {})
        : rng_(seed),
          nat_(std::move(config), external.empty() ? std::vector{address(kExternal)} : std::move(external), rng_) {}

    NatVerdict send(const net::Endpoint& from, const net::Endpoint& to, Protocol protocol = Protocol::udp,
                    TcpFlags tcp = {}) {
        return nat_.outbound(packet(protocol, from, to, tcp), now);
    }

    NatVerdict receive(const net::Endpoint& from, const net::Endpoint& to, Protocol protocol = Protocol::udp,
                       TcpFlags tcp = {}) {
        return nat_.inbound(packet(protocol, from, to, tcp), now);
    }

    /// The external endpoint of a UDP packet; nullopt if it does not get out.
    std::optional<net::Endpoint> out(std::string_view from, std::string_view to) {
        const auto verdict = send(at(from), at(to));
        return verdict.action == NatVerdict::Action::forward ? std::optional{verdict.flow.source} : std::nullopt;
    }

    /// The internal endpoint that a UDP packet reaches; nullopt if it does not get in.
    std::optional<net::Endpoint> in(std::string_view from, const net::Endpoint& to) {
        const auto verdict = receive(at(from), to);
        return verdict.action == NatVerdict::Action::forward ? std::optional{verdict.flow.destination} : std::nullopt;
    }

    [[nodiscard]] NatModel& nat() { return nat_; }

    TimePoint now{1s};

  private:
    SeededRng rng_;
    NatModel nat_;
};

}  // namespace pinhole::lab::testing
