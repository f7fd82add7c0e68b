// One agent against messages made by hand: who is answered, how often it sends, what bounds it keeps.
#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"
#include "peer/ice/agent.hpp"
#include "peer/ice/checklist.hpp"
#include "tests/unit/ice/virtual_network.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace pinhole::ice {
namespace {

using stun::AttributeType;
using stun::MessageBuilder;
using stun::MessageClass;
using stun::MessageView;
using testing::at;
using testing::host_candidate;
using testing::VirtualNetwork;

const net::Endpoint kLocal = at("198.51.100.8:7000");
const net::Endpoint kRemote = at("198.51.100.9:7000");
const net::PathAddresses kPath{.local = kLocal, .remote = kRemote};
const Credentials kTheirs{.ufrag = "theirs", .pwd = "their password, long enough"};

class LoneAgent : public ::testing::Test {
  protected:
    LoneAgent() { agent.add_local_candidate(host_candidate(kLocal), now); }

    void begin() {
        agent.set_remote_credentials(kTheirs);
        agent.start(now);
    }

    MessageBuilder request(Role role = Role::controlled, std::uint64_t tie_breaker = 1) {
        MessageBuilder builder{MessageClass::request, stun::kBinding, stun::TransactionId::generate(rng)};
        builder.text(AttributeType::username, agent.local_credentials().ufrag + ":theirs")
            .u32(AttributeType::priority, 0x6e0001ff)
            .u64(role == Role::controlling ? AttributeType::ice_controlling : AttributeType::ice_controlled,
                 tie_breaker);
        return builder;
    }

    Bytes seal(MessageBuilder builder) {
        return builder.integrity(as_bytes(agent.local_credentials().pwd)).fingerprint().finish();
    }

    std::vector<net::Transmit> drain() {
        std::vector<net::Transmit> out;
        while (auto transmit = agent.poll_transmit()) {
            out.push_back(*std::move(transmit));
        }
        return out;
    }

    /// Everything the agent sends until `end`, with the time.
    std::vector<std::pair<TimePoint, net::Transmit>> run(TimePoint end) {
        std::vector<std::pair<TimePoint, net::Transmit>> out;
        while (true) {
            for (auto& transmit : drain()) {
                out.emplace_back(now, std::move(transmit));
            }
            const auto next = agent.next_timeout();
            if (!next || *next > end) {
                now = end;
                return out;
            }
            EXPECT_GE(*next, now);
            now = std::max(now, *next);
            agent.handle_timeout(now);
        }
    }

    void answer(const net::Transmit& check, const net::Endpoint& from) {
        const auto id = MessageView::parse(check.payload).value().transaction_id();
        MessageBuilder builder{MessageClass::success, stun::kBinding, id};
        builder.address(AttributeType::xor_mapped_address, kLocal);
        agent.handle_datagram({.local = kLocal, .remote = from},
                              builder.integrity(as_bytes(kTheirs.pwd)).fingerprint().finish(), now);
    }

    template <class T>
    std::optional<T> next_event() {
        while (const auto event = agent.poll_event()) {
            if (const auto* match = std::get_if<T>(&*event)) {
                return *match;
            }
        }
        return std::nullopt;
    }

    SeededRng rng{4242};
    TimePoint now{};
    Agent agent{Config{.role = Role::controlling, .local = Credentials::generate(rng)}, rng};
};

TEST_F(LoneAgent, GeneratesCredentialsOfTheRequiredStrength) {
    const auto a = Credentials::generate(rng);
    const auto b = Credentials::generate(rng);
    EXPECT_GE(a.ufrag.size(), 4U);
    EXPECT_GE(a.pwd.size(), 22U);
    EXPECT_NE(a.ufrag, b.ufrag);
    EXPECT_NE(a.pwd, b.pwd);
}

TEST_F(LoneAgent, LeavesOtherProtocolsToOthers) {
    EXPECT_FALSE(agent.handle_datagram(kPath, Bytes{0xc0, 1, 2, 3}, now));
    EXPECT_FALSE(agent.handle_datagram(kPath, {}, now));
    EXPECT_TRUE(agent.handle_datagram(kPath, seal(request()), now));
}

TEST_F(LoneAgent, AnswersAnAuthenticRequestWithTheAddressItCameFrom) {
    begin();
    drain();
    agent.handle_datagram(kPath, seal(request()), now);
    const auto out = drain();
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(out[0].path, kPath);
    const auto message = MessageView::parse(out[0].payload).value();
    EXPECT_EQ(message.message_class(), MessageClass::success);
    EXPECT_EQ(message.xor_mapped_address(), kRemote);
    EXPECT_TRUE(stun::verify_integrity(message, as_bytes(agent.local_credentials().pwd)));
    EXPECT_TRUE(stun::verify_fingerprint(message));
}

TEST_F(LoneAgent, StrangersGetNoAnswer) {
    begin();
    drain();
    const auto id = stun::TransactionId::generate(rng);
    const auto try_with = [&](std::string_view username, std::string_view password, bool fingerprint) {
        MessageBuilder builder{MessageClass::request, stun::kBinding, id};
        builder.text(AttributeType::username, username)
            .u32(AttributeType::priority, 1)
            .u64(AttributeType::ice_controlled, 1)
            .integrity(as_bytes(password));
        if (fingerprint) {
            builder.fingerprint();
        }
        EXPECT_TRUE(agent.handle_datagram(kPath, builder.finish(), now));
        return drain().size();
    };
    const auto& own = agent.local_credentials();
    EXPECT_EQ(try_with(own.ufrag + ":theirs", "wrong password of the right length", true), 0U);
    EXPECT_EQ(try_with("other:theirs", own.pwd, true), 0U);
    EXPECT_EQ(try_with(own.ufrag + ":others", own.pwd, true), 0U);
    EXPECT_EQ(try_with(own.ufrag, own.pwd, true), 0U);
    EXPECT_EQ(try_with(own.ufrag + ":theirs", own.pwd, false), 0U);
    // Neither integrity nor username at all: what a STUN server would answer.
    agent.handle_datagram(kPath, MessageBuilder{MessageClass::request, stun::kBinding, id}.fingerprint().finish(), now);
    EXPECT_TRUE(drain().empty());
    // Nor to an address that is not one of ours.
    agent.handle_datagram({.local = at("198.51.100.200:1"), .remote = kRemote}, seal(request()), now);
    EXPECT_TRUE(drain().empty());
    EXPECT_EQ(try_with(own.ufrag + ":theirs", own.pwd, true), 2U);  // the answer and the triggered check
}

TEST_F(LoneAgent, EveryChangedBitOfARequestIsNoticed) {
    begin();
    drain();
    const auto genuine = seal(request());
    for (std::size_t bit = 0; bit < genuine.size() * 8; ++bit) {
        Bytes changed = genuine;
        changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ 1U << bit % 8);
        agent.handle_datagram(kPath, changed, now);
        EXPECT_TRUE(drain().empty()) << bit;
    }
}

TEST_F(LoneAgent, SurvivesGarbageThatLooksLikeStun) {
    begin();
    agent.add_remote_candidate(host_candidate(kRemote), now);
    drain();
    for (int round = 0; round < 5000; ++round) {
        auto bytes = seal(request());
        const auto edits = 1 + rng.below(6);
        for (std::uint64_t i = 0; i < edits; ++i) {
            bytes[rng.below(bytes.size())] = static_cast<std::uint8_t>(rng.below(256));
        }
        bytes.resize(rng.below(bytes.size() + 1));
        agent.handle_datagram(kPath, bytes, now);
    }
    EXPECT_LE(drain().size(), 1U);
}

TEST_F(LoneAgent, RefusesUnknownRequiredAttributesOfAFriend) {
    begin();
    drain();
    agent.handle_datagram(kPath, seal(request().attribute(AttributeType{0x7777}, {})), now);
    const auto out = drain();
    ASSERT_EQ(out.size(), 1U);
    const auto message = MessageView::parse(out[0].payload).value();
    EXPECT_EQ(message.error_code().value().code, 420);
    EXPECT_EQ(message.unknown_attributes(), std::vector<std::uint16_t>{0x7777});
}

TEST_F(LoneAgent, TheGreaterTieBreakerKeepsTheRole) {
    begin();
    drain();
    agent.handle_datagram(kPath, seal(request(Role::controlling, 0)), now);
    auto out = drain();
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(MessageView::parse(out[0].payload).value().error_code().value().code, 487);
    EXPECT_EQ(agent.role(), Role::controlling);

    agent.handle_datagram(kPath, seal(request(Role::controlling, ~std::uint64_t{0})), now);
    out = drain();
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(MessageView::parse(out[0].payload).value().message_class(), MessageClass::success);
    EXPECT_EQ(agent.role(), Role::controlled);

    // Controlled against controlled: the lesser number stays.
    agent.handle_datagram(kPath, seal(request(Role::controlled, ~std::uint64_t{0})), now);
    out = drain();
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(MessageView::parse(out[0].payload).value().error_code().value().code, 487);
    agent.handle_datagram(kPath, seal(request(Role::controlled, 0)), now);
    EXPECT_EQ(agent.role(), Role::controlling);
}

TEST_F(LoneAgent, AnAnsweredConflictSwitchesTheRoleAndChecksAgain) {
    begin();
    agent.add_remote_candidate(host_candidate(kRemote), now);
    const auto out = drain();
    ASSERT_EQ(out.size(), 1U);
    const auto check = MessageView::parse(out[0].payload).value();
    EXPECT_TRUE(check.ice_controlling());
    MessageBuilder refusal{MessageClass::error, stun::kBinding, check.transaction_id()};
    refusal.error_code(487, {}).integrity(as_bytes(kTheirs.pwd)).fingerprint();
    now += 60ms;
    agent.handle_datagram(kPath, refusal.finish(), now);
    EXPECT_EQ(agent.role(), Role::controlled);
    const auto again = drain();
    ASSERT_EQ(again.size(), 1U);
    const auto message = MessageView::parse(again[0].payload).value();
    EXPECT_TRUE(message.ice_controlled());
    EXPECT_NE(message.ice_controlled(), check.ice_controlling());
}

TEST_F(LoneAgent, AnAnswerFromElsewhereFailsThePair) {
    begin();
    agent.add_remote_candidate(host_candidate(kRemote), now);
    answer(drain().at(0), at("198.51.100.77:7000"));
    EXPECT_FALSE(next_event<Validated>());
    agent.end_of_remote_candidates(now);
    const auto failed = next_event<Failed>();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->pairs, 1U);
    EXPECT_FALSE(failed->heard_anything);
}

TEST_F(LoneAgent, AnAnswerThatIsNotAuthenticChangesNothing) {
    begin();
    agent.add_remote_candidate(host_candidate(kRemote), now);
    const auto check = drain().at(0);
    const auto id = MessageView::parse(check.payload).value().transaction_id();
    for (const bool error : {false, true}) {
        MessageBuilder builder{error ? MessageClass::error : MessageClass::success, stun::kBinding, id};
        if (error) {
            builder.error_code(400, {});
        } else {
            builder.address(AttributeType::xor_mapped_address, kLocal);
        }
        agent.handle_datagram(kPath, builder.integrity(as_bytes("wrong")).fingerprint().finish(), now);
        EXPECT_FALSE(next_event<Validated>());
    }
    answer(check, kRemote);
    EXPECT_TRUE(next_event<Validated>());
}

TEST_F(LoneAgent, RepeatsACheckSevenTimesWithDoublingPauses) {
    agent = Agent{Config{.role = Role::controlling, .local = Credentials::generate(rng), .patience = 60s}, rng};
    agent.add_local_candidate(host_candidate(kLocal), now);
    begin();
    agent.add_remote_candidate(host_candidate(kRemote), now);
    const auto sent = run(TimePoint{} + 60s);
    ASSERT_EQ(sent.size(), 7U);
    Duration pause = 500ms;
    for (std::size_t i = 1; i < sent.size(); ++i) {
        EXPECT_EQ(sent[i].first - sent[i - 1].first, pause);
        EXPECT_EQ(sent[i].second.payload, sent[0].second.payload);
        pause *= 2;
    }
}

// Strictly one check per Ta, whether triggered, ordinary, repeated or nominating; answers and consent are apart.
TEST_F(LoneAgent, NeverSendsTwoChecksWithinOnePacingInterval) {
    begin();
    for (std::uint8_t i = 0; i < 20; ++i) {
        agent.add_remote_candidate(host_candidate({.address = net::Address::v4({198, 51, 100, i}), .port = 9000},
                                                  static_cast<std::uint16_t>(i)),
                                   now);
    }
    std::vector<TimePoint> checks;
    for (int step = 0; step < 300; ++step) {
        agent.handle_timeout(now);
        if (step % 3 == 0) {
            const net::Endpoint from{.address = net::Address::v4({203, 0, 113, static_cast<std::uint8_t>(step % 11)}),
                                     .port = 4000};
            agent.handle_datagram({.local = kLocal, .remote = from}, seal(request()), now);
        }
        for (const auto& transmit : drain()) {
            if (MessageView::parse(transmit.payload).value().message_class() == MessageClass::request) {
                checks.push_back(now);
            }
        }
        now += 7ms;
    }
    ASSERT_GT(checks.size(), 30U);
    for (std::size_t i = 1; i < checks.size(); ++i) {
        EXPECT_GE(checks[i] - checks[i - 1], 50ms);
    }
}

TEST_F(LoneAgent, ATriggeredCheckGoesBeforeOrdinaryOnes) {
    begin();
    for (std::uint8_t i = 1; i < 10; ++i) {
        agent.add_remote_candidate(host_candidate({.address = net::Address::v4({198, 51, 100, i}), .port = 9000}), now);
    }
    drain();
    agent.handle_datagram(kPath, seal(request()), now);
    ASSERT_EQ(drain().size(), 1U);
    now += 50ms;
    agent.handle_timeout(now);
    EXPECT_EQ(drain().at(0).path, kPath);
}

TEST_F(LoneAgent, AFloodOfCandidatesIsBounded) {
    begin();
    for (std::uint16_t i = 0; i < 1000; ++i) {
        const net::Endpoint endpoint{
            .address = net::Address::v4({10, 9, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}),
            .port = 5000};
        agent.add_local_candidate(host_candidate(endpoint, i), now);
        agent.add_remote_candidate(host_candidate({.address = endpoint.address, .port = 6000}, i), now);
        agent.handle_datagram({.local = kLocal, .remote = {.address = endpoint.address, .port = 7000}}, seal(request()),
                              now);
    }
    EXPECT_LE(drain().size(), 1001U);
    run(now + 11s);
    const auto failed = next_event<Failed>();
    ASSERT_TRUE(failed);
    EXPECT_LE(failed->remote_candidates, kMaxRemoteCandidates);
    EXPECT_LE(failed->pairs, 11 * 20U);
    EXPECT_TRUE(failed->heard_anything);
}

TEST_F(LoneAgent, WaitsOutItsPatienceWhenNothingWasOffered) {
    begin();
    agent.end_of_remote_candidates(now);
    EXPECT_FALSE(next_event<Failed>());
    run(TimePoint{} + 10s);
    const auto failed = next_event<Failed>();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->remote_candidates, 0U);
    EXPECT_EQ(failed->pairs, 0U);
}

TEST_F(LoneAgent, NominatesOnlyWhenNothingBetterIsLeftOrTheGraceIsOver) {
    begin();
    agent.add_remote_candidate(host_candidate(at("198.51.100.50:1"), 60000), now);
    agent.add_remote_candidate(host_candidate(kRemote, 100), now);
    auto first = drain();
    now += 50ms;
    agent.handle_timeout(now);
    auto second = drain();
    ASSERT_EQ(second.size(), 1U);
    EXPECT_EQ(second[0].path.remote, kRemote);
    now += 20ms;
    answer(second[0], kRemote);
    EXPECT_TRUE(next_event<Validated>());
    const auto answered_at = now;
    const auto sent = run(now + 1s);
    const auto nomination = std::ranges::find_if(
        sent, [](const auto& entry) { return MessageView::parse(entry.second.payload).value().use_candidate(); });
    ASSERT_NE(nomination, sent.end());
    EXPECT_EQ(nomination->second.path.remote, kRemote);
    EXPECT_EQ(nomination->first - answered_at, 120ms);  // 100 ms and one round trip
    answer(nomination->second, kRemote);
    EXPECT_TRUE(next_event<Selected>());
}

TEST_F(LoneAgent, FollowsTheLatestNomination) {
    agent = Agent{Config{.role = Role::controlled, .local = Credentials::generate(rng)}, rng};
    agent.add_local_candidate(host_candidate(kLocal), now);
    begin();
    const auto nominate = [&](const net::Endpoint& from) {
        agent.handle_datagram({.local = kLocal, .remote = from},
                              seal(request(Role::controlling).flag(AttributeType::use_candidate)), now);
        for (const auto& [at_time, transmit] : run(now + 100ms)) {
            if (transmit.path.remote == from &&
                MessageView::parse(transmit.payload).value().message_class() == MessageClass::request) {
                answer(transmit, from);
                break;
            }
        }
    };
    nominate(kRemote);
    EXPECT_EQ(next_event<Selected>().value().pair.path.remote, kRemote);
    nominate(at("198.51.100.10:1"));
    EXPECT_EQ(next_event<Selected>().value().pair.path.remote, at("198.51.100.10:1"));
    nominate(kRemote);
    EXPECT_EQ(agent.selected().value().path.remote, kRemote);
}

TEST(IceAgentUnderAttack, TamperedPacketsConnectNobody) {
    VirtualNetwork network{21, {}};
    network.add({.address = kLocal, .nat_address = {}, .nat = {}, .role = Role::controlling});
    network.add({.address = kRemote, .nat_address = {}, .nat = {}, .role = Role::controlled});
    network.set_tamper(true);
    network.connect(0, 1);
    EXPECT_FALSE(network.run_until_selected(20s));
    for (const std::size_t host : {0U, 1U}) {
        EXPECT_TRUE(network.all<Validated>(host).empty());
        ASSERT_EQ(network.all<Failed>(host).size(), 1U);
        EXPECT_FALSE(network.all<Failed>(host)[0].heard_anything);
    }
}

TEST(IceAgentUnderAttack, WrongPasswordConnectsNobody) {
    VirtualNetwork network{22, {}};
    network.add({.address = kLocal, .nat_address = {}, .nat = {}, .role = Role::controlling});
    network.add({.address = kRemote, .nat_address = {}, .nat = {}, .role = Role::controlled});
    network.connect(0, 1);
    auto wrong = network.agent(1).local_credentials();
    wrong.pwd.back() = wrong.pwd.back() == 'x' ? 'y' : 'x';
    network.agent(0).set_remote_credentials(wrong);
    EXPECT_FALSE(network.run_until_selected(20s));
}

}  // namespace
}  // namespace pinhole::ice
