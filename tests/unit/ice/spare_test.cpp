// Two agents with a direct pair and one by a relay between them, on a wire that delivers at once but where it is dead.
#include "common/base/rng.hpp"
#include "peer/ice/agent.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::ice {
namespace {

const net::Endpoint kAlice = *net::Endpoint::parse("198.51.100.1:1000");
const net::Endpoint kRelay = *net::Endpoint::parse("192.0.2.9:4000");
const net::Endpoint kBob = *net::Endpoint::parse("198.51.100.2:2000");

net::Candidate candidate(net::CandidateType type, const net::Endpoint& at) {
    return {.type = type,
            .endpoint = at,
            .base = at,
            .priority = net::candidate_priority(type, 65535),
            .foundation = type == net::CandidateType::host ? "h" : "r"};
}

struct Side {
    Side(Role role, std::uint64_t seed)
        : rng(seed), agent({.role = role, .local = Credentials::generate(rng), .pacing = 5ms}, rng) {}

    template <class T>
    [[nodiscard]] std::vector<net::PathAddresses> paths() const {
        std::vector<net::PathAddresses> found;
        for (const auto& event : events) {
            if (const auto* match = std::get_if<T>(&event)) {
                if constexpr (requires { match->pair; }) {
                    found.push_back(match->pair.path);
                } else {
                    found.push_back(match->path);
                }
            }
        }
        return found;
    }

    SeededRng rng;
    Agent agent;
    std::vector<Event> events;
};

class SpareTest : public testing::Test {
  protected:
    SpareTest() : alice(Role::controlling, 1), bob(Role::controlled, 2) {
        alice.agent.set_remote_credentials(bob.agent.local_credentials());
        bob.agent.set_remote_credentials(alice.agent.local_credentials());
        for (const auto& [type, at] :
             {std::pair{net::CandidateType::host, kAlice}, {net::CandidateType::relayed, kRelay}}) {
            alice.agent.add_local_candidate(candidate(type, at), now);
            bob.agent.add_remote_candidate(candidate(type, at), now);
        }
        const auto bobs = candidate(net::CandidateType::host, kBob);
        bob.agent.add_local_candidate(bobs, now);
        alice.agent.add_remote_candidate(bobs, now);
        alice.agent.start(now);
        bob.agent.start(now);
    }

    void run(Duration time) {
        const auto end = now + time;
        while (now < end) {
            for (bool moved = true; moved;) {
                moved = carry(alice, bob);
                moved = carry(bob, alice) || moved;
            }
            auto next = earliest(alice.agent.next_timeout(), bob.agent.next_timeout());
            now = std::clamp(next.value_or(end), now, end);
            alice.agent.handle_timeout(now);
            bob.agent.handle_timeout(now);
        }
    }

    bool carry(Side& from, Side& to) {
        bool any = false;
        while (const auto sent = from.agent.poll_transmit()) {
            any = true;
            const auto& [local, remote] = std::pair{sent->path.local, sent->path.remote};
            if (!dead.contains(local) && !dead.contains(remote)) {
                to.agent.handle_datagram({.local = remote, .remote = local}, sent->payload, now);
            }
        }
        while (auto event = from.agent.poll_event()) {
            from.events.push_back(*std::move(event));
        }
        return any;
    }

    TimePoint now{1h};
    std::set<net::Endpoint> dead;
    Side alice;
    Side bob;
    const net::PathAddresses direct{.local = kAlice, .remote = kBob};
    const net::PathAddresses relayed{.local = kRelay, .remote = kBob};
};

TEST_F(SpareTest, RelayIsKeptBesidesADirectPairByBothSides) {
    run(1min);
    EXPECT_EQ(alice.paths<Selected>().back(), direct);
    EXPECT_EQ(alice.paths<Spare>(), std::vector{relayed});
    EXPECT_EQ(bob.paths<Spare>(), (std::vector{net::PathAddresses{.local = kBob, .remote = kRelay}}));
    EXPECT_TRUE(alice.paths<SpareLost>().empty()) << "it is kept alive";
}

TEST_F(SpareTest, WithARelayOnEachSideBothKeepThatOfTheControllingSide) {
    const auto other = *net::Endpoint::parse("192.0.2.9:4001");
    bob.agent.add_local_candidate(candidate(net::CandidateType::relayed, other), now);
    alice.agent.add_remote_candidate(candidate(net::CandidateType::relayed, other), now);
    run(10s);
    EXPECT_EQ(alice.paths<Spare>().back(), relayed);
    EXPECT_EQ(bob.paths<Spare>().back(), (net::PathAddresses{.local = kBob, .remote = kRelay}));
}

TEST_F(SpareTest, SpareThatDiesIsToldAndNotUsed) {
    run(10s);
    dead.insert(kRelay);
    run(40s);
    EXPECT_EQ(alice.paths<SpareLost>(), std::vector{relayed});
    EXPECT_EQ(alice.agent.selected()->path, direct);
    EXPECT_TRUE(alice.paths<ConsentLost>().empty());
}

TEST_F(SpareTest, SpareIsSelectedWhenTheSelectedPairDies) {
    run(10s);
    dead.insert(kAlice);
    run(40s);
    EXPECT_EQ(alice.paths<ConsentLost>(), std::vector{direct});
    EXPECT_EQ(alice.paths<Selected>().back(), relayed);
    EXPECT_EQ(bob.paths<Selected>().back(), (net::PathAddresses{.local = kBob, .remote = kRelay}));
    EXPECT_EQ(alice.paths<SpareLost>().back(), relayed) << "it is no spare pair any more";
}

}  // namespace
}  // namespace pinhole::ice
