// Faults that the paths of a transfer do not survive, so that the peers must find each other again through the server:
// both NATs at once, another uplink behind strict NATs, a server that is away meanwhile, sleep. The bytes arrive whole
// and in order, a stall is said, and who is gone for good is given up.
#include "peer/session/errors.hpp"
#include "tests/sim/connect_world.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

constexpr std::uint64_t kLong = 3'000'000;
constexpr lab::LinkConfig kLine{.delay = 20ms, .loss = 0.01, .bytes_per_second = 250'000};
constexpr NatKind kHome{.filtering = Dependence::address_and_port_dependent};

lab::Topology two_homes(const std::vector<std::string>& more_nats = {}) {
    lab::Topology topology;
    topology.nats.push_back(nat_node(nat_config("na", kHome), kLine));
    topology.nats.push_back(nat_node(nat_config("nb", kHome), kLine));
    for (const auto& name : more_nats) {
        topology.nats.push_back(nat_node(nat_config(name, kHome), kLine));
    }
    topology.hosts = {host_node("alice", "na"), host_node("bob", "nb"), server_node({.delay = 5ms}, 1)};
    return topology;
}

class Survival : public testing::TestWithParam<std::uint64_t> {
  protected:
    void transfer(const lab::Topology& topology = two_homes(), Duration time = 1s) {
        peers = std::make_unique<ConnectWorld>(topology, GetParam(), PeerOptions{.server = {}, .bytes = kLong});
        ASSERT_TRUE(peers->transfer(time));
    }

    void reboot(const char* nat) { peers->world.network().nat(nat).rebind(peers->world.now()); }

    void line(const char* node, bool up) {
        peers->world.network().uplink(node).config().up = up;
        peers->world.network().downlink(node).config().up = up;
    }

    void expect_finish(Duration limit) {
        EXPECT_TRUE(peers->finish(limit)) << history(peers->alice) << history(peers->bob);
        EXPECT_FALSE(peers->alice.corrupted() || peers->bob.corrupted());
        EXPECT_FALSE(peers->alice.ended() || peers->bob.ended());
    }

    [[nodiscard]] static std::size_t stalls(const PeerProgram& peer) {
        return static_cast<std::size_t>(std::ranges::count_if(peer.events(), [](const auto& event) {
            const auto* path = std::get_if<session::PathInUse>(&event);
            return path != nullptr && path->stalled;
        }));
    }

    /// What a user would have seen, for the message of a failure.
    [[nodiscard]] static std::string history(const PeerProgram& peer) {
        auto text = fmt::format("\n{} restarts, server {}", peer.restarts(), peer.online() ? "online" : "lost");
        for (const auto& event : peer.events()) {
            if (const auto* path = std::get_if<session::PathInUse>(&event)) {
                text += fmt::format("\n  {} to {}: {}", path->stalled ? "stalled" : "path",
                                    path->addresses.remote.text(), path->reason);
            } else if (const auto* ended = std::get_if<session::Ended>(&event)) {
                text += "\n  ended: " + ended->error.message();
            }
        }
        return text;
    }

    std::unique_ptr<ConnectWorld> peers;
};

INSTANTIATE_TEST_SUITE_P(Seeds, Survival, testing::Range<std::uint64_t>(1, 21));

/// The longest stall that a user was told of when it was over, in seconds; none: 0.
double longest_stall(const PeerProgram& peer) {
    constexpr std::string_view kOver = "heard again after ";
    double longest = 0;
    for (const auto& event : peer.events()) {
        const auto* path = std::get_if<session::PathInUse>(&event);
        if (path != nullptr && path->reason.starts_with(kOver)) {
            longest = std::max(longest, std::stod(path->reason.substr(kOver.size())));
        }
    }
    return longest;
}

// Their connections to the server are cut off as well, and nobody is told: 2 s until silence shows, as much until the
// doubted connection is given up and another one made, and one restart, whose call waits for the side that logs in
// last.
TEST_P(Survival, BothNatsRebootAndOneRestartIsEnough) {
    transfer();
    reboot("na");
    reboot("nb");
    expect_finish(80s);
    EXPECT_LT(std::max(longest_stall(peers->alice), longest_stall(peers->bob)), 7.0)
        << history(peers->alice) << history(peers->bob);
}

TEST_P(Survival, BothNatsRebootAtOnce) {
    transfer();
    reboot("na");
    reboot("nb");
    expect_finish(80s);
    EXPECT_GE(peers->alice.restarts() + peers->bob.restarts(), 1U);
}

TEST_P(Survival, NatsRebootAgainAndAgain) {
    transfer();
    for (int i = 0; i < 6; ++i) {
        reboot(i % 2 == 0 ? "na" : "nb");
        peers->world.run_for(4s);
    }
    expect_finish(120s);
}

TEST_P(Survival, BothUplinksAreSwitchedAtOnce) {
    transfer(two_homes({"cafe", "train"}));
    peers->world.move("alice", "cafe");
    peers->world.move("bob", "train");
    peers->alice.network_changed();
    peers->bob.network_changed();
    expect_finish(80s);
    EXPECT_EQ(peers->bob.last<session::PathInUse>()->addresses.remote.address,
              peers->world.network().nat("cafe").external().front());
}

TEST_P(Survival, NatsRebootWhileTheServerIsAway) {
    transfer();
    line("server", false);
    peers->world.run_for(500ms);
    reboot("na");
    reboot("nb");
    ASSERT_TRUE(peers->world.run([&] { return stalls(peers->alice) + stalls(peers->bob) > 0; }, 20s));
    peers->world.run_for(60s);
    EXPECT_FALSE(peers->alice.ended() || peers->bob.ended());
    line("server", true);
    expect_finish(150s);
}

TEST_P(Survival, LineIsDownForThreeMinutes) {
    transfer();
    line("na", false);
    peers->world.run_for(3min);
    EXPECT_GT(stalls(peers->alice), 0U);
    EXPECT_GT(stalls(peers->bob), 0U);
    line("na", true);
    expect_finish(120s);
    EXPECT_FALSE(peers->bob.last<session::PathInUse>()->stalled);
    EXPECT_FALSE(peers->alice.last<session::PathInUse>()->stalled);
}

TEST_P(Survival, OneSleepsForTenMinutes) {
    for (const bool sender : {true, false}) {
        transfer();
        auto& sleeper = sender ? peers->alice : peers->bob;
        sleeper.sleep(10min);
        peers->world.run_for(10min - 1s);
        EXPECT_FALSE((sender ? peers->bob : peers->alice).ended());
        // Meanwhile its NAT has forgotten it.
        reboot(sender ? "na" : "nb");
        expect_finish(60s);
    }
}

TEST_P(Survival, BothSleepForTenMinutes) {
    transfer();
    peers->alice.sleep(10min);
    peers->bob.sleep(10min + 20s);
    peers->world.run_for(9min);
    reboot("na");
    reboot("nb");
    peers->world.run_for(1min);
    expect_finish(80s);
}

TEST_P(Survival, WhoIsKilledIsGivenUpWithinThirtyFiveSeconds) {
    transfer();
    peers->bob.die();
    const auto killed = peers->world.now();
    ASSERT_TRUE(peers->world.run([&] { return peers->alice.ended(); }, 35s));
    EXPECT_GE(peers->world.now() - killed, 29s);
    EXPECT_EQ(peers->alice.last<session::Ended>()->error.code, make_error_code(session::Errc::peer_lost));
    EXPECT_GT(stalls(peers->alice), 0U);
}

TEST_P(Survival, WhoDoesNotComeBackIsGivenUpAfterAQuarterOfAnHour) {
    transfer();
    line("na", false);
    peers->world.run_for(14min);
    EXPECT_FALSE(peers->alice.ended() || peers->bob.ended());
    EXPECT_TRUE(peers->world.run([&] { return peers->alice.ended() && peers->bob.ended(); }, 2min));
    EXPECT_LE(stalls(peers->alice), 20U) << "what has not changed is not said again";
}

TEST_P(Survival, WhateverHappensTheBytesArriveWholeAndInOrder) {
    transfer(two_homes({"cafe", "train"}));
    SeededRng rng{GetParam()};
    for (int fault = 0; fault < 6; ++fault) {
        switch (rng.below(6)) {
            case 0:
                reboot(rng.below(2) == 0 ? "na" : "nb");
                break;
            case 1:
                reboot("na");
                reboot("nb");
                break;
            case 2:
                peers->world.move("alice", rng.below(2) == 0 ? "cafe" : "na");
                peers->alice.network_changed();
                break;
            case 3:
                peers->world.move("bob", rng.below(2) == 0 ? "train" : "nb");
                peers->bob.network_changed();
                break;
            case 4:
                (rng.below(2) == 0 ? peers->alice : peers->bob).sleep(1s * (5 + static_cast<int>(rng.below(60))));
                break;
            default:
                line("server", false);
                peers->world.after(1s * (1 + static_cast<int>(rng.below(40))), [this] { line("server", true); });
                break;
        }
        peers->world.run_for(1ms * static_cast<int>(rng.below(8000)));
    }
    expect_finish(240s);
}

}  // namespace
}  // namespace pinhole::sim
