#include "peer/ice/gatherer.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"
#include "tests/unit/ice/virtual_network.hpp"

#include <gtest/gtest.h>

namespace pinhole::ice {
namespace {

using stun::AttributeType;
using stun::MessageBuilder;
using stun::MessageClass;
using stun::MessageView;
using testing::at;

const net::PathAddresses kPath{.local = at("192.168.1.10:5000"), .remote = at("198.51.100.1:3478")};
const net::Endpoint kMapped = at("203.0.113.7:41000");

Bytes answer_to(const net::Transmit& request, const net::Endpoint& mapped) {
    MessageBuilder builder{MessageClass::success, stun::kBinding,
                           MessageView::parse(request.payload).value().transaction_id()};
    return builder.address(AttributeType::xor_mapped_address, mapped).fingerprint().finish();
}

class GathererTest : public ::testing::Test {
  protected:
    std::optional<Reflexive> reflexive() {
        const auto event = gatherer.poll_event();
        return event && std::holds_alternative<Reflexive>(*event) ? std::optional{std::get<Reflexive>(*event)}
                                                                  : std::nullopt;
    }

    std::optional<Gathered> gathered() {
        const auto event = gatherer.poll_event();
        return event && std::holds_alternative<Gathered>(*event) ? std::optional{std::get<Gathered>(*event)}
                                                                 : std::nullopt;
    }

    SeededRng rng{7};
    TimePoint now{};
    Gatherer gatherer{rng};
};

TEST_F(GathererTest, ReportsWhatTheServerSaw) {
    gatherer.add(kPath, now);
    gatherer.finish_adding(now);
    const auto request = gatherer.poll_transmit().value();
    EXPECT_EQ(request.path, kPath);
    EXPECT_TRUE(stun::verify_fingerprint(MessageView::parse(request.payload).value()));
    now += 40ms;
    EXPECT_TRUE(gatherer.handle_datagram(kPath, answer_to(request, kMapped), now));
    const auto found = reflexive().value();
    EXPECT_EQ(found.path, kPath);
    EXPECT_EQ(found.reflexive, kMapped);
    EXPECT_EQ(found.rtt, 40ms);
    const auto end = gathered().value();
    EXPECT_EQ(end.answered, 1U);
    EXPECT_EQ(end.asked, 1U);
    EXPECT_FALSE(gatherer.next_timeout());
    // The same answer again is ours, but no news.
    EXPECT_TRUE(gatherer.handle_datagram(kPath, answer_to(request, kMapped), now));
    EXPECT_FALSE(gatherer.poll_event());
}

TEST_F(GathererTest, AsksFiveTimesAndGivesUp) {
    gatherer.add(kPath, now);
    gatherer.finish_adding(now);
    std::vector<Duration> sent;
    while (true) {
        while (gatherer.poll_transmit()) {
            sent.push_back(now.time_since_epoch());
        }
        const auto next = gatherer.next_timeout();
        if (!next) {
            break;
        }
        now = *next;
        gatherer.handle_timeout(now);
    }
    EXPECT_EQ(sent, (std::vector<Duration>{0ms, 250ms, 750ms, 1750ms, 3750ms}));
    EXPECT_EQ(now, TimePoint{} + 7750ms);
    EXPECT_EQ(gathered().value().answered, 0U);
}

TEST_F(GathererTest, BelievesOnlyWhoWasAsked) {
    gatherer.add(kPath, now);
    const auto request = gatherer.poll_transmit().value();
    const auto answer = answer_to(request, kMapped);
    EXPECT_FALSE(gatherer.handle_datagram({.local = kPath.local, .remote = at("198.51.100.2:3478")}, answer, now));
    auto other_id = answer;
    other_id[15] = static_cast<std::uint8_t>(other_id[15] ^ 1U);
    EXPECT_FALSE(gatherer.handle_datagram(kPath, other_id, now));
    EXPECT_FALSE(gatherer.handle_datagram(kPath, request.payload, now));
    EXPECT_FALSE(gatherer.handle_datagram(kPath, ByteView{answer}.first(30), now));
    EXPECT_FALSE(gatherer.poll_event());
    EXPECT_TRUE(gatherer.handle_datagram(kPath, answer, now));
    EXPECT_TRUE(reflexive());
}

TEST_F(GathererTest, SettlesOnAnErrorOrAnImpossibleAddress) {
    gatherer.add(kPath, now);
    gatherer.add(kPath, now);
    gatherer.finish_adding(now);
    const auto first = gatherer.poll_transmit().value();
    const auto second = gatherer.poll_transmit().value();
    MessageBuilder error{MessageClass::error, stun::kBinding,
                         MessageView::parse(first.payload).value().transaction_id()};
    EXPECT_TRUE(gatherer.handle_datagram(kPath, error.error_code(500, "busy").finish(), now));
    EXPECT_FALSE(gatherer.poll_event());
    EXPECT_TRUE(gatherer.handle_datagram(kPath, answer_to(second, at("[2001:db8::1]:1")), now));
    EXPECT_EQ(gathered().value().answered, 0U);
}

TEST_F(GathererTest, WithoutBasesItIsDoneAtOnce) {
    gatherer.finish_adding(now);
    EXPECT_EQ(gathered().value().asked, 0U);
}

TEST_F(GathererTest, AnswersEachBaseByItself) {
    const net::PathAddresses other{.local = at("10.0.0.5:5001"), .remote = kPath.remote};
    gatherer.add(kPath, now);
    gatherer.add(other, now);
    const auto first = gatherer.poll_transmit().value();
    const auto second = gatherer.poll_transmit().value();
    gatherer.handle_datagram(other, answer_to(second, at("203.0.113.8:2")), now);
    EXPECT_EQ(reflexive().value().path, other);
    gatherer.handle_datagram(kPath, answer_to(first, kMapped), now);
    EXPECT_EQ(reflexive().value().path, kPath);
    gatherer.finish_adding(now);
    EXPECT_EQ(gathered().value().answered, 2U);
}

}  // namespace
}  // namespace pinhole::ice
