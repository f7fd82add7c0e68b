// Paths that differ by direction: when an answer from another port makes one, and what it never makes.
#include "peer/ice/split_paths.hpp"

#include "common/stun/builder.hpp"
#include "tests/unit/ice/virtual_network.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::ice {
namespace {

using stun::AttributeType;
using stun::MessageBuilder;
using stun::MessageClass;
using stun::MessageView;
using testing::at;
using testing::Behaviour;
using testing::VirtualNetwork;

const net::Endpoint kLocal = at("198.51.100.8:7000");
const net::Endpoint kSentTo = at("203.0.113.9:7000");
const net::Endpoint kHeardFrom = at("203.0.113.9:7001");
const net::PathAddresses kPair{.local = kLocal, .remote = kSentTo};
const Credentials kTheirs{.ufrag = "theirs", .pwd = "their password, long enough"};

/// An agent whose other side is made by hand.
class SplitPath : public ::testing::Test {
  protected:
    SplitPath() {
        agent.add_local_candidate(testing::host_candidate(kLocal), now);
        agent.set_remote_credentials(kTheirs);
        agent.start(now);
    }

    void check_from(const net::Endpoint& source) {
        MessageBuilder request{MessageClass::request, stun::kBinding, stun::TransactionId::generate(rng)};
        request.text(AttributeType::username, agent.local_credentials().ufrag + ":theirs")
            .u32(AttributeType::priority, 0x6e0001ff)
            .u64(AttributeType::ice_controlled, 1)
            .integrity(as_bytes(agent.local_credentials().pwd));
        agent.handle_datagram({.local = kLocal, .remote = source}, request.fingerprint().finish(), now);
    }

    void answer(const net::Transmit& check, const net::Endpoint& source) {
        const auto id = MessageView::parse(check.payload).value().transaction_id();
        MessageBuilder success{MessageClass::success, stun::kBinding, id};
        success.address(AttributeType::xor_mapped_address, kLocal).integrity(as_bytes(kTheirs.pwd));
        agent.handle_datagram({.local = kLocal, .remote = source}, success.fingerprint().finish(), now);
    }

    /// What it sends in so long.
    std::vector<net::Transmit> sent_within(Duration time, MessageClass kind = MessageClass::request) {
        std::vector<net::Transmit> out;
        const auto end = now + time;
        while (true) {
            while (const auto transmit = agent.poll_transmit()) {
                if (MessageView::parse(transmit->payload).value().message_class() == kind) {
                    out.push_back(*transmit);
                }
            }
            const auto next = agent.next_timeout();
            if (!next || *next > end) {
                now = end;
                return out;
            }
            now = std::max(now, *next);
            agent.handle_timeout(now);
        }
    }

    std::vector<net::PathAddresses> validated() {
        std::vector<net::PathAddresses> paths;
        while (const auto event = agent.poll_event()) {
            if (const auto* valid = std::get_if<Validated>(&*event)) {
                paths.push_back(valid->pair.path);
            }
        }
        return paths;
    }

    /// The other side has checked us from where we send to, and answers from another port.
    void split() {
        check_from(kSentTo);
        answer(sent_within(20ms).at(0), kHeardFrom);
    }

    SeededRng rng{4243};
    TimePoint now{};
    Agent agent{Config{.role = Role::controlling, .local = Credentials::generate(rng)}, rng};
};

TEST_F(SplitPath, IsCheckedOnceMoreAndCountsThen) {
    split();
    EXPECT_TRUE(validated().empty());
    EXPECT_EQ(agent.pair_of({.local = kLocal, .remote = kHeardFrom}).remote, kHeardFrom);
    const auto again = sent_within(130ms);
    ASSERT_EQ(again.size(), 1U);
    EXPECT_EQ(again[0].path, kPair);
    answer(again[0], kHeardFrom);
    EXPECT_EQ(validated(), std::vector{kPair});
    EXPECT_EQ(agent.pair_of({.local = kLocal, .remote = kHeardFrom}), kPair);
}

TEST_F(SplitPath, AnswersGoToWhereItIsSentTo) {
    split();
    sent_within(130ms);
    check_from(kHeardFrom);
    const auto answers = sent_within(1ms, MessageClass::success);
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0].path, kPair);
    EXPECT_EQ(MessageView::parse(answers[0].payload)->xor_mapped_address(), kHeardFrom);
}

TEST_F(SplitPath, AnAnswerFromWhereTheQuestionWentCountsStill) {
    split();
    const auto again = sent_within(130ms);
    answer(again.at(0), kSentTo);
    EXPECT_EQ(validated(), std::vector{kPair});
}

TEST_F(SplitPath, DoesNotOvertakeAPairThatIsTheSameBothWays) {
    split();
    check_from(kHeardFrom);
    const auto ordinary = sent_within(60ms);
    ASSERT_EQ(ordinary.at(0).path.remote, kHeardFrom);
    answer(ordinary[0], kHeardFrom);
    sent_within(1s);
    EXPECT_EQ(validated(), std::vector{ordinary[0].path});
    EXPECT_EQ(agent.pair_of(ordinary[0].path), ordinary[0].path);
}

TEST_F(SplitPath, YieldsToAPairThatIsTheSameBothWays) {
    split();
    answer(sent_within(130ms).at(0), kHeardFrom);
    const auto nomination = sent_within(150ms);
    ASSERT_FALSE(nomination.empty());
    answer(nomination.back(), kHeardFrom);
    ASSERT_EQ(agent.selected()->path, kPair);
    const auto elsewhere = at("203.0.113.9:9000");
    check_from(elsewhere);
    for (int round = 0; round < 2; ++round) {
        for (const auto& check : sent_within(60ms)) {
            answer(check, check.path.remote == kSentTo ? kHeardFrom : check.path.remote);
        }
    }
    EXPECT_EQ(agent.selected()->path.remote, elsewhere);
}

TEST_F(SplitPath, IsNotMadeByAnotherAddress) {
    check_from(kSentTo);
    answer(sent_within(20ms).at(0), at("203.0.113.10:7001"));
    EXPECT_TRUE(sent_within(1s).empty());
    EXPECT_EQ(agent.pair_of({.local = kLocal, .remote = at("203.0.113.10:7001")}).remote, at("203.0.113.10:7001"));
}

TEST_F(SplitPath, IsNotMadeWhereTheOtherSideHasNotCheckedUsFrom) {
    agent.add_remote_candidate(testing::host_candidate(kSentTo), now);
    answer(sent_within(20ms).at(0), kHeardFrom);
    EXPECT_TRUE(sent_within(1s).empty());
    EXPECT_TRUE(validated().empty());
}

TEST_F(SplitPath, IsNotMadeByWhoDoesNotKnowThePassword) {
    check_from(kSentTo);
    const auto check = sent_within(20ms).at(0);
    const auto id = MessageView::parse(check.payload).value().transaction_id();
    MessageBuilder forged{MessageClass::success, stun::kBinding, id};
    forged.address(AttributeType::xor_mapped_address, kLocal).integrity(as_bytes("another password, long too"));
    agent.handle_datagram({.local = kLocal, .remote = kHeardFrom}, forged.fingerprint().finish(), now);
    sent_within(400ms);
    EXPECT_EQ(agent.pair_of({.local = kLocal, .remote = kHeardFrom}).remote, kHeardFrom);
    answer(check, kSentTo);
    EXPECT_EQ(validated(), std::vector{kPair});
}

TEST(SplitPaths, AreFew) {
    SplitPaths splits;
    const auto path = [](std::uint16_t port) {
        return net::PathAddresses{.local = kLocal, .remote = {.address = kSentTo.address, .port = port}};
    };
    for (std::uint16_t port = 1; port <= 100; ++port) {
        splits.adopt({.pair = kPair, .source = path(port).remote});
    }
    splits.note({.pair = kPair, .source = kHeardFrom}, TimePoint{});
    EXPECT_EQ(splits.pair_of(path(SplitPaths::kMaxAdopted)), kPair);
    EXPECT_EQ(splits.pair_of(path(SplitPaths::kMaxAdopted + 1)), path(SplitPaths::kMaxAdopted + 1));
    EXPECT_FALSE(splits.take_due(TimePoint{} + 1h));
}

TEST(SplitPaths, LetTwoMappingsByPortMeetWhereNoFilterLooksAtPorts) {
    constexpr std::array kFilters{Behaviour::independent, Behaviour::address_dependent};
    for (const auto filtering : kFilters) {
        for (std::uint64_t seed = 1; seed <= 20; ++seed) {
            SCOPED_TRACE(seed);
            VirtualNetwork network{seed, {.loss = seed % 2 == 0 ? 0.05 : 0}};
            network.add({.address = at("192.168.1.10:5000"),
                         .nat_address = net::Address::parse("203.0.113.1"),
                         .nat = {.mapping = Behaviour::address_and_port_dependent, .filtering = Behaviour::independent},
                         .role = Role::controlling});
            network.add({.address = at("10.0.0.10:6000"),
                         .nat_address = net::Address::parse("203.0.113.2"),
                         .nat = {.mapping = Behaviour::address_and_port_dependent, .filtering = filtering},
                         .role = Role::controlled});
            network.connect(0, 1);
            ASSERT_TRUE(network.run_until_selected(10s));
            // Each packet of a pair arrives at the other side's pair.
            network.run_until(network.now().time_since_epoch() + 40s);
            EXPECT_TRUE(network.all<ConsentLost>(0).empty());
            EXPECT_TRUE(network.all<ConsentLost>(1).empty());
        }
    }
}

}  // namespace
}  // namespace pinhole::ice
