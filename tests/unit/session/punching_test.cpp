// What a session does with the server's plan: the NATs that it opens, sockets and probes, and when it gives up.
#include "tests/unit/session/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::session {
namespace {

/// alice has called, bob has answered by hand, and the server has sent this plan.
struct Planning {
    explicit Planning(net::PunchPlan plan, std::vector<net::Strategy> without = {}) {
        SessionConfig config;
        config.identity = &world.alice.identity;
        config.remote = world.bob.identity.id();
        config.stun = net::Endpoint::parse("192.0.2.53:3478");
        config.opening_ttl = 5;
        config.without = std::move(without);
        session = std::make_unique<Session>(config, signaling::CallId{1}, std::vector{host(world.alice.address)},
                                            world.alice.rng);
        session->call(kWall, now);
        const auto connect = std::get<signaling::Connect>(session->poll_signaling().value());
        auto read = read_call({.call = connect.call,
                               .from = world.alice.identity.id(),
                               .handshake = connect.handshake,
                               .candidates = connect.candidates},
                              world.bob.identity, world.bob.rng);
        SessionConfig others;
        others.identity = &world.bob.identity;
        others.remote = world.alice.identity.id();
        Session other{others, connect.call, {}, world.bob.rng};
        other.answer(*std::move(read), now);
        const auto answer = std::get<signaling::Answer>(other.poll_signaling().value());
        net::Candidate reflexive{.type = net::CandidateType::server_reflexive,
                                 .endpoint = peer,
                                 .base = peer,
                                 .priority = 100,
                                 .foundation = "r"};
        session->handle_signaling(
            signaling::Answered{.call = connect.call, .handshake = answer.handshake, .candidates = {reflexive}}, kWall,
            now);
        session->handle_signaling(signaling::Go{.call = connect.call, .delay_us = 10'000, .plan = std::move(plan)},
                                  kWall, now);
    }

    template <class T>
    std::vector<T> socket_requests() {
        std::vector<T> found;
        while (const auto request = session->poll_socket_request()) {
            if (const auto* match = std::get_if<T>(&*request)) {
                found.push_back(*match);
            }
        }
        return found;
    }

    std::vector<net::Transmit> sent() {
        std::vector<net::Transmit> all;
        while (auto transmit = session->poll_stun()) {
            all.push_back(*std::move(transmit));
        }
        return all;
    }

    void run(Duration time) {
        const auto end = now + time;
        for (auto next = session->next_timeout(); next && *next <= end; next = session->next_timeout()) {
            now = std::max(now, *next);
            session->handle_timeout(now);
        }
        now = end;
    }

    World world;
    net::Endpoint peer = *net::Endpoint::parse("198.51.100.7:4000");
    TimePoint now{};
    std::unique_ptr<Session> session;
};

net::PunchStep opening(const net::Endpoint& target) {
    return {.strategy = net::Strategy::birthday,
            .act = net::PunchAct::open,
            .budget = 12s,
            .sockets = 3,
            .first_ttl = 4,
            .target = target};
}

TEST(Punching, OpensTheNatsOnTheWayBeforeItChecks) {
    Planning planning{{.topology = "two NATs", .steps = {}}};
    const auto before = planning.sent();
    ASSERT_FALSE(before.empty());
    for (const auto& transmit : before) {
        EXPECT_EQ(transmit.ttl, 5) << "must not reach the other side";
        EXPECT_EQ(transmit.path.remote, planning.peer);
    }
    planning.run(100ms);
    for (const auto& transmit : planning.sent()) {
        EXPECT_EQ(transmit.ttl, 0);
    }
}

TEST(Punching, AsksForSocketsAndProbesFromThem) {
    Planning planning{{.topology = "two NATs", .steps = {opening(*net::Endpoint::parse("198.51.100.7:1"))}}};
    planning.sent();
    planning.run(20ms);
    std::vector<net::Endpoint> locals;
    for (const auto& open : planning.socket_requests<punch::OpenSocket>()) {
        const auto port = static_cast<std::uint16_t>(6000 + locals.size());
        locals.push_back({.address = planning.world.alice.address.address, .port = port});
        planning.session->handle_socket(open.token, {.address = net::Address::any(net::Family::v4), .port = port},
                                        planning.now);
    }
    ASSERT_EQ(locals.size(), 3U);
    planning.run(10ms);
    const auto sent = planning.sent();
    for (const auto& local : locals) {
        EXPECT_TRUE(std::ranges::any_of(sent, [&](const auto& transmit) {
            return transmit.path == net::PathAddresses{.local = local, .remote = planning.peer} && transmit.ttl >= 2 &&
                   transmit.ttl <= 4;
        })) << "to the port of the candidate, not that of the plan";
    }
    // What comes in there is checked there.
    const auto probe = punch::make_probe(planning.world.bob.rng);
    const net::PathAddresses path{.local = locals[1], .remote = planning.peer};
    planning.session->handle_stun(path, probe, planning.now);
    planning.run(50ms);
    const auto checks = planning.sent();
    EXPECT_TRUE(std::ranges::any_of(checks, [&](const auto& transmit) { return transmit.path == path; }));
    planning.session->close(Goodbye::done, planning.now);
    EXPECT_EQ(planning.socket_requests<punch::CloseSocket>().size(), 3U);
}

TEST(Punching, LeavesOutWhatMustNotBeUsed) {
    Planning planning{
        {.topology = "two NATs",
         .steps = {net::PunchStep{.strategy = net::Strategy::udp}, opening(*net::Endpoint::parse("198.51.100.7:1"))}},
        {net::Strategy::birthday}};
    planning.run(1s);
    EXPECT_TRUE(planning.socket_requests<punch::OpenSocket>().empty());
    const auto event = planning.session->poll_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(std::get<Planned>(*event).topology, "two NATs");
    EXPECT_THAT(std::get<Planned>(*event).steps, testing::ElementsAre("udp"));
}

TEST(Punching, IsAsPatientAsThePlanAndTellsTheServerTheOutcome) {
    Planning planning{{.topology = "two NATs", .steps = {opening(*net::Endpoint::parse("198.51.100.7:1"))}}};
    planning.run(13s);
    EXPECT_FALSE(planning.session->over());
    planning.run(2s);
    EXPECT_TRUE(planning.session->over());
    std::optional<signaling::PunchOutcome> outcome;
    while (const auto message = planning.session->poll_signaling()) {
        if (const auto* told = std::get_if<signaling::PunchOutcome>(&*message)) {
            outcome = *told;
        }
    }
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->strategy, std::nullopt);
}

}  // namespace
}  // namespace pinhole::session
