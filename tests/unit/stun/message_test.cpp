#include "common/stun/message.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"
#include "tests/vectors/rfc5769.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::stun {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using enum AttributeType;

constexpr TransactionId kId{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
constexpr std::string_view kKey = "a password of the test";

MessageBuilder request() {
    return MessageBuilder{MessageClass::request, kBinding, kId};
}

MessageView parsed(ByteView bytes) {
    return MessageView::parse(bytes).value();
}

/// A datagram with exactly its own size on the heap, so that a read behind the end is seen by ASan.
bool parses(ByteView bytes) {
    const Bytes exact(bytes.begin(), bytes.end());
    return MessageView::parse(exact).has_value();
}

void touch_everything(const MessageView& message) {
    (void)message.username();
    (void)message.realm();
    (void)message.nonce();
    (void)message.software();
    (void)message.error_code();
    (void)message.unknown_attributes();
    (void)message.mapped_address();
    (void)message.xor_mapped_address();
    (void)message.alternate_server();
    (void)message.response_origin();
    (void)message.other_address();
    (void)message.change_request();
    (void)message.priority();
    (void)message.use_candidate();
    (void)message.ice_controlled();
    (void)message.ice_controlling();
    (void)message.unknown_required();
    (void)verify_integrity(message, as_bytes(kKey));
    (void)verify_integrity_sha256(message, as_bytes(kKey));
    (void)verify_fingerprint(message);
}

TEST(StunMessage, KeepsClassAndMethodApart) {
    using enum MessageClass;
    constexpr std::array<std::uint16_t, 7> kMethods{0x001, 0x003, 0x009, 0x0ff, 0x555, 0xaaa, 0xfff};
    for (const auto kind : {MessageClass::request, indication, success, error}) {
        for (const std::uint16_t method : kMethods) {
            const auto bytes = MessageBuilder{kind, Method{method}, kId}.finish();
            const auto message = parsed(bytes);
            EXPECT_EQ(message.message_class(), kind);
            EXPECT_EQ(message.method(), Method{method});
            EXPECT_EQ(message.transaction_id(), kId);
        }
    }
}

TEST(StunMessage, ReadsBackEveryAttribute) {
    const auto v4 = *net::Endpoint::parse("198.51.100.7:4242");
    const auto v6 = *net::Endpoint::parse("[2001:db8::7]:65535");
    const std::array<std::uint16_t, 3> unknown{0x0011, 0x0002, 0x7fff};
    const auto bytes = request()
                           .text(username, "user")
                           .text(realm, "realm")
                           .text(nonce, "nonce")
                           .text(software, "software")
                           .error_code(487, "Role Conflict")
                           .unknown_attributes(unknown)
                           .address(mapped_address, v6)
                           .address(xor_mapped_address, v6)
                           .address(alternate_server, v4)
                           .address(response_origin, v4)
                           .address(other_address, v6)
                           .change_request({.change_ip = true, .change_port = false})
                           .u32(priority, 0x01020304)
                           .flag(use_candidate)
                           .u64(ice_controlled, 1)
                           .u64(ice_controlling, 0xffffffffffffffff)
                           .finish();
    const auto message = parsed(bytes);
    EXPECT_EQ(message.username(), "user");
    EXPECT_EQ(message.realm(), "realm");
    EXPECT_EQ(message.nonce(), "nonce");
    EXPECT_EQ(message.software(), "software");
    EXPECT_EQ(message.error_code().value().code, 487);
    EXPECT_EQ(message.error_code().value().reason, "Role Conflict");
    EXPECT_THAT(message.unknown_attributes(), ElementsAre(0x0011, 0x0002, 0x7fff));
    EXPECT_EQ(message.mapped_address(), v6);
    EXPECT_EQ(message.xor_mapped_address(), v6);
    EXPECT_EQ(message.alternate_server(), v4);
    EXPECT_EQ(message.response_origin(), v4);
    EXPECT_EQ(message.other_address(), v6);
    EXPECT_TRUE(message.change_request().value().change_ip);
    EXPECT_FALSE(message.change_request().value().change_port);
    EXPECT_EQ(message.priority(), 0x01020304U);
    EXPECT_TRUE(message.use_candidate());
    EXPECT_EQ(message.ice_controlled(), 1U);
    EXPECT_EQ(message.ice_controlling(), 0xffffffffffffffffU);
}

TEST(StunMessage, RefusesEveryTruncation) {
    for (const ByteView vector : {ByteView{vectors::kRequest}, ByteView{vectors::kResponseV4},
                                  ByteView{vectors::kResponseV6}, ByteView{vectors::kLongTermRequest}}) {
        for (std::size_t size = 0; size < vector.size(); ++size) {
            EXPECT_FALSE(parses(vector.first(size))) << size;
        }
        Bytes longer(vector.begin(), vector.end());
        longer.insert(longer.end(), 4, 0);
        EXPECT_FALSE(parses(longer));
    }
}

TEST(StunMessage, StaysInsideTheDatagramWhenTheLengthFieldFollowsTheTruncation) {
    for (std::size_t size = kHeaderSize; size < vectors::kRequest.size(); ++size) {
        Bytes cut(vectors::kRequest.begin(), vectors::kRequest.begin() + static_cast<std::ptrdiff_t>(size));
        cut[3] = static_cast<std::uint8_t>(size - kHeaderSize);
        if (const auto message = MessageView::parse(cut)) {
            touch_everything(*message);
            EXPECT_FALSE(verify_fingerprint(*message)) << size;
        }
    }
}

TEST(StunMessage, SurvivesGarbage) {
    SCOPED_TRACE("seed 5769");
    SeededRng rng{5769};
    for (int round = 0; round < 20000; ++round) {
        Bytes bytes(rng.below(120));
        rng.fill(bytes);
        if (bytes.size() >= kHeaderSize && rng.below(4) != 0) {
            bytes.resize(bytes.size() & ~std::size_t{3});
            const auto header = MessageBuilder{MessageClass::request, kBinding, kId}.finish();
            std::copy_n(header.begin(), 8, bytes.begin());
            bytes[3] = static_cast<std::uint8_t>(bytes.size() - kHeaderSize);
            for (std::size_t at = kHeaderSize; at + 4 <= bytes.size(); at += 4 + rng.below(4) * 4) {
                bytes[at] = rng.below(2) != 0 ? 0x80 : 0;
                bytes[at + 1] = static_cast<std::uint8_t>(rng.below(0x40));
                bytes[at + 2] = 0;
                bytes[at + 3] = static_cast<std::uint8_t>(rng.below(24));
            }
        }
        if (const auto message = MessageView::parse(bytes)) {
            touch_everything(*message);
        }
    }
}

TEST(StunMessage, NoBitFlipPassesBothChecks) {
    for (std::size_t bit = 0; bit < vectors::kRequest.size() * 8; ++bit) {
        Bytes bytes(vectors::kRequest.begin(), vectors::kRequest.end());
        bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ 1U << bit % 8);
        const auto message = MessageView::parse(bytes);
        if (!message) {
            continue;
        }
        EXPECT_FALSE(verify_fingerprint(*message) && verify_integrity(*message, as_bytes(vectors::kPassword))) << bit;
        // Only FINGERPRINT itself is outside of what the MAC covers.
        if (bit / 8 < vectors::kRequest.size() - 8) {
            EXPECT_FALSE(verify_integrity(*message, as_bytes(vectors::kPassword))) << bit;
        }
    }
}

TEST(StunMessage, IgnoresWhatFollowsIntegrityExceptFingerprint) {
    const auto bytes = request()
                           .text(username, "inside")
                           .integrity(as_bytes(kKey))
                           .u32(priority, 7)
                           .flag(use_candidate)
                           .attribute(AttributeType{0x0011}, {})
                           .fingerprint()
                           .finish();
    const auto message = parsed(bytes);
    EXPECT_EQ(message.username(), "inside");
    EXPECT_FALSE(message.priority());
    EXPECT_FALSE(message.use_candidate());
    EXPECT_THAT(message.unknown_required(), IsEmpty());
    EXPECT_TRUE(verify_integrity(message, as_bytes(kKey)));
    EXPECT_TRUE(verify_fingerprint(message));
}

TEST(StunMessage, VerifiesBothIntegrityAttributes) {
    const auto bytes =
        request().text(username, "u").integrity(as_bytes(kKey)).integrity_sha256(as_bytes(kKey)).fingerprint().finish();
    const auto message = parsed(bytes);
    EXPECT_TRUE(verify_integrity(message, as_bytes(kKey)));
    EXPECT_TRUE(verify_integrity_sha256(message, as_bytes(kKey)));
    EXPECT_FALSE(verify_integrity_sha256(message, as_bytes("another")));
    EXPECT_TRUE(verify_fingerprint(message));
}

TEST(StunMessage, TakesTruncatedSha256MacsOfPermittedSizesOnly) {
    const auto full = request().text(username, "u").finish();
    for (std::size_t size = 0; size <= 36; ++size) {
        Bytes text = full;
        text[3] = static_cast<std::uint8_t>(full.size() - kHeaderSize + kAttributeHeaderSize + size);
        auto mac = to_bytes(hmac_sha256(as_bytes(kKey), text));
        mac.resize(size);
        const auto bytes = request().text(username, "u").attribute(message_integrity_sha256, mac).finish();
        const auto message = MessageView::parse(bytes);
        const bool permitted = size >= 16 && size <= 32 && size % 4 == 0;
        EXPECT_EQ(message && verify_integrity_sha256(*message, as_bytes(kKey)), permitted) << size;
    }
}

TEST(StunMessage, TheFirstOfDuplicatesWins) {
    const auto bytes = request().text(username, "first").text(username, "second").finish();
    EXPECT_EQ(parsed(bytes).username(), "first");
    const auto twice = request().text(username, "u").integrity(as_bytes(kKey)).integrity(as_bytes("b")).finish();
    EXPECT_TRUE(verify_integrity(parsed(twice), as_bytes(kKey)));
    EXPECT_FALSE(verify_integrity(parsed(twice), as_bytes("b")));
}

TEST(StunMessage, RefusesAFingerprintThatIsNotLast) {
    EXPECT_FALSE(parses(request().fingerprint().text(username, "late").finish()));
    EXPECT_FALSE(parses(request().fingerprint().fingerprint().finish()));
    EXPECT_TRUE(parses(request().text(username, "early").fingerprint().finish()));
}

TEST(StunMessage, WithoutTheAttributeNothingIsAuthentic) {
    const auto bytes = request().text(username, "u").finish();
    EXPECT_FALSE(verify_integrity(parsed(bytes), as_bytes(kKey)));
    EXPECT_FALSE(verify_integrity_sha256(parsed(bytes), as_bytes(kKey)));
    EXPECT_FALSE(verify_fingerprint(parsed(bytes)));
}

TEST(StunMessage, ListsUnknownRequiredAttributesOnceAndBounded) {
    auto builder = request();
    builder.attribute(AttributeType{0x0011}, {})
        .attribute(AttributeType{0x8fff}, {})
        .attribute(AttributeType{0x0011}, {})
        .u32(priority, 1);
    const auto bytes = builder.finish();
    EXPECT_THAT(parsed(bytes).unknown_required(), ElementsAre(0x0011));
    const std::array understood{username};
    EXPECT_THAT(parsed(bytes).unknown_required(understood), ElementsAre(0x0011, 0x0024));

    auto many = request();
    for (std::uint16_t type = 0x1000; type < 0x1100; ++type) {
        many.attribute(AttributeType{type}, {});
    }
    const auto large = many.finish();
    EXPECT_EQ(parsed(large).unknown_required().size(), kMaxUnknownReported);
}

TEST(StunMessage, RefusesValuesOfTheWrongForm) {
    const Bytes three{0, 1, 2};
    const Bytes bad_family{0, 3, 0, 1, 1, 2, 3, 4};
    const Bytes short_v6{0, 2, 0, 1, 1, 2, 3, 4};
    const Bytes code_299{0, 0, 2, 99};
    const Bytes code_3_100{0, 0, 3, 100};
    EXPECT_FALSE(parsed(request().attribute(priority, three).finish()).priority());
    EXPECT_FALSE(parsed(request().attribute(ice_controlling, three).finish()).ice_controlling());
    EXPECT_FALSE(parsed(request().attribute(use_candidate, three).finish()).use_candidate());
    EXPECT_FALSE(parsed(request().attribute(xor_mapped_address, three).finish()).xor_mapped_address());
    EXPECT_FALSE(parsed(request().attribute(xor_mapped_address, bad_family).finish()).xor_mapped_address());
    EXPECT_FALSE(parsed(request().attribute(mapped_address, short_v6).finish()).mapped_address());
    EXPECT_FALSE(parsed(request().attribute(error_code, code_299).finish()).error_code());
    EXPECT_FALSE(parsed(request().attribute(error_code, code_3_100).finish()).error_code());
    EXPECT_FALSE(parses(request().attribute(message_integrity, three).finish()));
    EXPECT_FALSE(parses(request().attribute(fingerprint, three).finish()));
}

TEST(StunMessage, TellsStunFromOtherProtocols) {
    EXPECT_TRUE(is_stun(vectors::kRequest));
    EXPECT_TRUE(is_stun(vectors::kResponseV6));
    EXPECT_FALSE(is_stun(ByteView{vectors::kRequest}.first(19)));
    Bytes other(vectors::kRequest.begin(), vectors::kRequest.end());
    other[0] = 4;
    EXPECT_FALSE(is_stun(other));
    other[0] = 0;
    other[7] = 0x43;
    EXPECT_FALSE(is_stun(other));
}

TEST(StunMessage, BuilderRefusesWhatDoesNotFit) {
    EXPECT_TRUE(request().attribute(username, Bytes(70000)).finish().empty());
    auto builder = request();
    for (int i = 0; i < 8; ++i) {
        builder.attribute(username, Bytes(9000));
    }
    EXPECT_TRUE(builder.integrity(as_bytes(kKey)).fingerprint().finish().empty());
    EXPECT_TRUE(parses(request().attribute(username, Bytes(65000)).fingerprint().finish()));
}

}  // namespace
}  // namespace pinhole::stun
