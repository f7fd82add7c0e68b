// NAT behaviour discovery (RFC 5780 §6) with two addresses and two ports, for modern clients and those of RFC 3489.
#include "rendezvous/core/stun_binding.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

using testing::ElementsAre;
using enum stun::AttributeType;
using stun::ChangeRequest;
using stun::MessageBuilder;
using stun::MessageClass;
using stun::MessageView;

constexpr stun::TransactionId kId{{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2}};

net::Endpoint at(std::string_view text) {
    return *net::Endpoint::parse(text);
}

struct Family {
    StunSite site;
    net::Endpoint client;
    std::size_t headers;  ///< IP and UDP
};

const Family kV4{.site = {.addresses = {*net::Address::parse("192.0.2.1"), *net::Address::parse("192.0.2.2")},
                          .ports = {3478, 3479}},
                 .client = at("203.0.113.9:40000"),
                 .headers = 28};
const Family kV6{.site = {.addresses = {*net::Address::parse("2001:db8::1"), *net::Address::parse("2001:db8::2")},
                          .ports = {3478, 3479}},
                 .client = at("[2001:db8:9::9]:40000"),
                 .headers = 48};

MessageBuilder request() {
    return MessageBuilder{MessageClass::request, stun::kBinding, kId};
}

/// As a client of RFC 3489 writes it: sixteen bytes of transaction ID where the cookie would be.
Bytes classic(Bytes bytes) {
    std::fill(bytes.begin() + 4, bytes.begin() + 8, std::uint8_t{0x55});
    return bytes;
}

/// Reads an answer to `classic`.
Bytes modern(Bytes bytes) {
    EXPECT_TRUE(std::all_of(bytes.begin() + 4, bytes.begin() + 8, [](auto byte) { return byte == 0x55; }));
    std::ranges::copy(std::array<std::uint8_t, 4>{0x21, 0x12, 0xa4, 0x42}, bytes.begin() + 4);
    return bytes;
}

net::Endpoint endpoint(const StunSite& site, std::size_t address, std::size_t port) {
    return {.address = site.addresses[address], .port = site.ports[port]};
}

std::optional<BindingAnswer> ask(const Family& family, const Bytes& bytes, std::size_t address = 0,
                                 std::size_t port = 0) {
    return answer_binding(
        {.bytes = bytes, .path = {.local = endpoint(family.site, address, port), .remote = family.client}},
        &family.site);
}

/// Every combination of CHANGE-REQUEST and the endpoint that a request arrived at.
template <class Check>
void for_each_case(Check check) {
    for (const auto& family : {kV4, kV6}) {
        for (const std::size_t address : {0U, 1U}) {
            for (const std::size_t port : {0U, 1U}) {
                for (const bool change_ip : {false, true}) {
                    for (const bool change_port : {false, true}) {
                        SCOPED_TRACE(endpoint(family.site, address, port).text() + (change_ip ? " change IP" : "") +
                                     (change_port ? " change port" : ""));
                        const auto origin =
                            endpoint(family.site, change_ip ? 1 - address : address, change_port ? 1 - port : port);
                        const auto other = endpoint(family.site, 1 - address, 1 - port);
                        const auto bytes =
                            request().change_request({.change_ip = change_ip, .change_port = change_port}).finish();
                        check(family, bytes, endpoint(family.site, address, port), origin, other);
                    }
                }
            }
        }
    }
}

TEST(StunBinding, ChangeRequestDecidesWhereTheAnswerComesFrom) {
    for_each_case([](const Family& family, const Bytes& bytes, const net::Endpoint& local, const net::Endpoint& origin,
                     const net::Endpoint& other) {
        const auto answer =
            answer_binding({.bytes = bytes, .path = {.local = local, .remote = family.client}}, &family.site).value();
        EXPECT_TRUE(answer.success);
        EXPECT_EQ(answer.transmit.path.local, origin);
        EXPECT_EQ(answer.transmit.path.remote, family.client);
        const auto message = MessageView::parse(answer.transmit.payload).value();
        EXPECT_EQ(message.transaction_id(), kId);
        EXPECT_EQ(message.xor_mapped_address(), family.client);
        EXPECT_EQ(message.mapped_address(), family.client);
        EXPECT_EQ(message.response_origin(), origin);
        EXPECT_EQ(message.other_address(), other) << "what both flags would change to, whatever was asked for";
        EXPECT_FALSE(message.has(software));
    });
}

TEST(StunBinding, AnswersClientsOfRfc3489FromEverywhereToo) {
    for_each_case([](const Family& family, const Bytes& bytes, const net::Endpoint& local, const net::Endpoint& origin,
                     const net::Endpoint& other) {
        const auto answer =
            answer_binding({.bytes = classic(bytes), .path = {.local = local, .remote = family.client}}, &family.site)
                .value();
        EXPECT_EQ(answer.transmit.path.local, origin);
        EXPECT_EQ(answer.transmit.path.remote, family.client);
        const auto payload = modern(answer.transmit.payload);
        const auto message = MessageView::parse(payload).value();
        EXPECT_EQ(message.transaction_id(), kId);
        EXPECT_EQ(message.mapped_address(), family.client);
        EXPECT_EQ(message.source_address(), origin);
        EXPECT_EQ(message.changed_address(), other);
        EXPECT_FALSE(message.has(xor_mapped_address));
        EXPECT_FALSE(message.has(response_origin));
        EXPECT_FALSE(message.has(other_address));
    });
}

TEST(StunBinding, ABareRequestLearnsOfTheOtherAddress) {
    for (const auto& family : {kV4, kV6}) {
        for (const auto& [address, port] : {std::pair<std::size_t, std::size_t>{0, 0}, {0, 1}, {1, 1}}) {
            const auto answer = ask(family, request().finish(), address, port).value();
            const auto message = MessageView::parse(answer.transmit.payload).value();
            EXPECT_EQ(message.xor_mapped_address(), family.client);
            EXPECT_EQ(message.response_origin(), endpoint(family.site, address, port));
            EXPECT_EQ(message.other_address(), endpoint(family.site, 1 - address, 1 - port));
            EXPECT_FALSE(message.has(mapped_address));
        }
    }
}

TEST(StunBinding, TheSecondMappingTestIsLedToTheThird) {
    for (const auto& family : {kV4, kV6}) {
        const auto answer = ask(family, request().finish(), 1, 0).value();
        const auto message = MessageView::parse(answer.transmit.payload).value();
        EXPECT_EQ(message.response_origin(), endpoint(family.site, 1, 0));
        EXPECT_EQ(message.other_address(), endpoint(family.site, 1, 1));

        const auto careful = ask(family, request().fingerprint().finish(), 1, 0).value();
        EXPECT_EQ(MessageView::parse(careful.transmit.payload).value().other_address(), endpoint(family.site, 0, 1))
            << "a client whose first address is our second one";
    }
}

TEST(StunBinding, WithOneAddressThereIsNoOtherAndNothingToChange) {
    const net::PathAddresses path{.local = at("192.0.2.1:3478"), .remote = kV4.client};
    const auto bare = answer_binding({.bytes = request().finish(), .path = path}, nullptr).value();
    const auto success = MessageView::parse(bare.transmit.payload).value();
    EXPECT_FALSE(success.has(other_address));
    EXPECT_FALSE(success.has(response_origin));
    EXPECT_EQ(bare.transmit.payload.size(), 32U);

    const auto refused =
        answer_binding({.bytes = request().change_request({}).finish(), .path = path}, nullptr).value();
    EXPECT_FALSE(refused.success);
    EXPECT_EQ(refused.transmit.path, path);
    const auto message = MessageView::parse(refused.transmit.payload).value();
    EXPECT_EQ(message.error_code()->code, 420);
    EXPECT_THAT(message.unknown_attributes(), ElementsAre(0x0003));
}

TEST(StunBinding, WithOneAddressClientsOfRfc3489LearnTheirsAndNoMore) {
    const net::PathAddresses path{.local = at("192.0.2.1:3478"), .remote = kV4.client};
    const auto bare = answer_binding({.bytes = classic(request().finish()), .path = path}, nullptr).value();
    EXPECT_TRUE(bare.success);
    EXPECT_EQ(bare.transmit.path, path);
    EXPECT_EQ(bare.transmit.payload.size(), 32U);
    const auto success = modern(bare.transmit.payload);
    EXPECT_EQ(MessageView::parse(success).value().mapped_address(), kV4.client);

    const auto refused =
        answer_binding({.bytes = classic(request().change_request({}).finish()), .path = path}, nullptr).value();
    EXPECT_FALSE(refused.success);
    const auto error = modern(refused.transmit.payload);
    EXPECT_EQ(MessageView::parse(error).value().error_code()->code, 420);
}

TEST(StunBinding, ResponsePortChangesThePortOfTheDestinationOnly) {
    for (const auto* site : {&kV4.site, static_cast<const StunSite*>(nullptr)}) {
        const net::PathAddresses path{.local = at("192.0.2.1:3478"), .remote = kV4.client};
        const auto answer =
            answer_binding({.bytes = request().response_port(50000).finish(), .path = path}, site).value();
        EXPECT_TRUE(answer.success);
        EXPECT_EQ(answer.transmit.path.local, path.local);
        EXPECT_EQ(answer.transmit.path.remote, at("203.0.113.9:50000"));
        const auto message = MessageView::parse(answer.transmit.payload).value();
        EXPECT_EQ(message.xor_mapped_address(), kV4.client) << "where the request came from";
    }
}

TEST(StunBinding, ResponsePortGoesTogetherWithChangeRequest) {
    const auto bytes = request().change_request({.change_ip = true, .change_port = false}).response_port(1024).finish();
    const auto answer = ask(kV4, bytes).value();
    EXPECT_EQ(answer.transmit.path.local, at("192.0.2.2:3478"));
    EXPECT_EQ(answer.transmit.path.remote, at("203.0.113.9:1024"));
}

TEST(StunBinding, ResponsePortIsNoWayToSomebodysServices) {
    for (const std::uint16_t port : std::initializer_list<std::uint16_t>{0, 1, 53, 1023}) {
        const auto answer = ask(kV4, request().response_port(port).finish()).value();
        EXPECT_FALSE(answer.success);
        EXPECT_EQ(answer.transmit.path.remote, kV4.client) << "the refusal goes to whoever asked";
        EXPECT_EQ(MessageView::parse(answer.transmit.payload).value().error_code()->code, 400) << port;
    }
}

TEST(StunBinding, RefusesAttributesOfTheWrongSize) {
    const Bytes value(3, 0xff);
    for (const auto type : {change_request, response_port}) {
        const auto answer = ask(kV4, request().attribute(type, value).finish()).value();
        EXPECT_EQ(MessageView::parse(answer.transmit.payload).value().error_code()->code, 400);
        EXPECT_EQ(answer.transmit.path.local, at("192.0.2.1:3478"));
    }
}

TEST(StunBinding, NeverSendsToAnAddressThatTheRequestNames) {
    const auto modern_answer = ask(kV4, request().address(response_address, at("198.51.100.1:80")).finish()).value();
    EXPECT_EQ(modern_answer.transmit.path.remote, kV4.client);
    const auto refusal = MessageView::parse(modern_answer.transmit.payload).value();
    EXPECT_EQ(refusal.error_code()->code, 420);
    EXPECT_THAT(refusal.unknown_attributes(), ElementsAre(0x0002));

    const auto old = ask(kV4, classic(request().address(response_address, at("198.51.100.1:80")).finish())).value();
    EXPECT_EQ(old.transmit.path.remote, kV4.client);
    const auto payload = modern(old.transmit.payload);
    const auto old_refusal = MessageView::parse(payload).value();
    EXPECT_EQ(old_refusal.error_code()->code, 420);
    EXPECT_THAT(old_refusal.unknown_attributes(), ElementsAre(0x0002, 0x0002))
        << "RFC 3489 wants a multiple of four bytes";
}

TEST(StunBinding, PaddingIsRefused) {
    const auto answer = ask(kV4, request().attribute(padding, Bytes(1000)).finish()).value();
    const auto message = MessageView::parse(answer.transmit.payload).value();
    EXPECT_EQ(message.error_code()->code, 420);
    EXPECT_THAT(message.unknown_attributes(), ElementsAre(0x0026));
}

TEST(StunBinding, OverTcpNothingCanBeChanged) {
    const BindingRequest bare{.bytes = {},
                              .path = {.local = endpoint(kV4.site, 1, 1), .remote = kV4.client},
                              .transport = StunTransport::tcp};
    auto asked = bare;
    const auto plain = request().finish();
    asked.bytes = plain;
    const auto answer = answer_binding(asked, &kV4.site).value();
    const auto message = MessageView::parse(answer.transmit.payload).value();
    EXPECT_EQ(message.other_address(), endpoint(kV4.site, 0, 0));
    EXPECT_EQ(message.response_origin(), endpoint(kV4.site, 1, 1));

    for (const auto& bytes : {request().change_request({}).finish(), request().response_port(5000).finish()}) {
        asked.bytes = bytes;
        const auto refusal = answer_binding(asked, &kV4.site).value();
        EXPECT_EQ(refusal.transmit.path, bare.path);
        EXPECT_EQ(MessageView::parse(refusal.transmit.payload).value().error_code()->code, 420);
    }
    const auto old = classic(plain);
    asked.bytes = old;
    EXPECT_FALSE(answer_binding(asked, &kV4.site)) << "RFC 3489 knows no TCP";
}

TEST(StunBinding, OnlyBindingRequestsOfRfc3489AreAnswered) {
    for (const auto kind : {MessageClass::indication, MessageClass::success, MessageClass::error}) {
        EXPECT_FALSE(ask(kV4, classic(MessageBuilder{kind, stun::kBinding, kId}.finish())));
    }
    EXPECT_FALSE(ask(kV4, classic(MessageBuilder{MessageClass::request, stun::Method{2}, kId}.finish())))
        << "Shared Secret";
    EXPECT_FALSE(ask(kV4, Bytes(19)));
    EXPECT_FALSE(ask(kV4, Bytes(20)));
    auto longer = classic(request().finish());
    longer.push_back(0);
    EXPECT_FALSE(ask(kV4, longer));
}

/// Bytes of the answer for each byte of the request, on the wire.
double amplification(const Family& family, const Bytes& bytes) {
    const auto answer = ask(family, bytes);
    return answer ? static_cast<double>(answer->transmit.payload.size() + family.headers) /
                        static_cast<double>(bytes.size() + family.headers)
                  : 0;
}

TEST(StunBinding, AnswersAreLittleLargerThanTheirRequests) {
    auto many_unknown = request();
    for (std::uint16_t type = 0x7000; type < 0x7020; ++type) {
        many_unknown.attribute(stun::AttributeType{type}, {});
    }
    const std::vector<Bytes> requests{request().finish(),
                                      request().fingerprint().finish(),
                                      request().change_request({.change_ip = true, .change_port = true}).finish(),
                                      request().response_port(5000).finish(),
                                      request().attribute(padding, Bytes(1000)).finish(),
                                      request().attribute(stun::AttributeType{0x7000}, {}).finish(),
                                      many_unknown.finish()};
    for (std::size_t i = 0; i < requests.size(); ++i) {
        EXPECT_LE(amplification(kV4, requests[i]), 1.75) << i;
        EXPECT_LE(amplification(kV6, requests[i]), 2.2) << i;
        EXPECT_LE(amplification(kV4, classic(requests[i])), 1.75) << i;
        EXPECT_LE(amplification(kV6, classic(requests[i])), 2.1) << i;
    }
    const net::PathAddresses path{.local = at("192.0.2.1:3478"), .remote = kV4.client};
    const auto plain = answer_binding({.bytes = requests[0], .path = path}, nullptr).value();
    EXPECT_LE(plain.transmit.payload.size(), 32U) << "with one address";
}

}  // namespace
}  // namespace pinhole::rendezvous
