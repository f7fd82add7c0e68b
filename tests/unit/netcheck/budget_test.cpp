// Netcheck keeps its promises of time and of moderation, whatever the network does.
#include "tests/unit/netcheck/world.hpp"

#include <gtest/gtest.h>

namespace pinhole::netcheck::testing {
namespace {

constexpr std::size_t kMappings = 44;

WorldConfig sequential_nat() {
    lab::NatConfig nat;
    nat.mapping = lab::Dependence::address_and_port_dependent;
    nat.allocation = lab::Allocation::sequential;
    nat.hairpin = true;
    WorldConfig config;
    config.nats = {nat};
    return config;
}

void expect_in_time(const World& world) {
    ASSERT_TRUE(world.first_report_at());
    ASSERT_TRUE(world.complete_at());
    EXPECT_LE(*world.first_report_at(), kFirstReport);
    EXPECT_LE(*world.complete_at(), kBudget);
    EXPECT_LE(*world.first_report_at(), *world.complete_at());
    EXPECT_EQ(world.open_sockets(), 0U);
}

TEST(Budget, FirstReportTellsAddressAndMappingWithinAFewRoundTrips) {
    World world{WorldConfig{.nats = {lab::NatConfig{}}}};
    world.run();
    expect_in_time(world);
    EXPECT_LT(*world.first_report_at(), 300ms);
    const auto& first = world.first_report().udp;
    EXPECT_EQ(first.open, true);
    EXPECT_EQ(first.mapping, net::NatBehavior::endpoint_independent);
    EXPECT_EQ(first.allocation, net::PortAllocation::preserving);
    EXPECT_TRUE(first.reflexive);
}

TEST(Budget, FirstReportComesInTimeOnASlowLink) {
    WorldConfig config{.nats = {lab::NatConfig{}}, .link = {.delay = 180ms}};
    World world{config};
    const auto& report = world.run();
    expect_in_time(world);
    EXPECT_TRUE(world.first_report().udp.reflexive);
    EXPECT_EQ(report.udp.mapping, net::NatBehavior::endpoint_independent);
    EXPECT_EQ(report.udp.filtering, net::NatBehavior::address_and_port_dependent);
    EXPECT_EQ(report.udp.opening_ttl, 2);
}

TEST(Budget, AnAnswerAfterASecondStillCounts) {
    WorldConfig config{.link = {.delay = 600ms}};
    World world{config};
    const auto& report = world.run();
    expect_in_time(world);
    EXPECT_EQ(report.udp.open, true);
    EXPECT_EQ(report.udp.mapping, net::NatBehavior::none);
}

TEST(Budget, BlockedUdpIsKnownAfterThreeSecondsAndStopsNothingElse) {
    lab::NatConfig nat;
    nat.udp_blocked = true;
    World world{WorldConfig{.nats = {nat}}};
    const auto& report = world.run();
    expect_in_time(world);
    EXPECT_LE(*world.complete_at(), 3500ms);
    EXPECT_EQ(report.udp.open, false);
    EXPECT_EQ(report.udp.mapping, net::NatBehavior::unknown);
    EXPECT_EQ(report.tcp.open, true);
    EXPECT_EQ(report.tcp.mapping, net::NatBehavior::endpoint_independent);
    EXPECT_EQ(world.first_report().tcp.open, true);
    EXPECT_EQ(net::classify(report), net::NatClass::blocked);
    EXPECT_TRUE(report.rtt);
}

TEST(Budget, BlockedTcpStopsNothingElse) {
    lab::NatConfig nat;
    nat.tcp_blocked = true;
    World world{WorldConfig{.nats = {nat}}};
    const auto& report = world.run();
    expect_in_time(world);
    EXPECT_EQ(report.tcp.open, false);
    EXPECT_EQ(report.udp.mapping, net::NatBehavior::endpoint_independent);
}

TEST(Budget, ADeadServerIsReportedInTime) {
    World world{WorldConfig{.dead_server = true}};
    const auto& report = world.run();
    expect_in_time(world);
    EXPECT_EQ(report.udp.open, false);
    EXPECT_EQ(report.tcp.open, false);
    EXPECT_FALSE(report.rtt);
}

TEST(Budget, WithoutAServerAllIsOverAtOnce) {
    SeededRng rng{1};
    Netcheck netcheck{Config{}, rng, TimePoint{}};
    EXPECT_FALSE(netcheck.poll_action());
    EXPECT_TRUE(std::holds_alternative<FirstReport>(netcheck.poll_event().value()));
    EXPECT_TRUE(std::holds_alternative<Complete>(netcheck.poll_event().value()));
    EXPECT_FALSE(netcheck.next_timeout());
    EXPECT_FALSE(netcheck.report().udp.open);
    EXPECT_EQ(netcheck.report().notes.size(), 1U);
}

TEST(Budget, WithoutSocketsAllIsOverInTime) {
    SeededRng rng{1};
    TimePoint now{};
    const net::Endpoint server{.address = *net::Address::parse("192.0.2.1"), .port = 3478};
    Netcheck netcheck{Config{.servers = {{.endpoint = server, .second_port = {}}}}, rng, now};
    std::vector<SocketId> sockets;
    while (auto action = netcheck.poll_action()) {
        if (const auto* udp = std::get_if<OpenUdp>(&*action)) {
            sockets.push_back(udp->socket);
        } else if (const auto* tcp = std::get_if<OpenTcp>(&*action)) {
            sockets.push_back(tcp->socket);
        }
    }
    for (const auto socket : sockets) {
        netcheck.handle_failed(socket, now);
    }
    EXPECT_TRUE(netcheck.poll_event());
    EXPECT_FALSE(netcheck.next_timeout());
    EXPECT_EQ(netcheck.report().udp.open, false);
    EXPECT_EQ(netcheck.report().tcp.open, false);
}

TEST(Budget, TakesFewMappingsAndSendsGently) {
    for (const double loss : {0.0, 0.1}) {
        auto config = sequential_nat();
        config.link.loss = loss;
        World world{config};
        world.run();
        expect_in_time(world);
        EXPECT_LE(world.network().nat("nat0").counters().mappings_made, kMappings);
        EXPECT_LE(world.most_sockets(), 24U);
        EXPECT_LE(world.sent_within(100ms), 55U);
        EXPECT_LE(world.sent(), 250U);
    }
}

TEST(Budget, ANatThatGivesOnlySomeMappingsIsMeasuredAllTheSame) {
    lab::NatConfig nat;
    nat.quota = 14;
    nat.filtering = lab::Dependence::address_and_port_dependent;
    World world{WorldConfig{.nats = {nat}}};
    const auto& report = world.run();
    expect_in_time(world);
    EXPECT_EQ(report.udp.open, true);
    EXPECT_EQ(report.udp.mapping, net::NatBehavior::endpoint_independent);
}

}  // namespace
}  // namespace pinhole::netcheck::testing
