#include "tests/vectors/rfc5769.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"

#include <gtest/gtest.h>

namespace pinhole::stun {
namespace {

using enum AttributeType;

MessageView parsed(ByteView bytes) {
    return MessageView::parse(bytes).value();
}

TransactionId id_of(ByteView bytes) {
    return parsed(bytes).transaction_id();
}

TEST(Rfc5769, ReadsAndVerifiesTheRequest) {
    const auto message = parsed(vectors::kRequest);
    EXPECT_EQ(message.message_class(), MessageClass::request);
    EXPECT_EQ(message.method(), kBinding);
    EXPECT_EQ(message.software(), "STUN test client");
    EXPECT_EQ(message.priority(), 0x6e0001ffU);
    EXPECT_EQ(message.ice_controlled(), 0x932ff9b151263b36U);
    EXPECT_EQ(message.username(), "evtj:h6vY");
    EXPECT_FALSE(message.use_candidate());
    EXPECT_TRUE(verify_integrity(message, short_term_key(vectors::kPassword)));
    EXPECT_FALSE(verify_integrity(message, short_term_key("VOkJxbRl1RmTxUk/WvJxBT")));
    EXPECT_TRUE(verify_fingerprint(message));
    EXPECT_TRUE(message.unknown_required().empty());
}

TEST(Rfc5769, ReadsAndVerifiesTheIpv4Response) {
    const auto message = parsed(vectors::kResponseV4);
    EXPECT_EQ(message.message_class(), MessageClass::success);
    EXPECT_EQ(message.xor_mapped_address(), net::Endpoint::parse("192.0.2.1:32853"));
    EXPECT_EQ(message.software(), "test vector");
    EXPECT_TRUE(verify_integrity(message, short_term_key(vectors::kPassword)));
    EXPECT_TRUE(verify_fingerprint(message));
}

TEST(Rfc5769, ReadsAndVerifiesTheIpv6Response) {
    const auto message = parsed(vectors::kResponseV6);
    EXPECT_EQ(message.xor_mapped_address(), net::Endpoint::parse("[2001:db8:1234:5678:11:2233:4455:6677]:32853"));
    EXPECT_TRUE(verify_integrity(message, short_term_key(vectors::kPassword)));
    EXPECT_TRUE(verify_fingerprint(message));
}

TEST(Rfc5769, ReadsAndVerifiesTheLongTermRequest) {
    const auto message = parsed(vectors::kLongTermRequest);
    EXPECT_EQ(message.username(), vectors::kLongTermUsername);
    EXPECT_EQ(message.realm(), vectors::kLongTermRealm);
    EXPECT_EQ(message.nonce(), vectors::kLongTermNonce);
    const auto key = long_term_key(vectors::kLongTermUsername, vectors::kLongTermRealm, vectors::kLongTermPassword);
    EXPECT_TRUE(verify_integrity(message, key));
    EXPECT_FALSE(verify_integrity(message, short_term_key(vectors::kLongTermPassword)));
    EXPECT_FALSE(verify_fingerprint(message));
}

TEST(Rfc5769, RebuildsTheRequestToTheByte) {
    MessageBuilder builder{MessageClass::request, kBinding, id_of(vectors::kRequest), ' '};
    builder.text(software, "STUN test client")
        .u32(priority, 0x6e0001ff)
        .u64(ice_controlled, 0x932ff9b151263b36)
        .text(username, "evtj:h6vY")
        .integrity(short_term_key(vectors::kPassword))
        .fingerprint();
    EXPECT_EQ(builder.finish(), to_bytes(vectors::kRequest));
}

TEST(Rfc5769, RebuildsTheResponsesToTheByte) {
    const auto build = [](ByteView vector, const char* endpoint) {
        return MessageBuilder{MessageClass::success, kBinding, id_of(vector), ' '}
            .text(software, "test vector")
            .address(xor_mapped_address, *net::Endpoint::parse(endpoint))
            .integrity(short_term_key(vectors::kPassword))
            .fingerprint()
            .finish();
    };
    EXPECT_EQ(build(vectors::kResponseV4, "192.0.2.1:32853"), to_bytes(vectors::kResponseV4));
    EXPECT_EQ(build(vectors::kResponseV6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
              to_bytes(vectors::kResponseV6));
}

TEST(Rfc5769, RebuildsTheLongTermRequestToTheByte) {
    MessageBuilder builder{MessageClass::request, kBinding, id_of(vectors::kLongTermRequest)};
    builder.text(username, vectors::kLongTermUsername)
        .text(nonce, vectors::kLongTermNonce)
        .text(realm, vectors::kLongTermRealm)
        .integrity(long_term_key(vectors::kLongTermUsername, vectors::kLongTermRealm, vectors::kLongTermPassword));
    EXPECT_EQ(builder.finish(), to_bytes(vectors::kLongTermRequest));
}

TEST(Rfc8489, ProvesALongTermUserWithSha256AndAHashForAName) {
    const auto hash = stun::userhash(vectors::kLongTermUsername, vectors::kLongTermRealm);
    EXPECT_EQ(hash, vectors::kSha256Userhash);
    MessageBuilder builder{MessageClass::request, kBinding, id_of(vectors::kLongTermRequest)};
    builder.attribute(AttributeType::userhash, hash)
        .text(nonce, vectors::kSha256Nonce)
        .text(realm, vectors::kLongTermRealm)
        .password_algorithm(PasswordAlgorithm::sha256)
        .integrity_sha256(
            long_term_key_sha256(vectors::kLongTermUsername, vectors::kLongTermRealm, vectors::kLongTermPassword));
    const auto bytes = builder.finish();
    const auto view = MessageView::parse(bytes).value();
    EXPECT_EQ(to_bytes(view.integrity_sha256()->mac), to_bytes(vectors::kSha256Mac));
    EXPECT_EQ(view.userhash(), vectors::kSha256Userhash);
}

}  // namespace
}  // namespace pinhole::stun
