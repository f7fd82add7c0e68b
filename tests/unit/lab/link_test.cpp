// What a link does to packets, by counting many of them.
#include "tests/lab/model/link.hpp"

#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::lab {
namespace {

constexpr TimePoint kStart{1s};

/// The number of a packet is in its payload.
Packet numbered(std::size_t number, std::size_t size = 1000) {
    Packet packet;
    packet.size = size;
    packet.payload = {static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(number >> 8U),
                      static_cast<std::uint8_t>(number >> 16U)};
    return packet;
}

struct Arrival {
    TimePoint at;
    std::size_t number = 0;
};

struct Wire {
    explicit Wire(const LinkConfig& config, std::uint64_t seed = 1) : rng(seed), link(config, rng) {}

    void send(std::size_t count, Duration gap = {}, std::size_t size = 1000) {
        for (std::size_t i = 0; i < count; ++i) {
            (void)link.send(numbered(i, size), kStart + gap * static_cast<Duration::rep>(i));
        }
    }

    std::vector<Arrival> arrivals() {
        std::vector<Arrival> all;
        while (const auto at = link.next_arrival()) {
            EXPECT_FALSE(link.receive(*at - 1ns));
            const auto packet = link.receive(*at);
            EXPECT_TRUE(packet);
            const auto& bytes = packet->payload;
            all.push_back({.at = *at, .number = bytes[0] | std::size_t{bytes[1]} << 8U | std::size_t{bytes[2]} << 16U});
        }
        return all;
    }

    SeededRng rng;
    Link link;
};

bool in_order(const std::vector<Arrival>& arrivals) {
    return std::ranges::is_sorted(arrivals, {}, &Arrival::number);
}

TEST(Link, AnIdealLinkDeliversAtOnce) {
    Wire wire{{}};
    EXPECT_FALSE(wire.link.next_arrival());
    EXPECT_EQ(wire.link.send(numbered(7), kStart), SendOutcome::sent);
    const auto arrivals = wire.arrivals();
    ASSERT_EQ(arrivals.size(), 1U);
    EXPECT_EQ(arrivals[0].at, kStart);
    EXPECT_EQ(arrivals[0].number, 7U);
}

TEST(Link, DelayIsExactAndJitterKeepsTheOrder) {
    Wire wire{{.delay = 50ms, .jitter = 20ms}};
    wire.send(2000, 1ms);
    const auto arrivals = wire.arrivals();
    ASSERT_EQ(arrivals.size(), 2000U);
    EXPECT_TRUE(in_order(arrivals));
    Duration most{};
    for (const auto& arrival : arrivals) {
        const auto took = arrival.at - kStart - 1ms * static_cast<Duration::rep>(arrival.number);
        EXPECT_GE(took, 50ms);
        EXPECT_LT(took, 70ms);
        most = std::max(most, took);
    }
    EXPECT_GT(most, 69ms);
}

TEST(Link, LossIsAsConfigured) {
    for (const auto& [loss, packets] :
         {std::pair{0.01, 20'000}, {0.05, 20'000}, {0.1, 40'000}, {0.3, 20'000}, {0.5, 20'000}}) {
        SeededRng rng{1};
        Link link{{.loss = loss}, rng};
        int arrived = 0;
        for (int i = 0; i < packets; ++i) {
            (void)link.send(numbered(1), kStart);
            arrived += link.receive(kStart) ? 1 : 0;
        }
        EXPECT_NEAR(1 - static_cast<double>(arrived) / packets, loss, 0.01);
        EXPECT_EQ(static_cast<int>(link.dropped()), packets - arrived);
    }
}

TEST(Link, BurstsTakeNeighboursWithThem) {
    Wire wire{{.burst_loss = 0.01, .burst_length = 9}};
    wire.send(40'000);
    const auto arrivals = wire.arrivals();
    std::size_t bursts = 0;
    std::size_t longest = 0;
    for (std::size_t i = 1; i < arrivals.size(); ++i) {
        const auto gap = arrivals[i].number - arrivals[i - 1].number - 1;
        bursts += gap > 0 ? 1 : 0;
        longest = std::max(longest, gap);
    }
    // One to nine, five on average.
    EXPECT_NEAR(static_cast<double>(wire.link.dropped()) / static_cast<double>(bursts), 5, 0.7);
    EXPECT_NEAR(static_cast<double>(bursts), 40'000 * 0.01 / 1.05, 60);
    EXPECT_GE(longest, 9U);
}

TEST(Link, RateSpacesPackets) {
    Wire wire{{.delay = 10ms, .bytes_per_second = 1e6}};
    wire.send(100);
    const auto arrivals = wire.arrivals();
    ASSERT_EQ(arrivals.size(), 100U);
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
        EXPECT_EQ(arrivals[i].at, kStart + 10ms + 1ms * static_cast<Duration::rep>(i + 1));
    }
}

TEST(Link, TheQueueOfARateIsBounded) {
    Wire wire{{.bytes_per_second = 1e6, .queue_bytes = 10'000}};
    wire.send(100);
    EXPECT_EQ(wire.arrivals().size(), 10U);
    EXPECT_EQ(wire.link.dropped(), 90U);
    // Offered twice the rate for long, it delivers the rate.
    Wire busy{{.bytes_per_second = 1e6, .queue_bytes = 10'000}};
    busy.send(4000, 500us);
    EXPECT_NEAR(static_cast<double>(busy.arrivals().size()), 2000, 11);
}

TEST(Link, APacketLargerThanTheQueuePassesAnIdleLine) {
    Wire wire{{.bytes_per_second = 1e6, .queue_bytes = 100}};
    wire.send(3);
    EXPECT_EQ(wire.arrivals().size(), 1U);
}

TEST(Link, ReorderedPacketsAreOvertakenAndOthersAreNot) {
    Wire wire{{.reorder = 0.1, .reorder_delay = 20ms}};
    wire.send(10'000, 1ms);
    const auto arrivals = wire.arrivals();
    ASSERT_EQ(arrivals.size(), 10'000U);
    std::size_t late = 0;
    for (const auto& arrival : arrivals) {
        const auto took = arrival.at - kStart - 1ms * static_cast<Duration::rep>(arrival.number);
        EXPECT_LT(took, 20ms);
        late += took > 0ms ? 1 : 0;
    }
    EXPECT_NEAR(static_cast<double>(late), 1000, 150);
    EXPECT_FALSE(in_order(arrivals));
}

TEST(Link, DuplicatesComeAfterTheirOriginalWhichIsOnTime) {
    Wire wire{{.duplicate = 0.2}};
    wire.send(10'000, 1ms);
    std::vector<int> seen(10'000);
    for (const auto& arrival : wire.arrivals()) {
        if (seen[arrival.number]++ == 0) {
            EXPECT_EQ(arrival.at, kStart + 1ms * static_cast<Duration::rep>(arrival.number));
        }
    }
    EXPECT_NEAR(static_cast<double>(std::ranges::count(seen, 2)), 2000, 200);
    EXPECT_EQ(std::ranges::count(seen, 0), 0);
}

TEST(Link, CorruptionFlipsOneByte) {
    Wire wire{{.corrupt = 1}};
    Packet packet;
    packet.payload.assign(100, 0x55);
    packet.size = 128;
    (void)wire.link.send(packet, kStart);
    const auto arrived = wire.link.receive(kStart);
    ASSERT_TRUE(arrived);
    EXPECT_EQ(std::ranges::count(arrived->payload, 0x55), 99);
}

TEST(Link, MtuIsOfTheWholePacket) {
    Wire wire{{.mtu = 1280}};
    EXPECT_EQ(wire.link.send(numbered(1, 1280), kStart), SendOutcome::sent);
    EXPECT_EQ(wire.link.send(numbered(2, 1281), kStart), SendOutcome::too_big);
    EXPECT_EQ(wire.arrivals().size(), 1U);
}

TEST(Link, EcnIsStrippedOrMarked) {
    const auto after = [](const LinkConfig& config, net::Ecn ecn) {
        Wire wire{config};
        auto packet = numbered(1);
        packet.ecn = ecn;
        (void)wire.link.send(std::move(packet), kStart);
        return wire.link.receive(kStart)->ecn;
    };
    EXPECT_EQ(after({}, net::Ecn::ect0), net::Ecn::ect0);
    EXPECT_EQ(after({.strip_ecn = true}, net::Ecn::ect0), net::Ecn::not_ect);
    EXPECT_EQ(after({.mark = true}, net::Ecn::ect0), net::Ecn::ce);
    EXPECT_EQ(after({.mark = true}, net::Ecn::not_ect), net::Ecn::not_ect);
}

TEST(Link, DownLosesWhatIsSentButNotWhatIsInFlight) {
    Wire wire{{.delay = 10ms}};
    (void)wire.link.send(numbered(1), kStart);
    wire.link.config().up = false;
    EXPECT_EQ(wire.link.send(numbered(2), kStart), SendOutcome::lost);
    wire.link.config().up = true;
    (void)wire.link.send(numbered(3), kStart);
    const auto arrivals = wire.arrivals();
    ASSERT_EQ(arrivals.size(), 2U);
    EXPECT_EQ(arrivals[0].number, 1U);
    EXPECT_EQ(arrivals[1].number, 3U);
}

TEST(Link, SameSeedSameFate) {
    const auto fate = [](std::uint64_t seed) {
        Wire wire{{.delay = 5ms, .jitter = 10ms, .loss = 0.1, .burst_loss = 0.01, .reorder = 0.1, .duplicate = 0.1},
                  seed};
        wire.send(500, 1ms);
        std::vector<std::pair<TimePoint, std::size_t>> all;
        for (const auto& arrival : wire.arrivals()) {
            all.emplace_back(arrival.at, arrival.number);
        }
        return all;
    };
    EXPECT_EQ(fate(3), fate(3));
    EXPECT_NE(fate(3), fate(4));
}

}  // namespace
}  // namespace pinhole::lab
