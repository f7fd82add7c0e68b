// Addresses and sizes that change under a running transfer.
#include "peer/transport/rtt.hpp"
#include "tests/sim/pair.hpp"

#include <array>

#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

constexpr double kMegabit = 125'000;
/// IPv4 and UDP: links count whole packets.
constexpr std::size_t kHeaders = 28;

PairConfig both_ways(Duration delay, double bytes_per_second = 0, std::uint64_t seed = 1) {
    const LinkConfig link{.delay = delay, .bytes_per_second = bytes_per_second};
    return {.to_b = link, .to_a = link, .a = {}, .b = {}, .seed = seed};
}

net::Endpoint endpoint(const char* text) {
    return *net::Endpoint::parse(text);
}

TEST(TransportPaths, MtuIsDiscoveredUpToWhatThePathCarries) {
    for (const auto& [carries, found] : {std::pair{8972U, 8952U},
                                         {8951U, 1472U},
                                         {1472U, 1472U},
                                         {1460U, 1452U},
                                         {1450U, 1400U},
                                         {1399U, 1280U},
                                         {1279U, 1200U}}) {
        auto config = both_ways(20ms);
        config.to_b.mtu = kHeaders + carries;
        Pair pair{config};
        pair.a.send(2'000'000);
        pair.run_for(3s);
        EXPECT_EQ(pair.a.connection.path_stats().mtu, found);
        EXPECT_EQ(pair.a.connection.stats().packets_lost, 0U) << "lost probes are not losses";
        EXPECT_TRUE(pair.b.received(1, 2'000'000));
    }
}

TEST(TransportPaths, MtuBlackHoleIsLeft) {
    Pair pair{both_ways(20ms, 20 * kMegabit)};
    pair.a.send(10'000'000);
    pair.run_for(1s);
    ASSERT_EQ(pair.a.connection.path_stats().mtu, 1472U);
    pair.to_b.config().mtu = kHeaders + 1250;
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 10s));
    EXPECT_EQ(pair.a.connection.path_stats().mtu, 1200U);
    EXPECT_TRUE(pair.b.received(1, 10'000'000));
}

TEST(TransportPaths, SizeRefusedByTheKernelIsNotUsedAgain) {
    Pair pair{both_ways(20ms)};
    pair.a.send(20'000'000);
    pair.run_for(500ms);
    ASSERT_EQ(pair.a.connection.path_stats().mtu, 1472U);
    pair.to_b.config().mtu = kHeaders + 1420;
    pair.a.connection.handle_mtu_exceeded(1472, pair.now());
    EXPECT_EQ(pair.a.connection.path_stats().mtu, 1452U);
    pair.a.connection.handle_mtu_exceeded(1452, pair.now());
    EXPECT_EQ(pair.a.connection.path_stats().mtu, 1400U);
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 10s));
    EXPECT_TRUE(pair.b.received(1, 20'000'000));
}

TEST(TransportPaths, NatRebindingUnderLoadKeepsTheWindow) {
    Pair pair{both_ways(20ms, 20 * kMegabit)};
    pair.a.send(10'000'000);
    pair.run_for(1s);
    pair.rebind(endpoint("198.51.100.1:4999"));
    pair.run_for(300ms);
    ASSERT_EQ(pair.b.count<transport::PathChanged>(), 1U);
    const auto* change = pair.b.last<transport::PathChanged>();
    EXPECT_EQ(change->reason, "peer address changed");
    EXPECT_EQ(change->addresses.remote, endpoint("198.51.100.1:4999"));
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 10s));
    EXPECT_TRUE(pair.b.received(1, 10'000'000));
    EXPECT_LE(seconds(pair.elapsed()), 6.0);
}

TEST(TransportPaths, SenderBehindTheNewAddressIsFollowed) {
    // The second end sends; only acknowledgements come from the address that changes.
    Pair pair{both_ways(20ms, 20 * kMegabit)};
    pair.b.send(10'000'000);
    pair.run_for(1s);
    pair.rebind(endpoint("198.51.100.77:1234"));
    ASSERT_TRUE(pair.run([&] { return pair.b.all_sent(); }, 15s));
    EXPECT_TRUE(pair.a.received(1, 10'000'000));
    EXPECT_EQ(pair.b.count<transport::PathChanged>(), 1U);
}

TEST(TransportPaths, ReceiverWhoseMappingIsGoneMakesItselfHeard) {
    // Who only receives has nothing in flight whose loss would tell; how much it has still to acknowledge is chance.
    for (int i = 0; i < 20; ++i) {
        SCOPED_TRACE(i);
        Pair pair{both_ways(20ms, 20 * kMegabit)};
        pair.b.send(5'000'000);
        pair.run_for(1s + i * 1700us);
        pair.rebind(endpoint("198.51.100.77:1234"));
        pair.run_for(2s);
        EXPECT_EQ(pair.b.count<transport::PathChanged>(), 1U);
        EXPECT_TRUE(pair.run([&] { return pair.b.all_sent(); }, 5s));
    }
}

TEST(TransportPaths, RebindingAgainAndAgainWithLoss) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE(seed);
        auto config = both_ways(20ms, 20 * kMegabit, seed);
        config.to_b.loss = config.to_a.loss = 0.03;
        Pair pair{config};
        pair.a.send(3'000'000);
        pair.b.send(3'000'000);
        for (std::uint16_t port = 5000; port < 5010; ++port) {
            pair.run_for(500ms);
            pair.rebind({.address = Pair::address_a().address, .port = port});
        }
        ASSERT_TRUE(pair.run([&] { return pair.a.all_sent() && pair.b.all_sent(); }, 60s));
        EXPECT_TRUE(pair.b.received(1, 3'000'000));
        EXPECT_TRUE(pair.a.received(1, 3'000'000));
    }
}

class CopiedPacket : public testing::TestWithParam<std::uint64_t> {};

TEST_P(CopiedPacket, FromElsewhereMovesNothingAndIsNotAmplified) {
    Pair pair{both_ways(20ms)};
    pair.run_for(1s);
    const auto attacker = endpoint("192.0.2.66:666");
    std::size_t sent_there = 0;
    Bytes stolen;
    pair.wiretap = [&](bool from_a, ByteView payload) {
        if (from_a && stolen.empty()) {
            stolen = to_bytes(payload);
            return false;  // the attacker is faster than the original
        }
        return true;
    };
    pair.on_batch = [&](bool from_a, const transport::TransmitBatch& batch) {
        sent_there += !from_a && batch.path.remote == attacker ? batch.size : 0;
    };
    pair.a.send(GetParam());
    pair.settle();
    ASSERT_FALSE(stolen.empty());
    const auto size = stolen.size();
    const auto steps = pair.steps();
    pair.inject(std::move(stolen), attacker);
    pair.run_for(10s);
    EXPECT_GT(sent_there, 0U);
    EXPECT_LE(sent_there, 3 * size);
    EXPECT_LE(pair.steps() - steps, 100U) << "the candidate is given up";
    EXPECT_EQ(pair.b.count<transport::PathChanged>(), 0U);
    EXPECT_TRUE(pair.b.received(1, GetParam()));
}

// The packet of one byte is too small for three challenges.
INSTANTIATE_TEST_SUITE_P(TransportPaths, CopiedPacket, testing::Values(1, 300));

TEST(TransportPaths, DataMovesToABetterPathWithoutLoss) {
    Pair pair{both_ways(20ms, 20 * kMegabit)};
    pair.a.send(5'000'000);
    pair.run_for(500ms);
    const auto second = endpoint("203.0.113.2:6000");
    const auto path = pair.a.connection.add_path({.local = Pair::address_a(), .remote = second}, pair.now());
    pair.b.connection.add_path({.local = second, .remote = Pair::address_a()}, pair.now());
    pair.a.connection.use_path(path, "shorter", pair.now());
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 10s));
    EXPECT_TRUE(pair.b.received(1, 5'000'000));
    EXPECT_EQ(pair.a.connection.active_path(), path);
    EXPECT_EQ(pair.a.last<transport::PathChanged>()->reason, "shorter");
}

TEST(TransportPaths, SilentPathIsLeftWithinThreeProbeTimeouts) {
    for (const auto delay : {1ms, 20ms, 150ms}) {
        SCOPED_TRACE(delay.count());
        Pair pair{both_ways(delay, 20 * kMegabit)};
        const auto second = endpoint("203.0.113.2:6000");
        pair.a.connection.add_path({.local = Pair::address_a(), .remote = second}, pair.now());
        pair.b.connection.add_path({.local = second, .remote = Pair::address_a()}, pair.now());
        std::optional<TimePoint> answered;
        std::size_t moved = 0;
        pair.wiretap = [&](bool from_a, ByteView) {
            answered = from_a || pair.dead ? answered : pair.now() + delay;
            return true;
        };
        pair.on_batch = [&](bool from_a, const transport::TransmitBatch& batch) {
            moved += from_a && batch.path.remote == second ? batch.size : 0;
        };
        pair.a.send(50'000'000);
        pair.run_for(3s);
        pair.dead = Pair::address_b();
        // What was on its way still answers, and moves the estimate a little.
        pair.run_for(delay + 1ms);
        const auto stats = pair.a.connection.path_stats();
        const auto timeout = std::max<Duration>(stats.probe_timeout, 80ms);
        ASSERT_TRUE(pair.run([&] { return pair.a.count<transport::PathChanged>() == 1; }, 5s));
        // The timer runs from the last packet (RFC 9002 §6.2.1): what the window still holds goes out after the last
        // answer.
        EXPECT_LE(pair.now() - *answered, 3 * timeout + stats.smoothed_rtt);
        pair.settle();
        EXPECT_GE(moved, 10'000U) << "what was lost goes out again at once";
    }
}

TEST(TransportPaths, SilentPathThatIsTheOnlyOneIsAskedEverMoreSeldom) {
    Pair pair{both_ways(20ms, 20 * kMegabit)};
    pair.a.send(5'000'000);
    pair.run_for(500ms);
    std::vector<TimePoint> probes;
    pair.on_batch = [&](bool from_a, const transport::TransmitBatch&) {
        if (from_a && (probes.empty() || probes.back() < pair.now())) {
            probes.push_back(pair.now());
        }
    };
    pair.to_b.config().up = pair.to_a.config().up = false;
    pair.run_for(500ms);
    probes.clear();
    pair.run_for(9s);
    EXPECT_LE(probes.size(), 7U);
}

TEST(TransportPaths, WhoOnlyReceivesFollowsTheSenderToItsOtherPath) {
    std::size_t followed = 0;
    for (int i = 0; i < 20; ++i) {
        SCOPED_TRACE(i);
        Pair pair{both_ways(20ms, 20 * kMegabit)};
        const auto second = endpoint("203.0.113.2:6000");
        pair.a.connection.add_path({.local = Pair::address_a(), .remote = second}, pair.now());
        pair.b.connection.add_path({.local = second, .remote = Pair::address_a()}, pair.now());
        auto& sender = i % 2 == 0 ? pair.a : pair.b;
        auto& receiver = i % 2 == 0 ? pair.b : pair.a;
        sender.send(5'000'000);
        pair.run_for(500ms + i * 7ms);
        pair.dead = Pair::address_b();
        ASSERT_TRUE(pair.run([&] { return receiver.count<transport::PathChanged>() == 1; }, 2s));
        // Unless something of its own was on its way, that would have to be answered.
        followed += receiver.last<transport::PathChanged>()->reason == "peer uses another path" ? 1 : 0;
        ASSERT_TRUE(pair.run([&] { return sender.all_sent(); }, 10s));
        EXPECT_TRUE(receiver.received(1, 5'000'000));
        EXPECT_EQ(sender.count<transport::PathChanged>(), 1U) << "they agree at once";
        EXPECT_EQ(receiver.count<transport::PathChanged>(), 1U);
    }
    EXPECT_GE(followed, 10U);
}

/// Longest time without a byte for an application, from its first to its last.
struct Gap {
    std::optional<TimePoint> last{};
    Duration longest{};

    void note(TimePoint now) {
        longest = std::max(longest, last ? now - *last : Duration{0});
        last = now;
    }
};

// One of three paths is dead at any time, another one every now and then, and either side may be told to use any: what
// arrives is whole, in order (the pattern shows it), and never waited for longer than it takes to leave two dead paths.
TEST(TransportPaths, SwitchesAtRandomInstantsLoseRepeatAndReorderNothing) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        SCOPED_TRACE(testing::Message() << "PINHOLE_SEED=" << seed);
        SeededRng rng{seed};
        auto config = both_ways(20ms, 10 * kMegabit, seed);
        config.to_b.loss = config.to_a.loss = rng.unit() * 0.03;
        config.to_b.reorder = config.to_a.reorder = rng.unit() * 0.1;
        config.a.idle_timeout = config.b.idle_timeout = 0s;
        Pair pair{config};
        const std::array ends{Pair::address_b(), endpoint("203.0.113.2:6000"), endpoint("203.0.113.3:6000")};
        std::array<transport::PathId, 3> from_a{};
        std::array<transport::PathId, 3> from_b{};
        for (std::size_t i = 0; i < ends.size(); ++i) {
            from_a[i] = pair.a.connection.add_path({.local = Pair::address_a(), .remote = ends[i]}, pair.now());
            from_b[i] = pair.b.connection.add_path({.local = ends[i], .remote = Pair::address_a()}, pair.now());
        }
        std::array<Gap, 2> gaps;
        pair.a.on_read = [&](auto, auto, TimePoint now) { gaps[0].note(now); };
        pair.b.on_read = [&](auto, auto, TimePoint now) { gaps[1].note(now); };
        pair.a.send(4'000'000);
        pair.b.send(4'000'000);
        for (int i = 0; i < 8; ++i) {
            pair.run_for(1ms * static_cast<int>(rng.below(900)));
            const auto to = rng.below(3);
            switch (rng.below(4)) {
                case 0:
                    pair.a.connection.use_path(from_a[to], "test", pair.now());
                    break;
                case 1:
                    pair.b.connection.use_path(from_b[to], "test", pair.now());
                    break;
                default:
                    pair.dead = ends[to];
                    break;
            }
            pair.settle();
        }
        ASSERT_TRUE(pair.run([&] { return pair.a.all_sent() && pair.b.all_sent(); }, 60s));
        EXPECT_TRUE(pair.b.received(1, 4'000'000));
        EXPECT_TRUE(pair.a.received(1, 4'000'000));
        EXPECT_FALSE(pair.number_reused());
        EXPECT_LT(seconds(std::max(gaps[0].longest, gaps[1].longest)), 4.0);
    }
}

TEST(TransportPaths, SilenceOfEveryPathIsToldOnceAndEndsNothingIfNobodySaidSo) {
    auto config = both_ways(20ms, 20 * kMegabit);
    config.a.idle_timeout = config.b.idle_timeout = 0s;
    Pair pair{config};
    pair.a.send(5'000'000);
    pair.run_for(500ms);
    for (std::size_t silence = 1; silence <= 2; ++silence) {
        const auto heard = *pair.a.connection.last_heard();
        pair.to_b.config().up = pair.to_a.config().up = false;
        pair.run_for(15min);
        EXPECT_EQ(pair.a.count<transport::Silent>(), silence);
        EXPECT_LE(*pair.a.connection.last_heard(), heard + 50ms);
        EXPECT_EQ(pair.a.count<transport::Closed>() + pair.b.count<transport::Closed>(), 0U);
        pair.to_b.config().up = pair.to_a.config().up = true;
        pair.run_for(2500ms);
        EXPECT_GT(*pair.a.connection.last_heard(), heard + 15min);
    }
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 20s));
    EXPECT_TRUE(pair.b.received(1, 5'000'000));
}

TEST(TransportPaths, ProbeFindsAPathThatCameBackInOneRoundTrip) {
    auto config = both_ways(20ms, 20 * kMegabit);
    config.a.idle_timeout = config.b.idle_timeout = 0s;
    Pair pair{config};
    pair.a.send(5'000'000);
    pair.run_for(500ms);
    pair.to_b.config().up = pair.to_a.config().up = false;
    pair.run_for(60s);
    pair.to_b.config().up = pair.to_a.config().up = true;
    const auto before = pair.now();
    pair.a.connection.probe(before);
    pair.settle();
    pair.run_for(100ms);
    EXPECT_GE(*pair.a.connection.last_heard(), before);
}

TEST(TransportPaths, RemovedPathGivesItsDataToTheOther) {
    Pair pair{both_ways(20ms, 20 * kMegabit)};
    const auto first = *pair.a.connection.active_path();
    const auto second = endpoint("203.0.113.2:6000");
    pair.a.connection.add_path({.local = Pair::address_a(), .remote = second}, pair.now());
    pair.b.connection.add_path({.local = second, .remote = Pair::address_a()}, pair.now());
    pair.a.send(5'000'000);
    pair.run_for(500ms);
    pair.dead = Pair::address_b();
    pair.a.connection.remove_path(first, pair.now());
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 10s));
    EXPECT_TRUE(pair.b.received(1, 5'000'000));
}

TEST(TransportPaths, WithoutAPathNothingIsSentAndTheRestFollowsWhenOneComes) {
    Pair pair{both_ways(20ms)};
    const auto first = *pair.a.connection.active_path();
    pair.a.send(100'000);
    pair.to_a.config().up = false;
    pair.a.connection.remove_path(first, pair.now());
    pair.run_for(5s);
    EXPECT_FALSE(pair.a.connection.active_path());
    pair.to_a.config().up = true;
    pair.a.connection.add_path({.local = Pair::address_a(), .remote = Pair::address_b()}, pair.now());
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 5s));
    EXPECT_TRUE(pair.b.received(1, 100'000));
}

}  // namespace
}  // namespace pinhole::sim
