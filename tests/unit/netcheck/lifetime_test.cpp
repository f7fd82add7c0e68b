#include "common/stun/builder.hpp"
#include "tests/unit/netcheck/world.hpp"

#include <algorithm>
#include <string_view>

#include <gtest/gtest.h>

namespace pinhole::netcheck::testing {
namespace {

bool noted(const net::NetReport& report, std::string_view words) {
    return std::ranges::any_of(report.notes,
                               [&](const std::string& note) { return note.find(words) != std::string::npos; });
}

WorldConfig living(Duration timeout, Duration limit) {
    lab::NatConfig nat;
    nat.udp_timeout = timeout;
    return {.nats = {nat}, .lifetime = limit};
}

TEST(Lifetime, IsTheLongestRestThatAMappingSurvived) {
    struct Case {
        Duration timeout;
        Duration expected;
    };

    for (const auto& [timeout, expected] :
         {Case{32s, 30s}, Case{12s, 10s}, Case{65s, 60s}, Case{125s, 120s}, Case{400s, 300s}}) {
        World world{living(timeout, 300s)};
        EXPECT_EQ(world.run().udp.lifetime, expected);
        EXPECT_TRUE(world.lifetime_at());
        EXPECT_EQ(world.open_sockets(), 0U);
    }
}

TEST(Lifetime, IsMeasuredBehindANatWithAPortForEachDestination) {
    auto config = living(32s, 120s);
    config.nats[0].mapping = lab::Dependence::address_and_port_dependent;
    config.nats[0].allocation = lab::Allocation::random;
    World world{config};
    EXPECT_EQ(world.run().udp.lifetime, 30s);
}

TEST(Lifetime, SurvivesLoss) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        auto config = living(32s, 60s);
        config.seed = seed;
        config.link.loss = 0.02;
        World world{config};
        EXPECT_EQ(world.run().udp.lifetime, 30s);
    }
}

TEST(Lifetime, EndsAtTheLimitThatWasAskedFor) {
    World world{living(400s, 30s)};
    EXPECT_EQ(world.run().udp.lifetime, 30s);
    EXPECT_LT(*world.lifetime_at(), 45s);
    EXPECT_GT(*world.lifetime_at(), *world.complete_at());
}

TEST(Lifetime, EndsSoonAfterTheFirstDeaths) {
    World world{living(12s, 300s)};
    world.run();
    EXPECT_LT(*world.lifetime_at(), 40s);
    EXPECT_TRUE(noted(world.report(), "idle for 15 s was gone"));
}

TEST(Lifetime, ComesAfterACompleteReport) {
    World world{living(32s, 300s)};
    world.run_until(kBudget);
    ASSERT_TRUE(world.complete_at());
    EXPECT_FALSE(world.lifetime_at());
    EXPECT_EQ(world.report().udp.mapping, net::NatBehavior::endpoint_independent);
    EXPECT_FALSE(world.report().udp.lifetime);
    EXPECT_LE(world.most_sockets(), Netcheck::kMaxSockets);
}

TEST(Lifetime, OfAServerThatRefusesIsNotMeasured) {
    World world{living(32s, 300s)};
    world.on_request = [](const net::PathAddresses&, Bytes& payload) {
        const auto message = stun::MessageView::parse(payload);
        if (message && message->response_port()) {
            stun::MessageBuilder unheard_of{stun::MessageClass::request, stun::kBinding, message->transaction_id()};
            unheard_of.u32(stun::AttributeType{0x7ff0}, 0);
            payload = unheard_of.finish();
        }
        return true;
    };
    const auto& report = world.run();
    EXPECT_FALSE(report.udp.lifetime);
    EXPECT_TRUE(noted(report, "does not answer to another port on request"));
    EXPECT_LT(*world.lifetime_at(), 10s);
}

TEST(Lifetime, WhereNoAnswerToAnotherPortArrivesIsNotMeasured) {
    World world{living(32s, 300s)};
    world.on_request = [](const net::PathAddresses&, Bytes& payload) {
        const auto message = stun::MessageView::parse(payload);
        return !message || !message->response_port();
    };
    const auto& report = world.run();
    EXPECT_FALSE(report.udp.lifetime);
    EXPECT_TRUE(noted(report, "did not arrive even at once"));
    EXPECT_LT(*world.lifetime_at(), 15s);
}

TEST(Lifetime, IsNothingToMeasureWithoutANat) {
    World world{WorldConfig{.lifetime = 300s}};
    const auto& report = world.run();
    EXPECT_FALSE(report.udp.lifetime);
    EXPECT_TRUE(noted(report, "no mapping to expire"));
    EXPECT_EQ(world.lifetime_at(), world.complete_at());
}

TEST(Lifetime, IsNothingToMeasureWithoutUdp) {
    auto config = living(32s, 300s);
    config.nats[0].udp_blocked = true;
    World world{config};
    EXPECT_FALSE(world.run().udp.lifetime);
    EXPECT_EQ(world.lifetime_at(), world.complete_at());
}

}  // namespace
}  // namespace pinhole::netcheck::testing
