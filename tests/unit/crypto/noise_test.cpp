#include "common/crypto/noise.hpp"

#include "tests/unit/crypto/support.hpp"

#include <utility>

#include <gtest/gtest.h>

namespace pinhole::crypto {
namespace {

using enum NoiseRole;

class Noise : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(initialize()); }

    NoiseHandshake make(NoisePattern pattern, NoiseRole role, std::string_view prologue = "test") {
        return make_with(pattern, role, prologue, bob_.public_key);
    }

    NoiseHandshake make_with(NoisePattern pattern, NoiseRole role, std::string_view prologue,
                             std::optional<Key32> remote) {
        const auto& own = role == initiator ? alice_ : bob_;
        return NoiseHandshake{{.pattern = pattern,
                               .role = role,
                               .prologue = to_bytes(as_bytes(prologue)),
                               .static_keys = {.secret = own.secret.clone(), .public_key = own.public_key},
                               .remote_static = remote},
                              rng_};
    }

    SeededRng rng_{17};
    KeyPair alice_ = KeyPair::generate(rng_);
    KeyPair bob_ = KeyPair::generate(rng_);
};

/// Runs a handshake to its end; false at the first error.
bool run(NoiseHandshake& a, NoiseHandshake& b) {
    auto* writer = &a;
    auto* reader = &b;
    while (!writer->finished()) {
        const auto message = writer->write(as_bytes("payload"));
        if (!message) {
            return false;
        }
        const auto payload = reader->read(*message);
        if (!payload || as_text(*payload) != "payload") {
            return false;
        }
        std::swap(writer, reader);
    }
    return true;
}

TEST_F(Noise, BothSidesEndWithTheSameKeys) {
    for (const auto pattern : {NoisePattern::XX, NoisePattern::IK}) {
        auto a = make(pattern, initiator);
        auto b = make(pattern, responder);
        ASSERT_TRUE(run(a, b));
        ASSERT_TRUE(a.finished() && b.finished());
        EXPECT_EQ(a.remote_static(), bob_.public_key);
        EXPECT_EQ(b.remote_static(), alice_.public_key);
        const auto of_a = a.split();
        const auto of_b = b.split();
        EXPECT_TRUE(equal_constant_time(of_a.send.view(), of_b.receive.view()));
        EXPECT_TRUE(equal_constant_time(of_a.receive.view(), of_b.send.view()));
        EXPECT_FALSE(equal_constant_time(of_a.send.view(), of_a.receive.view()));
        EXPECT_EQ(of_a.handshake_hash, of_b.handshake_hash);
    }
}

TEST_F(Noise, RemoteKeyIsKnownAfterTheMessageThatCarriesIt) {
    auto a = make(NoisePattern::XX, initiator);
    auto b = make(NoisePattern::XX, responder);
    EXPECT_FALSE(a.remote_static()) << "XX learns it, whatever the configuration says";
    ASSERT_TRUE(b.read(*a.write({})));
    EXPECT_FALSE(b.remote_static());
    ASSERT_TRUE(a.read(*b.write({})));
    EXPECT_EQ(a.remote_static(), bob_.public_key);
    ASSERT_TRUE(b.read(*a.write({})));
    EXPECT_EQ(b.remote_static(), alice_.public_key);
}

TEST_F(Noise, RefusesReadsAndWritesOutOfTurn) {
    auto a = make(NoisePattern::XX, initiator);
    auto b = make(NoisePattern::XX, responder);
    EXPECT_EQ(a.read(Bytes(32)).error().code, NoiseErrc::wrong_order);
    EXPECT_EQ(b.write({}).error().code, NoiseErrc::wrong_order);
    const auto first = a.write({});
    ASSERT_TRUE(first);
    EXPECT_EQ(a.write({}).error().code, NoiseErrc::wrong_order);
    ASSERT_TRUE(b.read(*first));
    EXPECT_EQ(b.read(*first).error().code, NoiseErrc::wrong_order);
    ASSERT_TRUE(a.read(*b.write({})));
    ASSERT_TRUE(b.read(*a.write({})));
    EXPECT_EQ(a.write({}).error().code, NoiseErrc::wrong_order);
    EXPECT_EQ(b.read(Bytes(64)).error().code, NoiseErrc::wrong_order);
    EXPECT_TRUE(a.finished() && b.finished()) << "a stray call does not undo the handshake";
}

TEST_F(Noise, SplitBeforeTheEndOrTwiceEndsTheProgram) {
    EXPECT_DEATH(static_cast<void>(make(NoisePattern::XX, initiator).split()), "");
    auto a = make(NoisePattern::IK, initiator);
    auto b = make(NoisePattern::IK, responder);
    ASSERT_TRUE(run(a, b));
    static_cast<void>(a.split());
    EXPECT_DEATH(static_cast<void>(a.split()), "");
}

TEST_F(Noise, RefusesEveryChangedByteOfAnEncryptedMessage) {
    // Every byte of every message but the first of XX, which has no key: there the next message fails instead.
    for (std::size_t i = 0;; ++i) {
        auto a = make(NoisePattern::IK, initiator);
        auto b = make(NoisePattern::IK, responder);
        auto message = *a.write(as_bytes("payload"));
        if (i == message.size()) {
            break;
        }
        message[i] ^= 1;
        EXPECT_FALSE(b.read(message)) << i;
        EXPECT_FALSE(b.finished());
    }
    for (std::size_t i = 0;; ++i) {
        auto a = make(NoisePattern::XX, initiator);
        auto b = make(NoisePattern::XX, responder);
        ASSERT_TRUE(b.read(*a.write({})));
        auto message = *b.write(as_bytes("payload"));
        if (i == message.size()) {
            break;
        }
        message[i] ^= 0x80;
        EXPECT_FALSE(a.read(message)) << i;
    }
}

TEST_F(Noise, ChangedFirstMessageOfXxFailsAtTheSecond) {
    auto a = make(NoisePattern::XX, initiator);
    auto b = make(NoisePattern::XX, responder);
    auto message = *a.write(as_bytes("payload"));
    message.back() ^= 1;
    ASSERT_TRUE(b.read(message));
    EXPECT_EQ(a.read(*b.write({})).error().code, NoiseErrc::decrypt_failed);
}

TEST_F(Noise, IsOverAfterAnError) {
    auto a = make(NoisePattern::IK, initiator);
    auto b = make(NoisePattern::IK, responder);
    const auto good = *a.write({});
    auto bad = good;
    bad.back() ^= 1;
    EXPECT_EQ(b.read(bad).error().code, NoiseErrc::decrypt_failed);
    EXPECT_EQ(b.read(good).error().code, NoiseErrc::decrypt_failed);
    EXPECT_FALSE(b.write({}));
    EXPECT_FALSE(b.finished());
}

TEST_F(Noise, RefusesTruncationAtEveryLength) {
    const auto message = *make(NoisePattern::IK, initiator).write({});
    for (std::size_t size = 0; size < message.size(); ++size) {
        auto b = make(NoisePattern::IK, responder);
        const auto payload = b.read(ByteView{message}.first(size));
        ASSERT_FALSE(payload) << size;
        const bool too_short = payload.error().code == NoiseErrc::too_short;
        EXPECT_TRUE(too_short || payload.error().code == NoiseErrc::decrypt_failed);
    }
    EXPECT_EQ(make(NoisePattern::XX, responder).read(Bytes(31)).error().code, NoiseErrc::too_short);
}

TEST_F(Noise, RefusesLowOrderEphemeralKeys) {
    auto ik = make(NoisePattern::IK, responder);
    EXPECT_EQ(ik.read(Bytes(96)).error().code, NoiseErrc::bad_key);
    auto xx = make(NoisePattern::XX, responder);
    ASSERT_TRUE(xx.read(Bytes(32))) << "nothing is agreed yet";
    EXPECT_EQ(xx.write({}).error().code, NoiseErrc::bad_key);
}

TEST_F(Noise, RefusesAnotherPrologueRecipientOrPattern) {
    auto a = make(NoisePattern::IK, initiator, "one");
    auto b = make(NoisePattern::IK, responder, "other");
    EXPECT_FALSE(run(a, b));

    auto to_somebody_else = make_with(NoisePattern::IK, initiator, "test", alice_.public_key);
    auto bob = make(NoisePattern::IK, responder);
    EXPECT_FALSE(run(to_somebody_else, bob));

    auto xx = make(NoisePattern::XX, initiator);
    auto ik = make(NoisePattern::IK, responder);
    EXPECT_FALSE(run(xx, ik));
}

TEST_F(Noise, IkInitiatorNeedsToKnowTheOtherSide) {
    auto a = make_with(NoisePattern::IK, initiator, "test", std::nullopt);
    EXPECT_EQ(a.write({}).error().code, NoiseErrc::bad_key);
}

TEST_F(Noise, RefusesMessagesAboveTheNoiseLimit) {
    auto a = make(NoisePattern::XX, initiator);
    EXPECT_EQ(a.write(Bytes(65535 - 31)).error().code, Errc::too_large);
    auto fits = make(NoisePattern::XX, initiator);
    EXPECT_TRUE(fits.write(Bytes(65535 - 32)));
    auto b = make(NoisePattern::XX, responder);
    EXPECT_EQ(b.read(Bytes(65536)).error().code, Errc::too_large);
}

TEST_F(Noise, SurvivesBeingMoved) {
    auto a = make(NoisePattern::XX, initiator);
    auto b = make(NoisePattern::XX, responder);
    ASSERT_TRUE(b.read(*a.write({})));
    auto moved = std::move(b);
    ASSERT_TRUE(a.read(*moved.write({})));
    ASSERT_TRUE(moved.read(*a.write({})));
    EXPECT_TRUE(moved.finished());
}

}  // namespace
}  // namespace pinhole::crypto
