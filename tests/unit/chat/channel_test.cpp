#include "peer/chat/channel.hpp"

#include "common/base/rng.hpp"

#include <utility>

#include <gtest/gtest.h>

namespace pinhole::chat {
namespace {

constexpr WallTime kNoon{1'700'000'000'000};

std::vector<Event> drain(Channel& channel) {
    std::vector<Event> events;
    while (auto event = channel.poll_event()) {
        events.push_back(std::move(*event));
    }
    return events;
}

/// An opener and an acceptor, and the stream between them.
class ChannelTest : public testing::Test {
  protected:
    /// Carries everything from one side to the other in pieces of random sizes.
    void carry(Channel& from, Channel& to, Rng& rng) {
        auto bytes = from.poll_output();
        ByteView rest{bytes};
        if (&from == &opener && !std::exchange(kind_read, true)) {
            ASSERT_FALSE(rest.empty());
            ASSERT_EQ(signaling::stream_kind(rest.front()), signaling::StreamKind::chat);
            rest = rest.subspan(1);
        }
        while (!rest.empty()) {
            const auto size = static_cast<std::size_t>(1 + rng.below(std::min<std::size_t>(rest.size(), 40)));
            ASSERT_TRUE(to.handle_bytes(rest.first(size)));
            rest = rest.subspan(size);
        }
    }

    Channel opener{Side::opener};
    Channel acceptor{Side::acceptor};
    bool kind_read = false;
    SeededRng ids{7};
};

TEST_F(ChannelTest, DeliversTextsInOrderAndReceiptsUnderAnySplit) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        SeededRng rng{seed};
        std::vector<MessageId> sent;
        for (int i = 0; i < 5; ++i) {
            sent.push_back(MessageId::generate(ids));
            ASSERT_TRUE(opener.send("message " + std::to_string(i), sent.back(), kNoon));
        }
        carry(opener, acceptor, rng);
        const auto received = drain(acceptor);
        ASSERT_EQ(received.size(), 5U);
        for (std::size_t i = 0; i < 5; ++i) {
            const auto& event = std::get<Received>(received[i]);
            EXPECT_EQ(event.id, sent[i]);
            EXPECT_EQ(event.text, "message " + std::to_string(i));
            EXPECT_EQ(event.sent_at, kNoon);
        }
        EXPECT_EQ(opener.unacknowledged().size(), 5U);
        carry(acceptor, opener, rng);
        EXPECT_EQ(drain(opener).size(), 5U);
        EXPECT_TRUE(opener.unacknowledged().empty());
    }
}

TEST_F(ChannelTest, BothSidesTalkAtOnce) {
    SeededRng rng{1};
    ASSERT_TRUE(opener.send("hello", MessageId::generate(ids), kNoon));
    ASSERT_TRUE(acceptor.send("good day", MessageId::generate(ids), kNoon));
    carry(opener, acceptor, rng);
    carry(acceptor, opener, rng);
    carry(opener, acceptor, rng);
    EXPECT_EQ(drain(opener).size(), 2U);
    EXPECT_EQ(drain(acceptor).size(), 2U);
}

TEST_F(ChannelTest, KeepsUnacknowledgedTextsForTheNextConnection) {
    const auto id = MessageId::generate(ids);
    ASSERT_TRUE(opener.send("lost", id, kNoon));
    const auto lost = opener.unacknowledged().front();

    Channel next{Side::opener};
    ASSERT_TRUE(next.send(lost.text, lost.id, lost.sent_at));
    auto bytes = next.poll_output();
    ASSERT_TRUE(acceptor.handle_bytes(ByteView{bytes}.subspan(1)));
    EXPECT_EQ(std::get<Received>(drain(acceptor).at(0)).id, id);
}

TEST_F(ChannelTest, AcknowledgesARepeatedTextAgain) {
    const auto text = signaling::frame(signaling::ChatText{MessageId::generate(ids), kNoon, "twice"});
    ASSERT_TRUE(acceptor.handle_bytes(text));
    const auto first = acceptor.poll_output();
    ASSERT_TRUE(acceptor.handle_bytes(text));
    EXPECT_EQ(acceptor.poll_output(), first);
}

TEST_F(ChannelTest, ReportsADeliveryOnce) {
    const auto id = MessageId::generate(ids);
    ASSERT_TRUE(opener.send("hello", id, kNoon));
    const auto receipt = signaling::frame(signaling::ChatReceipt{id});
    ASSERT_TRUE(opener.handle_bytes(receipt));
    ASSERT_TRUE(opener.handle_bytes(receipt));
    ASSERT_TRUE(opener.handle_bytes(signaling::frame(signaling::ChatReceipt{MessageId::generate(ids)})));
    EXPECT_EQ(drain(opener).size(), 1U);
}

TEST_F(ChannelTest, RefusesTextsThatTheOtherSideWouldNotTake) {
    const auto id = MessageId::generate(ids);
    EXPECT_EQ(opener.send("", id, kNoon).error().code, Errc::text_empty);
    EXPECT_EQ(opener.send("\xff", id, kNoon).error().code, Errc::text_not_utf8);
    EXPECT_EQ(opener.send(std::string(limits::kMaxChatText + 1, 'a'), id, kNoon).error().code, Errc::text_too_long);
    EXPECT_TRUE(opener.send(std::string(limits::kMaxChatText, 'a'), id, kNoon));
    EXPECT_EQ(opener.unacknowledged().size(), 1U);
}

TEST_F(ChannelTest, AsksToDrainBeforeMoreThanTheBacklog) {
    const std::string text(limits::kMaxChatText, 'a');
    Status sent;
    for (int i = 0; i < 1000 && sent; ++i) {
        sent = opener.send(text, MessageId::generate(ids), kNoon);
    }
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Errc::backlog);
    EXPECT_LE(opener.poll_output().size(), kMaxBacklog + limits::kMaxPeerMessage);
    EXPECT_TRUE(opener.send(text, MessageId::generate(ids), kNoon));
}

TEST_F(ChannelTest, GivesUpOnAPeerThatFloodsWithoutReading) {
    Status taken;
    std::size_t count = 0;
    for (; taken && count < 200'000; ++count) {
        taken = acceptor.handle_bytes(signaling::frame(signaling::ChatText{MessageId::generate(ids), kNoon, "x"}));
        drain(acceptor);
    }
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Errc::backlog);
}

TEST_F(ChannelTest, RefusesWhatIsNotChat) {
    EXPECT_EQ(acceptor.handle_bytes(signaling::frame(signaling::TransferAccept{})).error().code, Errc::not_chat);
    Channel other{Side::acceptor};
    const auto header = signaling::data_frame_header(1);
    ASSERT_TRUE(other.handle_bytes(header));
    EXPECT_EQ(other.handle_bytes(as_bytes("x")).error().code, Errc::not_chat);
    Channel third{Side::acceptor};
    EXPECT_FALSE(third.handle_bytes(Bytes{0x7f, 0xff, 0xff, 0xff}));
}

}  // namespace
}  // namespace pinhole::chat
