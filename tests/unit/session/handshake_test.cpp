#include "peer/session/handshake.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::session {
namespace {

OfferPayload sample_offer() {
    OfferPayload offer;
    offer.from.bytes.fill(7);
    offer.sent_at = {1'700'000'000'123};
    offer.services = 3;
    offer.ciphers = available_ciphers();
    offer.connection_id = 0x1122334455667788;
    offer.ice = {.ufrag = "abcd", .pwd = "0123456789abcdefABCDEF+/"};
    return offer;
}

Bytes message_with_ephemeral(std::uint8_t first) {
    Bytes message(96, 0);
    message[0] = first;
    return message;
}

TEST(SessionOffer, SurvivesTheWire) {
    const auto offer = sample_offer();
    const auto parsed = parse_offer(serialize(offer));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->from, offer.from);
    EXPECT_EQ(parsed->sent_at, offer.sent_at);
    EXPECT_EQ(parsed->services, offer.services);
    EXPECT_EQ(parsed->connection_id, offer.connection_id);
    EXPECT_EQ(parsed->ice.ufrag, offer.ice.ufrag);
    EXPECT_EQ(parsed->ice.pwd, offer.ice.pwd);
}

TEST(SessionOffer, NamesTheSessionThatIsToGoOn) {
    auto offer = sample_offer();
    EXPECT_EQ(parse_offer(serialize(offer))->resume, 0U);
    offer.resume = 0x8877665544332211;
    EXPECT_EQ(parse_offer(serialize(offer))->resume, offer.resume);
}

TEST(SessionOffer, IsRefusedAtEveryTruncation) {
    const auto bytes = serialize(sample_offer());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(parse_offer(ByteView{bytes}.first(size))) << size;
    }
}

TEST(SessionOffer, IgnoresWhatALaterVersionAppends) {
    auto bytes = serialize(sample_offer());
    bytes.push_back(42);
    EXPECT_TRUE(parse_offer(bytes));
}

TEST(SessionOffer, RefusesCredentialsThatIceDoesNotAllow) {
    auto offer = sample_offer();
    offer.ice.ufrag = "a:b:";
    EXPECT_FALSE(parse_offer(serialize(offer)));
    offer.ice.ufrag = "abc";
    EXPECT_FALSE(parse_offer(serialize(offer)));
}

TEST(SessionAnswer, SurvivesTheWireAndRefusesUnknownCiphers) {
    const AnswerPayload answer{
        .services = 1, .cipher = crypto::Cipher::chacha20_poly1305, .connection_id = 9, .ice = sample_offer().ice};
    auto bytes = serialize(answer);
    const auto parsed = parse_answer(bytes);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->connection_id, 9U);
    bytes[2] = 99;
    EXPECT_FALSE(parse_answer(bytes));
}

TEST(CipherChoice, FallsBackToChaCha) {
    EXPECT_EQ(choose_cipher(0), crypto::Cipher::chacha20_poly1305);
    EXPECT_TRUE(available_ciphers() & (1U << static_cast<unsigned>(crypto::Cipher::chacha20_poly1305)));
}

TEST(ReplayGuard, TakesAFirstMessageOnce) {
    ReplayGuard guard;
    const WallTime now{1'000'000'000};
    EXPECT_EQ(guard.check(message_with_ephemeral(1), now, now), ReplayGuard::Verdict::fresh);
    EXPECT_EQ(guard.check(message_with_ephemeral(1), now, now), ReplayGuard::Verdict::replayed);
    EXPECT_EQ(guard.check(message_with_ephemeral(2), now, now), ReplayGuard::Verdict::fresh);
}

TEST(ReplayGuard, RefusesMessagesFromOutsideTheWindow) {
    ReplayGuard guard;
    const WallTime now{1'000'000'000};
    const auto window = ReplayGuard::kWindow.count();
    EXPECT_EQ(guard.check(message_with_ephemeral(1), {now.unix_ms - window - 1}, now), ReplayGuard::Verdict::stale);
    EXPECT_EQ(guard.check(message_with_ephemeral(1), {now.unix_ms + window + 1}, now), ReplayGuard::Verdict::stale);
}

TEST(ReplayGuard, RefusesAReplayAsLongAsItsTimeIsInTheWindow) {
    ReplayGuard guard;
    const WallTime sent{1'000'000'000};
    const auto window = ReplayGuard::kWindow.count();
    ASSERT_EQ(guard.check(message_with_ephemeral(1), sent, sent), ReplayGuard::Verdict::fresh);
    EXPECT_EQ(guard.check(message_with_ephemeral(1), sent, {sent.unix_ms + window}), ReplayGuard::Verdict::replayed);
    EXPECT_EQ(guard.check(message_with_ephemeral(1), sent, {sent.unix_ms + window + 1}), ReplayGuard::Verdict::stale);
}

TEST(ReplayGuard, ForgettingUnderAFloodNeverLetsAReplayIn) {
    ReplayGuard guard;
    const WallTime start{1'000'000'000};
    const auto first = message_with_ephemeral(1);
    ASSERT_EQ(guard.check(first, start, start), ReplayGuard::Verdict::fresh);
    for (std::size_t i = 0; i < ReplayGuard::kMaxRemembered; ++i) {
        Bytes message(96, 0xee);
        message[0] = static_cast<std::uint8_t>(i);
        message[1] = static_cast<std::uint8_t>(i >> 8);
        const WallTime sent{start.unix_ms + 1 + static_cast<std::int64_t>(i)};
        ASSERT_EQ(guard.check(message, sent, sent), ReplayGuard::Verdict::fresh);
    }
    EXPECT_NE(guard.check(first, start, start), ReplayGuard::Verdict::fresh);
}

}  // namespace
}  // namespace pinhole::session
