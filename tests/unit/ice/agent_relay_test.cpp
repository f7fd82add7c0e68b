// Relayed pairs are the worst and yet among the first: what they carry does not wait for a better path.
#include "peer/ice/agent.hpp"
#include "tests/unit/ice/virtual_network.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::ice {
namespace {

using testing::at;

constexpr Duration kPacing = 5ms;
const net::Endpoint kHost = at("10.0.0.2:4000");
const net::Endpoint kRelayed = at("198.51.100.1:50000");
const net::Endpoint kRemoteRelayed = at("198.51.100.1:50001");
const net::Endpoint kRemoteReflexive = at("203.0.113.9:7000");

net::Candidate candidate(net::CandidateType type, const net::Endpoint& endpoint) {
    return {.type = type,
            .endpoint = endpoint,
            .base = endpoint,
            .priority = net::candidate_priority(type, 65535),
            .foundation = std::string{net::name(type)} + endpoint.address.text()};
}

/// With more direct pairs than a relayed one should have to wait for.
class RelayedPairs : public ::testing::Test {
  protected:
    RelayedPairs() : agent({.role = Role::controlling, .local = Credentials::generate(rng), .pacing = kPacing}, rng) {
        agent.set_remote_credentials(Credentials::generate(rng));
        agent.add_local_candidate(candidate(net::CandidateType::host, kHost), now);
        for (int i = 0; i < 20; ++i) {
            const net::Endpoint remote{.address = net::Address::v4({10, 1, 0, static_cast<std::uint8_t>(i)}),
                                       .port = 5000};
            agent.add_remote_candidate(candidate(net::CandidateType::host, remote), now);
        }
        agent.add_remote_candidate(candidate(net::CandidateType::server_reflexive, kRemoteReflexive), now);
    }

    /// The paths that were checked within so many slots.
    std::vector<net::PathAddresses> checked_within(int slots) {
        agent.start(now);
        std::vector<net::PathAddresses> checked;
        for (int slot = 0; slot < slots; ++slot) {
            agent.handle_timeout(now);
            while (const auto transmit = agent.poll_transmit()) {
                checked.push_back(transmit->path);
            }
            now += kPacing;
        }
        return checked;
    }

    SeededRng rng{19};
    TimePoint now{};
    Agent agent;
};

TEST_F(RelayedPairs, OneOfEachKindGoesAlongWithTheFirstChecks) {
    agent.add_local_candidate(candidate(net::CandidateType::relayed, kRelayed), now);
    agent.add_remote_candidate(candidate(net::CandidateType::relayed, kRemoteRelayed), now);
    const auto checked = checked_within(3);
    EXPECT_EQ(checked.size(), 6U);
    const auto has = [&](const net::Endpoint& local, const net::Endpoint& remote) {
        return std::ranges::count(checked, net::PathAddresses{.local = local, .remote = remote}) == 1;
    };
    EXPECT_TRUE(has(kHost, kRemoteRelayed));
    EXPECT_TRUE(has(kRelayed, kRemoteRelayed));
    EXPECT_EQ(std::ranges::count(checked, kRelayed, &net::PathAddresses::local), 2);
}

TEST_F(RelayedPairs, WithoutARelayEverySlotHasOneCheck) {
    EXPECT_EQ(checked_within(3).size(), 3U);
}

TEST_F(RelayedPairs, TheRestOfThemComeLast) {
    agent.add_remote_candidate(candidate(net::CandidateType::relayed, kRemoteRelayed), now);
    agent.add_remote_candidate(candidate(net::CandidateType::relayed, at("198.51.100.2:50001")), now);
    const auto checked = checked_within(10);
    EXPECT_EQ(std::ranges::count(checked, at("198.51.100.2:50001"), &net::PathAddresses::remote) +
                  std::ranges::count(checked, kRemoteRelayed, &net::PathAddresses::remote),
              1);
}

}  // namespace
}  // namespace pinhole::ice
