#include "common/base/rng.hpp"
#include "peer/transport/receive_stream.hpp"
#include "peer/transport/send_stream.hpp"

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
    Bytes bytes(size);
    SeededRng{seed}.fill(bytes);
    return bytes;
}

class SendStreamTest : public testing::Test {
  protected:
    /// Sends the next piece, at most so long.
    std::optional<SendStream::Piece> send(std::size_t at_most = 1000, std::uint64_t credit = 1'000'000) {
        auto piece = stream.next(credit);
        if (piece) {
            piece->fin = piece->fin && piece->length <= at_most;
            piece->length = std::min(piece->length, at_most);
            stream.on_sent(*piece);
        }
        return piece;
    }

    ChunkPool pool;
    SendStream stream{pool, 100'000};
};

TEST_F(SendStreamTest, TakesNoMoreThanItsBuffer) {
    EXPECT_EQ(stream.write(Bytes(700), 1000), 700U);
    EXPECT_EQ(stream.write(Bytes(700), 1000), 300U);
    EXPECT_EQ(stream.held(), 1000U);
    send();
    stream.on_acked({0, 400}, false);
    EXPECT_EQ(stream.write(Bytes(700), 1000), 400U);
}

TEST_F(SendStreamTest, CreditOfStreamAndConnectionLimitFreshBytes) {
    stream.write(Bytes(200'000), 1'000'000);
    EXPECT_EQ(stream.next(50)->length, 50U);
    EXPECT_EQ(stream.next(1'000'000)->length, 100'000U);
    send(100'000);
    EXPECT_FALSE(stream.next(1'000'000));
    EXPECT_FALSE(stream.wants_to_send());
    stream.raise_limit(150'000);
    EXPECT_EQ(stream.next(1'000'000)->length, 50'000U);
}

TEST_F(SendStreamTest, LostBytesGoFirstWithoutCredit) {
    stream.write(Bytes(5000), 10'000);
    send();
    send();
    send();
    stream.on_acked({1000, 2000}, false);
    stream.on_lost({0, 3000}, false);
    const auto first = send(5000, 0);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->offset, 0U);
    EXPECT_EQ(first->length, 1000U) << "what was acknowledged is not sent again";
    EXPECT_FALSE(first->fresh);
    EXPECT_EQ(send(5000, 0)->offset, 2000U);
    EXPECT_FALSE(send(5000, 0));
    EXPECT_TRUE(send(5000)->fresh);
}

TEST_F(SendStreamTest, AcknowledgedAfterAllIsNotSentAgain) {
    stream.write(Bytes(1000), 10'000);
    send();
    stream.on_lost({0, 1000}, false);
    stream.on_acked({0, 1000}, false);
    EXPECT_FALSE(stream.wants_to_send());
    EXPECT_EQ(stream.held(), 0U);
}

TEST_F(SendStreamTest, EndIsSentWithTheLastBytesAndAgainWhenLost) {
    stream.write(Bytes(1500), 10'000);
    stream.finish();
    EXPECT_FALSE(send()->fin);
    EXPECT_TRUE(send()->fin);
    EXPECT_FALSE(stream.wants_to_send());
    stream.on_acked({0, 1000}, false);
    stream.on_lost({1000, 1500}, true);
    const auto again = send();
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->fin);
    stream.on_acked({1000, 1500}, true);
    EXPECT_TRUE(stream.everything_acked());
    EXPECT_TRUE(stream.done());
}

TEST_F(SendStreamTest, EndAloneIsSentAndResent) {
    stream.write(Bytes(10), 100);
    send();
    stream.on_acked({0, 10}, false);
    stream.finish();
    const auto end = send();
    ASSERT_TRUE(end);
    EXPECT_TRUE(end->fin);
    EXPECT_EQ(end->length, 0U);
    stream.on_lost({10, 10}, true);
    EXPECT_TRUE(send()->fin);
    stream.on_acked({10, 10}, true);
    EXPECT_TRUE(stream.done());
}

TEST_F(SendStreamTest, EmptyStreamIsAnEndToo) {
    stream.finish();
    EXPECT_TRUE(send()->fin);
    stream.on_acked({0, 0}, true);
    EXPECT_TRUE(stream.everything_acked());
}

TEST_F(SendStreamTest, ResetDropsEverythingAndWaitsForItsAcknowledgement) {
    stream.write(Bytes(5000), 10'000);
    send();
    stream.reset(9);
    EXPECT_EQ(stream.held(), 0U);
    EXPECT_EQ(stream.sent(), 1000U);
    EXPECT_FALSE(stream.wants_to_send());
    stream.on_lost({0, 1000}, false);
    EXPECT_FALSE(stream.wants_to_send());
    EXPECT_FALSE(stream.done());
    stream.on_reset_acked();
    EXPECT_TRUE(stream.done());
}

// Pieces of random length get lost, acknowledged or both, in any order; what is read is always what was written.
TEST_F(SendStreamTest, AnyOrderOfFatesEndsWithEverythingAcknowledged) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        SCOPED_TRACE(seed);
        SeededRng rng{seed};
        SendStream sender{pool, 1'000'000};
        const auto data = random_bytes(60'000, seed);
        sender.write(data, 100'000);
        sender.finish();
        std::vector<SendStream::Piece> in_flight;
        int steps = 0;
        while (!sender.everything_acked() && ++steps < 100'000) {
            auto piece = sender.next(1'000'000);
            if (piece && rng.below(2) == 0) {
                const auto length = std::min<std::size_t>(piece->length, 1 + rng.below(1400));
                piece->fin = piece->fin && length == piece->length;
                piece->length = length;
                Bytes out(length);
                sender.read(piece->offset, out);
                ASSERT_TRUE(std::ranges::equal(out, ByteView{data}.subspan(piece->offset, length)));
                sender.on_sent(*piece);
                in_flight.push_back(*piece);
            } else if (!in_flight.empty()) {
                const auto at = rng.below(in_flight.size());
                const auto fate = in_flight[at];
                const Range range{fate.offset, fate.offset + fate.length};
                if (rng.below(3) == 0) {
                    sender.on_lost(range, fate.fin);
                }
                if (rng.below(2) == 0) {
                    sender.on_acked(range, fate.fin);
                    in_flight.erase(in_flight.begin() + static_cast<std::ptrdiff_t>(at));
                }
            }
        }
        EXPECT_TRUE(sender.everything_acked());
        EXPECT_EQ(sender.held(), 0U);
    }
}

class ReceiveStreamTest : public testing::Test {
  protected:
    ReceiveStream::Intake take(std::uint64_t offset, std::size_t size, bool fin = false) {
        return *stream.on_data(offset, ByteView{data}.subspan(offset, size), fin);
    }

    Bytes read(std::size_t at_most = 100'000) {
        Bytes out(at_most);
        out.resize(stream.read(out));
        return out;
    }

    ChunkPool pool;
    Bytes data = random_bytes(100'000, 5);
    ReceiveStream stream{pool, 100'000};
};

TEST_F(ReceiveStreamTest, ReadsInOrderWhatCameInAnyOrder) {
    EXPECT_FALSE(take(1000, 1000).readable);
    EXPECT_TRUE(read().empty());
    const auto filled = take(0, 1200);
    EXPECT_TRUE(filled.readable);
    EXPECT_EQ(filled.added, 1000U);
    EXPECT_EQ(filled.advanced, 0U);
    EXPECT_EQ(read(500), Bytes(data.begin(), data.begin() + 500));
    EXPECT_EQ(read(), Bytes(data.begin() + 500, data.begin() + 2000));
    EXPECT_EQ(stream.held(), 0U);
    EXPECT_FALSE(take(100, 900).readable) << "old news";
}

TEST_F(ReceiveStreamTest, RandomPiecesComeOutWhole) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        SCOPED_TRACE(seed);
        SeededRng rng{seed};
        ReceiveStream receiver{pool, 100'000};
        Bytes got;
        while (got.size() < data.size()) {
            const auto near = std::min<std::uint64_t>(got.size() + rng.below(20'000), data.size() - 1);
            const auto begin = rng.below(4) == 0 ? got.size() : near - std::min(near, rng.below(3000));
            const auto size = std::min<std::size_t>(data.size() - begin, 1 + rng.below(3000));
            ASSERT_TRUE(receiver.on_data(begin, ByteView{data}.subspan(begin, size), begin + size == data.size()));
            Bytes out(rng.below(5000));
            out.resize(receiver.read(out));
            got.insert(got.end(), out.begin(), out.end());
        }
        EXPECT_EQ(got, data);
        EXPECT_TRUE(receiver.all_read());
        EXPECT_EQ(receiver.held(), 0U);
    }
}

TEST_F(ReceiveStreamTest, EndIsKnownOnlyWhenAllWasRead) {
    take(0, 500);
    take(1000, 500, true);
    read();
    EXPECT_FALSE(stream.all_read());
    take(500, 500);
    EXPECT_FALSE(stream.all_read());
    read();
    EXPECT_TRUE(stream.all_read());
}

TEST_F(ReceiveStreamTest, LateEndAloneIsReadable) {
    take(0, 500);
    read();
    EXPECT_TRUE(take(500, 0, true).readable);
    EXPECT_TRUE(stream.all_read());
    EXPECT_FALSE(take(500, 0, true).readable);
}

TEST_F(ReceiveStreamTest, PeerIsHeldToItsLimitAndItsFinalSize) {
    EXPECT_EQ(stream.on_data(99'999, Bytes(2), false).error().reason, CloseReason::flow_control);
    EXPECT_EQ(stream.on_reset(1, 100'001).error().reason, CloseReason::flow_control);
    take(0, 1000);
    EXPECT_EQ(stream.on_data(0, Bytes(999), true).error().reason, CloseReason::protocol_violation);
    take(1000, 100, true);
    EXPECT_EQ(stream.on_data(1000, Bytes(101), false).error().reason, CloseReason::protocol_violation);
    EXPECT_EQ(stream.on_data(0, Bytes(10), true).error().reason, CloseReason::protocol_violation);
    EXPECT_EQ(stream.on_reset(1, 1101).error().reason, CloseReason::protocol_violation);
    EXPECT_TRUE(stream.on_reset(1, 1100));
    EXPECT_FALSE(stream.all_read());
}

TEST_F(ReceiveStreamTest, ResetAfterTheEndChangesNothing) {
    take(0, 10, true);
    read();
    EXPECT_TRUE(stream.on_reset(4, 10));
    EXPECT_TRUE(stream.all_read());
    EXPECT_FALSE(stream.reset_code());
}

TEST_F(ReceiveStreamTest, CreditIsRenewedWhenHalfIsUsed) {
    constexpr std::uint64_t kWindow = 100'000;
    EXPECT_FALSE(stream.limit_to_grant(kWindow));
    take(0, 40'000);
    read();
    EXPECT_FALSE(stream.limit_to_grant(kWindow));
    take(40'000, 20'000);
    EXPECT_FALSE(stream.limit_to_grant(kWindow)) << "not before it was read";
    read();
    EXPECT_EQ(stream.limit_to_grant(kWindow), 160'000U);
    stream.on_granted(160'000);
    EXPECT_FALSE(stream.limit_to_grant(kWindow));
}

TEST_F(ReceiveStreamTest, SmallFirstCreditGrowsToTheWindowOnlyWhenItIsUsed) {
    take(0, 1000);
    EXPECT_FALSE(stream.limit_to_grant(8'000'000));
    take(1000, 60'000);
    EXPECT_EQ(stream.limit_to_grant(8'000'000), 8'000'000U);
}

TEST_F(ReceiveStreamTest, TooManyHolesAreRefusedButTheFrontIsNot) {
    std::uint64_t offset = 1;
    while (!take(offset, 1).refused) {
        offset += 2;
    }
    EXPECT_LE(offset, 10'000U);
    const auto front = take(0, 1);
    EXPECT_FALSE(front.refused);
    EXPECT_TRUE(front.readable);
}

TEST_F(ReceiveStreamTest, StoppedStreamHoldsNothing) {
    take(0, 1000);
    stream.stop();
    EXPECT_EQ(stream.discard(), 1000U);
    EXPECT_EQ(take(1000, 500).added, 0U);
    EXPECT_EQ(stream.discard(), 500U);
    EXPECT_FALSE(stream.done());
    take(1500, 0, true);
    EXPECT_TRUE(stream.done());
}

}  // namespace
}  // namespace pinhole::transport
