#include "rendezvous/core/stun_service.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"
#include "tests/vectors/rfc5769.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

using testing::ElementsAre;
using enum stun::AttributeType;
using stun::MessageBuilder;
using stun::MessageClass;
using stun::MessageView;

constexpr stun::TransactionId kId{{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2}};
constexpr TimePoint kStart{};

net::Endpoint at(const char* text) {
    return *net::Endpoint::parse(text);
}

MessageBuilder request() {
    return MessageBuilder{MessageClass::request, stun::kBinding, kId};
}

TEST(StunService, TellsTheSourceItsAddress) {
    for (const auto* source : {"203.0.113.9:40000", "[2001:db8::9]:40000"}) {
        StunService service;
        const auto answer = service.handle_datagram(request().finish(), at(source), kStart).value();
        const auto message = MessageView::parse(answer).value();
        EXPECT_EQ(message.message_class(), MessageClass::success);
        EXPECT_EQ(message.transaction_id(), kId);
        EXPECT_EQ(message.xor_mapped_address(), at(source));
        EXPECT_FALSE(message.fingerprint());
        EXPECT_LE(answer.size(), stun::kHeaderSize + 24);
        EXPECT_EQ(service.stats().answered, 1U);
    }
}

TEST(StunService, SpeaksOfTheUnmappedAddress) {
    const auto answer = answer_binding(request().finish(), at("[::ffff:203.0.113.9]:40000")).value();
    EXPECT_EQ(MessageView::parse(answer).value().xor_mapped_address(), at("203.0.113.9:40000"));
}

TEST(StunService, AnswersAFingerprintWithAFingerprint) {
    const auto answer = answer_binding(request().fingerprint().finish(), at("203.0.113.9:1")).value();
    EXPECT_TRUE(stun::verify_fingerprint(MessageView::parse(answer).value()));
    auto broken = request().fingerprint().finish();
    broken.back() = static_cast<std::uint8_t>(broken.back() ^ 1U);
    EXPECT_FALSE(answer_binding(broken, at("203.0.113.9:1")));
}

TEST(StunService, AnswersTheSampleRequestOfRfc5769) {
    EXPECT_TRUE(answer_binding(vectors::kRequest, at("203.0.113.9:1")));
}

TEST(StunService, RefusesUnknownRequiredAttributes) {
    StunService service;
    const auto bytes = request().attribute(stun::AttributeType{0x7001}, {}).change_request({}).finish();
    const auto answer = service.handle_datagram(bytes, at("203.0.113.9:1"), kStart).value();
    const auto message = MessageView::parse(answer).value();
    EXPECT_EQ(message.message_class(), MessageClass::error);
    EXPECT_EQ(message.error_code().value().code, 420);
    EXPECT_THAT(message.unknown_attributes(), ElementsAre(0x7001, 0x0003));
    EXPECT_EQ(service.stats().refused, 1U);
}

TEST(StunService, StaysSilentTowardsEverythingElse) {
    StunService service;
    const auto source = at("203.0.113.9:1");
    for (const auto kind : {MessageClass::indication, MessageClass::success, MessageClass::error}) {
        EXPECT_FALSE(service.handle_datagram(MessageBuilder{kind, stun::kBinding, kId}.finish(), source, kStart));
    }
    EXPECT_FALSE(
        service.handle_datagram(MessageBuilder{MessageClass::request, stun::Method{3}, kId}.finish(), source, kStart));
    EXPECT_FALSE(service.handle_datagram({}, source, kStart));
    EXPECT_FALSE(service.handle_datagram(vectors::kResponseV4, source, kStart));
    EXPECT_FALSE(service.handle_datagram(ByteView{vectors::kRequest}.first(50), source, kStart));
    EXPECT_FALSE(service.handle_datagram(request().text(software, std::string(1300, 'x')).finish(), source, kStart));
    SCOPED_TRACE("seed 3478");
    SeededRng rng{3478};
    for (int round = 0; round < 2000; ++round) {
        Bytes garbage(rng.below(200));
        rng.fill(garbage);
        EXPECT_FALSE(service.handle_datagram(garbage, source, kStart));
    }
    EXPECT_EQ(service.stats().answered, 0U);
}

TEST(StunService, LimitsEachSourceNetworkByItself) {
    StunService service{{.per_second = 10, .burst = 20}};
    const auto bytes = request().finish();
    const auto answered = [&](const char* source, TimePoint now) {
        int count = 0;
        for (int i = 0; i < 100; ++i) {
            count += service.handle_datagram(bytes, at(source), now) ? 1 : 0;
        }
        return count;
    };
    EXPECT_EQ(answered("203.0.113.9:1", kStart), 20);
    EXPECT_EQ(answered("203.0.113.200:7", kStart), 0);
    EXPECT_EQ(answered("203.0.114.1:1", kStart), 20);
    EXPECT_EQ(answered("203.0.113.9:1", kStart + 1s), 10);
    EXPECT_EQ(answered("203.0.113.9:1", kStart + 1h), 20);
    EXPECT_EQ(answered("[2001:db8:0:1::1]:1", kStart), 20);
    EXPECT_EQ(answered("[2001:db8:0:ff::1]:1", kStart), 0);
    EXPECT_EQ(answered("[2001:db8:0:100::1]:1", kStart), 20);
    EXPECT_GT(service.stats().limited, 0U);
}

TEST(StunService, TheTableOfNetworksIsBoundedAndRecovers) {
    PrefixLimiter limiter{{.per_second = 1, .burst = 2, .max_prefixes = 8}};
    int allowed = 0;
    for (std::uint8_t i = 0; i < 200; ++i) {
        allowed += limiter.allow(net::Address::v4({10, 0, i, 1}), kStart) ? 1 : 0;
    }
    EXPECT_EQ(limiter.size(), 8U);
    EXPECT_EQ(allowed, 8 + 2);  // each of the first, and the bucket that all others share
    EXPECT_TRUE(limiter.allow(net::Address::v4({10, 0, 0, 1}), kStart));
    EXPECT_TRUE(limiter.allow(net::Address::v4({10, 1, 0, 1}), kStart + 10s));
    EXPECT_EQ(limiter.size(), 1U);
}

}  // namespace
}  // namespace pinhole::rendezvous
