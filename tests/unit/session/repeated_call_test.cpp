// A call that the server lets ring again on another connection of its callee, who may have had it already.
#include "peer/session/session.hpp"

#include <gtest/gtest.h>

namespace pinhole::session {
namespace {

constexpr WallTime kWall{1'760'000'000'000};
constexpr signaling::CallId kLeg{1ULL << 63U | 5};

net::Candidate host(std::uint16_t port) {
    const net::Endpoint at{.address = net::Address::v4({198, 51, 100, 1}), .port = port};
    return {.type = net::CandidateType::host, .endpoint = at, .base = at, .priority = 1, .foundation = "h"};
}

class RepeatedCall : public testing::Test {
  protected:
    RepeatedCall() {
        calling.call(kWall, now);
        auto message = calling.poll_signaling();
        const auto connect = std::get<signaling::Connect>(*message);
        auto read = read_call(
            {.call = kLeg, .from = alice.id(), .handshake = connect.handshake, .candidates = connect.candidates}, bob,
            rng);
        answering.answer(*std::move(read), now);
    }

    SessionConfig config(const crypto::Identity& self, const crypto::Identity& other) {
        SessionConfig result;
        result.identity = &self;
        result.remote = other.id();
        result.services = 1;
        return result;
    }

    std::vector<signaling::ToServer> said() {
        std::vector<signaling::ToServer> found;
        while (auto message = answering.poll_signaling()) {
            found.push_back(*std::move(message));
        }
        return found;
    }

    SeededRng rng{5};
    crypto::Identity alice = crypto::Identity::generate(rng);
    crypto::Identity bob = crypto::Identity::generate(rng);
    TimePoint now{1h};
    Session calling{config(alice, bob), signaling::CallId{10}, {host(1)}, rng};
    Session answering{config(bob, alice), kLeg, {host(2)}, rng};
};

TEST_F(RepeatedCall, IsAnsweredAgainWithAllCandidatesUntilGoShowsThatTheAnswerArrived) {
    answering.end_of_local_candidates();
    const auto first = std::get<signaling::Answer>(said().front());
    answering.add_local_candidate(host(3), now);
    said();

    EXPECT_TRUE(answering.handle_repeated(kLeg));
    const auto again = said();
    ASSERT_EQ(again.size(), 2U);
    const auto& answer = std::get<signaling::Answer>(again[0]);
    EXPECT_EQ(answer.call, kLeg);
    EXPECT_EQ(answer.handshake, first.handshake) << "the same keys, whichever of the two arrives";
    EXPECT_EQ(answer.candidates.size(), 2U);
    EXPECT_TRUE(std::get<signaling::Trickle>(again[1]).last);

    answering.handle_signaling(signaling::Go{.call = kLeg, .delay_us = 0, .plan = {}}, kWall, now);
    said();
    EXPECT_TRUE(answering.handle_repeated(kLeg));
    EXPECT_TRUE(said().empty());
}

TEST_F(RepeatedCall, AnotherCallIsNone) {
    said();
    EXPECT_FALSE(answering.handle_repeated({1ULL << 63U | 6}));
    EXPECT_TRUE(said().empty());
}

}  // namespace
}  // namespace pinhole::session
