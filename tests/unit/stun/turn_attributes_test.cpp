#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"
#include "common/stun/message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::stun {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using enum AttributeType;

constexpr TransactionId kId{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};

MessageBuilder request(Method method = kAllocate) {
    return MessageBuilder{MessageClass::request, method, kId};
}

/// The message and the bytes that its view borrows.
struct Written {
    Bytes bytes;
    MessageView view;

    explicit Written(MessageBuilder& builder) : bytes(builder.finish()), view(MessageView::parse(bytes).value()) {}
};

net::Endpoint endpoint(std::string_view text) {
    return *net::Endpoint::parse(text);
}

TEST(TurnAttributes, ReadAsTheyWereWritten) {
    const Bytes payload{1, 2, 3};
    auto builder = request();
    builder.channel_number(0x4001)
        .lifetime(std::chrono::seconds{600})
        .attribute(data, payload)
        .address(xor_relayed_address, endpoint("[2001:db8::1]:49152"))
        .address_family(requested_address_family, net::Family::v6)
        .address_family(additional_address_family, net::Family::v6)
        .even_port(true)
        .requested_transport(kTransportUdp)
        .flag(dont_fragment)
        .u64(reservation_token, 0x0102030405060708)
        .address_error_code(net::Family::v6, 440, "no")
        .icmp({.type = 3, .code = 4, .data = 1400})
        .u32(connection_id, 77)
        .password_algorithm(PasswordAlgorithm::sha256)
        .password_algorithms(std::array{PasswordAlgorithm::sha256, PasswordAlgorithm::md5});
    const Written written{builder};
    const auto& view = written.view;
    EXPECT_EQ(view.channel_number(), 0x4001);
    EXPECT_EQ(view.lifetime(), std::chrono::seconds{600});
    EXPECT_THAT(view.data().value(), ElementsAre(1, 2, 3));
    EXPECT_EQ(view.xor_relayed_address(), endpoint("[2001:db8::1]:49152"));
    EXPECT_EQ(view.requested_address_family(), net::Family::v6);
    EXPECT_EQ(view.additional_address_family(), net::Family::v6);
    EXPECT_EQ(view.even_port(), true);
    EXPECT_EQ(view.requested_transport(), kTransportUdp);
    EXPECT_TRUE(view.dont_fragment());
    EXPECT_EQ(view.reservation_token(), 0x0102030405060708U);
    EXPECT_EQ(view.address_error_code()->error.code, 440);
    EXPECT_EQ(view.address_error_code()->family, net::Family::v6);
    EXPECT_EQ(view.icmp()->type, 3);
    EXPECT_EQ(view.icmp()->code, 4);
    EXPECT_EQ(view.icmp()->data, 1400U);
    EXPECT_EQ(view.connection_id(), 77U);
    EXPECT_EQ(view.password_algorithm(), PasswordAlgorithm::sha256);
    EXPECT_THAT(view.password_algorithms(), ElementsAre(PasswordAlgorithm::sha256, PasswordAlgorithm::md5));
}

TEST(TurnAttributes, AreAbsentWhereThereAreNone) {
    auto builder = request();
    const Written written{builder};
    const auto& view = written.view;
    EXPECT_FALSE(view.channel_number() || view.lifetime() || view.xor_peer_address() || view.data() ||
                 view.xor_relayed_address() || view.requested_address_family() || view.even_port() ||
                 view.requested_transport() || view.reservation_token() || view.icmp() || view.connection_id() ||
                 view.userhash() || view.password_algorithm() || view.dont_fragment());
    EXPECT_THAT(view.xor_peer_addresses().value(), IsEmpty());
    EXPECT_THAT(view.password_algorithms(), IsEmpty());
}

TEST(TurnAttributes, OfTheWrongSizeAreNotRead) {
    const Bytes five{0, 0, 0, 0, 0};
    auto builder = request();
    for (const auto type : {channel_number, lifetime, xor_peer_address, xor_relayed_address, requested_address_family,
                            even_port, requested_transport, dont_fragment, reservation_token, icmp, connection_id,
                            userhash, password_algorithm, password_algorithms}) {
        builder.attribute(type, five);
    }
    const Written written{builder};
    const auto& view = written.view;
    EXPECT_FALSE(view.channel_number() || view.lifetime() || view.xor_peer_address() || view.xor_relayed_address() ||
                 view.requested_address_family() || view.even_port() || view.requested_transport() ||
                 view.reservation_token() || view.icmp() || view.connection_id() || view.userhash() ||
                 view.password_algorithm() || view.dont_fragment() || view.xor_peer_addresses());
    EXPECT_TRUE(view.has(lifetime));
}

TEST(TurnAttributes, TheFirstPeerCountsAndAllAreListed) {
    auto builder = request(kCreatePermission);
    builder.address(xor_peer_address, endpoint("192.0.2.1:1000")).address(xor_peer_address, endpoint("192.0.2.2:2000"));
    const Written written{builder};
    EXPECT_EQ(written.view.xor_peer_address(), endpoint("192.0.2.1:1000"));
    EXPECT_THAT(written.view.xor_peer_addresses().value(),
                ElementsAre(endpoint("192.0.2.1:1000"), endpoint("192.0.2.2:2000")));
}

TEST(TurnAttributes, PeersAreBounded) {
    for (const std::size_t count : {kMaxPeerAddresses, kMaxPeerAddresses + 1}) {
        auto builder = request(kCreatePermission);
        for (std::size_t i = 0; i < count; ++i) {
            builder.address(xor_peer_address, endpoint("192.0.2.1:1000"));
        }
        const Written written{builder};
        EXPECT_EQ(written.view.xor_peer_addresses().has_value(), count == kMaxPeerAddresses);
    }
}

TEST(TurnAttributes, AFamilyOfAnotherWorldIsNotRead) {
    auto builder = request();
    builder.u32(requested_address_family, 0x03000000);
    const Written written{builder};
    EXPECT_TRUE(written.view.has(requested_address_family));
    EXPECT_FALSE(written.view.requested_address_family());
}

// RFC 8489 §18.5.1, §14.4: what the two algorithms and the hash of a name are made of.
TEST(TurnAttributes, LongTermKeysDifferByAlgorithm) {
    const auto hash = stun::userhash("user", "realm");
    const auto text = sha256(as_bytes("user:realm"));
    EXPECT_EQ(hash, text);
    EXPECT_EQ(long_term_key_sha256("user", "realm", "pass"), sha256(as_bytes("user:realm:pass")));
    EXPECT_EQ(long_term_key("user", "realm", "pass"), md5(as_bytes("user:realm:pass")));
}

}  // namespace
}  // namespace pinhole::stun
