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

/// From `source` to a server with one address.
net::PathAddresses from(const char* source) {
    const auto remote = at(source);
    return {.local = remote.address.is_v4() ? at("192.0.2.1:3478") : at("[2001:db8::1]:3478"), .remote = remote};
}

std::optional<Bytes> ask(StunService& service, ByteView bytes, const char* source, TimePoint now = kStart) {
    const auto path = from(source);
    auto transmit = service.handle_datagram(bytes, path, now);
    if (!transmit) {
        return std::nullopt;
    }
    EXPECT_EQ(transmit->path, path);
    return transmit->payload;
}

TEST(StunService, TellsTheSourceItsAddress) {
    for (const auto* source : {"203.0.113.9:40000", "[2001:db8::9]:40000"}) {
        StunService service;
        const auto answer = ask(service, request().finish(), source).value();
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
    StunService service;
    const auto answer = ask(service, request().finish(), "[::ffff:203.0.113.9]:40000").value();
    EXPECT_EQ(MessageView::parse(answer).value().xor_mapped_address(), at("203.0.113.9:40000"));
}

TEST(StunService, AnswersAFingerprintWithAFingerprint) {
    StunService service;
    const auto answer = ask(service, request().fingerprint().finish(), "203.0.113.9:1").value();
    EXPECT_TRUE(stun::verify_fingerprint(MessageView::parse(answer).value()));
    auto broken = request().fingerprint().finish();
    broken.back() = static_cast<std::uint8_t>(broken.back() ^ 1U);
    EXPECT_FALSE(ask(service, broken, "203.0.113.9:1"));
}

TEST(StunService, AnswersTheSampleRequestOfRfc5769) {
    StunService service;
    EXPECT_TRUE(ask(service, vectors::kRequest, "203.0.113.9:1"));
}

TEST(StunService, RefusesUnknownRequiredAttributes) {
    StunService service;
    const auto bytes = request().attribute(stun::AttributeType{0x7001}, {}).change_request({}).finish();
    const auto answer = ask(service, bytes, "203.0.113.9:1").value();
    const auto message = MessageView::parse(answer).value();
    EXPECT_EQ(message.message_class(), MessageClass::error);
    EXPECT_EQ(message.error_code().value().code, 420);
    EXPECT_THAT(message.unknown_attributes(), ElementsAre(0x7001, 0x0003));
    EXPECT_EQ(service.stats().refused, 1U);
}

TEST(StunService, StaysSilentTowardsEverythingElse) {
    StunService service;
    const auto* source = "203.0.113.9:1";
    for (const auto kind : {MessageClass::indication, MessageClass::success, MessageClass::error}) {
        EXPECT_FALSE(ask(service, MessageBuilder{kind, stun::kBinding, kId}.finish(), source));
    }
    EXPECT_FALSE(ask(service, MessageBuilder{MessageClass::request, stun::Method{3}, kId}.finish(), source));
    EXPECT_FALSE(ask(service, {}, source));
    EXPECT_FALSE(ask(service, vectors::kResponseV4, source));
    EXPECT_FALSE(ask(service, ByteView{vectors::kRequest}.first(50), source));
    EXPECT_FALSE(ask(service, request().text(software, std::string(1300, 'x')).finish(), source));
    SCOPED_TRACE("seed 3478");
    SeededRng rng{3478};
    for (int round = 0; round < 2000; ++round) {
        Bytes garbage(rng.below(200));
        rng.fill(garbage);
        EXPECT_FALSE(ask(service, garbage, source));
    }
    EXPECT_EQ(service.stats().answered, 0U);
}

/// How many of `count` requests are answered, all at one instant.
int answered(StunService& service, const Bytes& bytes, const char* source, TimePoint now, int count = 100) {
    int result = 0;
    for (int i = 0; i < count; ++i) {
        result += ask(service, bytes, source, now) ? 1 : 0;
    }
    return result;
}

TEST(StunService, LimitsEachSourceNetworkByItself) {
    // 32 bytes of answer and 48 of headers, 44 and 48 for IPv6.
    StunService service{{.bytes = {.per_second = 800, .burst = 1840}}};
    const auto bytes = request().finish();
    EXPECT_EQ(answered(service, bytes, "203.0.113.9:1", kStart), 23);
    EXPECT_EQ(answered(service, bytes, "203.0.113.200:7", kStart), 0);
    EXPECT_EQ(answered(service, bytes, "203.0.114.1:1", kStart), 23);
    EXPECT_EQ(answered(service, bytes, "203.0.113.9:1", kStart + 1s), 10);
    EXPECT_EQ(answered(service, bytes, "203.0.113.9:1", kStart + 1h), 23);
    EXPECT_EQ(answered(service, bytes, "[2001:db8:0:1::1]:1", kStart), 20);
    EXPECT_EQ(answered(service, bytes, "[2001:db8:0:ff::1]:1", kStart), 0);
    EXPECT_EQ(answered(service, bytes, "[2001:db8:0:100::1]:1", kStart), 20);
    EXPECT_GT(service.stats().limited, 0U);
}

TEST(StunService, LargerAnswersUseTheLimitUpSooner) {
    const StunSite site{.addresses = {*net::Address::parse("192.0.2.1"), *net::Address::parse("192.0.2.2")},
                        .ports = {3478, 3479}};
    StunService service{{.bytes = {.per_second = 1, .burst = 8320}, .sites = {site}}};
    EXPECT_EQ(answered(service, request().finish(), "203.0.113.9:1", kStart, 200), 8320 / (56 + 48));
}

TEST(StunService, AForgedSourceGetsAtMostTheLimit) {
    StunService service;
    std::size_t bytes = 0;
    const auto asked = request().finish();
    for (int i = 0; i < 10'000; ++i) {
        if (const auto answer = ask(service, asked, "203.0.113.9:1", kStart + i * 1ms)) {
            bytes += answer->size() + 28;
        }
    }
    EXPECT_LE(bytes, 32'000U + 10 * 16'000) << "10 s of 1000 requests a second";
}

TEST(StunService, OverTcpTheAnswerIsForTheConnection) {
    StunService service;
    const auto answer = service.handle_stream(request().finish(), from("203.0.113.9:40000"), kStart).value();
    EXPECT_EQ(MessageView::parse(answer).value().xor_mapped_address(), at("203.0.113.9:40000"));
}

}  // namespace
}  // namespace pinhole::rendezvous
