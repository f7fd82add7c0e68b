// A peer or a stranger that does not play by the rules; keys that roll.
#include "tests/sim/pair.hpp"

#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

using transport::CloseReason;

PairConfig both_ways(Duration delay, std::uint64_t seed = 1) {
    const LinkConfig link{.delay = delay};
    return {.to_b = link, .to_a = link, .a = {}, .b = {}, .seed = seed};
}

/// What the second end makes of a packet with these frames from its authentic peer.
CloseReason verdict_on(const Bytes& frames) {
    Pair pair{both_ways(10ms)};
    pair.run_for(1s);
    pair.inject(Pair::craft(100'000, frames), Pair::address_a());
    pair.run_for(1s);
    const auto* closed = pair.b.last<transport::Closed>();
    if (closed == nullptr) {
        return CloseReason::done;
    }
    // The peer is told.
    EXPECT_FALSE(closed->by_peer);
    EXPECT_TRUE(pair.a.connection.closed());
    return closed->reason;
}

Bytes varints(std::initializer_list<std::uint64_t> values) {
    Bytes out(8 * values.size());
    ByteWriter writer{out};
    for (const auto value : values) {
        writer.varint(value);
    }
    out.resize(writer.size());
    return out;
}

TEST(TransportHostile, CorrectFramesAreNoReasonToClose) {
    EXPECT_EQ(verdict_on({0x01}), CloseReason::done);
    EXPECT_EQ(verdict_on({0x00, 0x00, 0x01, 0x00}), CloseReason::done);
}

TEST(TransportHostile, UnknownAndMalformedFramesCloseTheConnection) {
    EXPECT_EQ(verdict_on({0x3f}), CloseReason::protocol_violation);
    EXPECT_EQ(verdict_on({0x06}), CloseReason::protocol_violation);
    EXPECT_EQ(verdict_on({0x02, 0x05}), CloseReason::protocol_violation);
    EXPECT_EQ(verdict_on({0x22, 0x00, 0x00, 0x05, 1}), CloseReason::protocol_violation);
}

TEST(TransportHostile, OptimisticAckCloses) {
    // ACK of number 5000, which was never sent: largest, delay, ranges, first range.
    EXPECT_EQ(verdict_on(varints({0x02, 5000, 0, 0, 0})), CloseReason::protocol_violation);
}

TEST(TransportHostile, AckOfASkippedNumberCloses) {
    Pair pair{both_ways(10ms)};
    pair.b.send(60'000'000);
    // Its numbers stay inside the replay window, so that the honest packets pass too.
    // Everything up to what the second end has sent so far; among it numbers that it left out.
    for (std::uint64_t step = 0; step < 500 && !pair.b.connection.closed(); ++step) {
        pair.run_for(1ms);
        const auto sent = pair.b.connection.stats().packets_sent;
        pair.inject(Pair::craft(4'000 + step, varints({0x02, sent - 1, 0, 0, sent - 1})), Pair::address_a());
    }
    pair.run_for(1s);
    ASSERT_NE(pair.b.last<transport::Closed>(), nullptr);
    EXPECT_EQ(pair.b.last<transport::Closed>()->reason, CloseReason::protocol_violation);
}

TEST(TransportHostile, LimitsAreEnforced) {
    // STREAM 0, offset at the initial credit, one byte.
    EXPECT_EQ(verdict_on(varints({0x20, 0, 256 * 1024 + 1})), CloseReason::flow_control);
    // The 257th stream of the initiator.
    EXPECT_EQ(verdict_on(varints({0x20, 2 * 256, 0})), CloseReason::stream_limit);
    EXPECT_EQ(verdict_on(varints({0x20, 2 * 255, 0})), CloseReason::done);
    // A stream that only the receiver itself may open.
    EXPECT_EQ(verdict_on(varints({0x20, 1, 0})), CloseReason::protocol_violation);
    // RESET_STREAM beyond the credit.
    EXPECT_EQ(verdict_on(varints({0x04, 0, 7, 256 * 1024 + 1})), CloseReason::flow_control);
}

TEST(TransportHostile, FinalSizeDoesNotChange) {
    // Two bytes with FIN, then a byte behind the end.
    Bytes frames{0x23, 0x00, 0x00, 0x02, 'a', 'b', 0x22, 0x00, 0x02, 0x01, 'c'};
    EXPECT_EQ(verdict_on(frames), CloseReason::protocol_violation);
}

TEST(TransportHostile, ReplayedDatagramIsDropped) {
    Pair pair{both_ways(10ms)};
    pair.a.send(1000);
    pair.run_for(1s);
    const auto before = pair.b.connection.stats();
    pair.inject(pair.last_to_b(), Pair::address_a());
    EXPECT_EQ(pair.b.connection.stats().packets_dropped, before.packets_dropped + 1);
    EXPECT_EQ(pair.b.connection.stats().packets_received, before.packets_received);
}

TEST(TransportHostile, ForgedPacketIsDropped) {
    Pair pair{both_ways(10ms)};
    pair.run_for(1s);
    SeededRng rng{7};
    for (std::size_t i = 0; i < 200; ++i) {
        auto packet = Pair::craft(200'000 + i, Bytes(50, 0x01));
        packet[rng.below(packet.size())] ^= static_cast<std::uint8_t>(1U << rng.below(8));
        const auto before = pair.b.connection.stats().packets_dropped;
        pair.inject(packet, Pair::address_a());
        EXPECT_EQ(pair.b.connection.stats().packets_dropped, before + 1);
    }
    for (std::size_t size = 0; size < 40; ++size) {
        Bytes garbage(size, 0xd0);
        pair.inject(garbage, Pair::address_a());
    }
    pair.a.send(10'000);
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 5s));
    EXPECT_TRUE(pair.b.received(1, 10'000));
}

TEST(TransportHostile, ManyTinyHolesDoNotGrowMemory) {
    Pair pair{both_ways(10ms)};
    pair.run_for(1s);
    // Every second byte of the stream's credit, as fast as packets can say so.
    std::uint64_t offset = 1;
    for (std::uint64_t number = 100'000; offset < 250'000; ++number) {
        Bytes frames(1150);
        ByteWriter writer{frames};
        while (writer.room() > 8) {
            writer.varint(0x22);
            writer.varint(0);
            writer.varint(offset);
            writer.varint(1);
            writer.u8(0);
            offset += 2;
        }
        frames.resize(writer.size());
        pair.inject(Pair::craft(number, frames), Pair::address_a());
    }
    EXPECT_FALSE(pair.b.connection.closed());
    EXPECT_LE(pair.b.connection.stats().buffered, 5000U);
}

TEST(TransportHostile, KeysRollUnderReorderingAndLoss) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        SCOPED_TRACE(seed);
        auto config = both_ways(15ms, seed);
        config.to_b.reorder = config.to_a.reorder = 0.2;
        config.to_b.loss = config.to_a.loss = 0.02;
        config.a.key_update_packets = config.b.key_update_packets = 10 + seed;
        Pair pair{config};
        pair.a.send(500'000);
        pair.b.send(500'000);
        ASSERT_TRUE(pair.run([&] { return pair.a.all_sent() && pair.b.all_sent(); }, 60s));
        EXPECT_TRUE(pair.a.received(1, 500'000));
        EXPECT_TRUE(pair.b.received(1, 500'000));
        EXPECT_GE(pair.a.connection.stats().key_updates, 5U);
        EXPECT_FALSE(pair.number_reused());
    }
}

TEST(TransportHostile, PeersKeyUpdateIsFollowed) {
    auto config = both_ways(15ms);
    config.a.key_update_packets = 20;
    Pair pair{config};
    pair.a.send(500'000);
    pair.b.send(500'000);
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent() && pair.b.all_sent(); }, 60s));
    EXPECT_TRUE(pair.b.received(1, 500'000));
    EXPECT_GE(pair.b.connection.stats().key_updates, 2U);
    EXPECT_EQ(pair.b.connection.stats().packets_dropped, 0U);
}

TEST(TransportHostile, ResetAndStopEndAStreamOnBothSides) {
    auto config = both_ways(10ms);
    config.to_b.bytes_per_second = 5e6;
    Pair pair{config};
    pair.run_for(100ms);
    const auto given_up = pair.a.send(50'000'000);
    const auto unwanted = pair.a.send(50'000'000);
    pair.run_for(100ms);
    pair.a.connection.reset(given_up, 7);
    pair.b.connection.stop(unwanted, 9);
    pair.a.outgoing[given_up].stopped = true;
    pair.run_for(1s);
    EXPECT_EQ(pair.b.incoming[given_up].reset, 7U);
    EXPECT_FALSE(pair.b.connection.end_of_stream(given_up));
    ASSERT_NE(pair.a.last<transport::Stopped>(), nullptr);
    EXPECT_EQ(pair.a.last<transport::Stopped>()->code, 9U);
    EXPECT_FALSE(pair.a.connection.write(unwanted, Bytes(1)).has_value());
    EXPECT_EQ(pair.a.connection.stats().buffered, 0U);
    EXPECT_EQ(pair.b.connection.stats().buffered, 0U);
    // The credit that the two streams held is free again.
    pair.a.send(20'000'000);
    EXPECT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 10s));
}

}  // namespace
}  // namespace pinhole::sim
