#include "peer/transport/packet_keys.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

crypto::SecretKey key(std::uint8_t fill) {
    crypto::Key32 bytes{};
    bytes.fill(fill);
    return crypto::SecretKey{bytes};
}

struct Packet {
    std::uint64_t number = 0;
    bool phase = false;
    Bytes payload;
};

class PacketKeysTest : public testing::Test {
  protected:
    Packet seal() {
        Packet packet{.number = next++, .phase = false, .payload = Bytes(10 + crypto::kTagSize, 0x55)};
        packet.phase = sender.next_send_phase(packet.number);
        sender.seal(packet.number, header, packet.payload);
        return packet;
    }

    bool open(Packet packet) {
        const auto text = receiver.open(packet.number, packet.phase, header, packet.payload, now, 300ms);
        return text && std::ranges::equal(*text, Bytes(10, 0x55));
    }

    crypto::Cipher cipher = crypto::Cipher::chacha20_poly1305;
    PacketKeys sender{cipher, key(1), key(2), 4};
    PacketKeys receiver{cipher, key(2), key(1), 1000};
    Bytes header = Bytes(13, 0xd0);
    std::uint64_t next = 0;
    TimePoint now = TimePoint{} + 1s;
};

TEST_F(PacketKeysTest, PacketIsTakenOnce) {
    const auto packet = seal();
    EXPECT_TRUE(open(packet));
    EXPECT_FALSE(open(packet));
}

TEST_F(PacketKeysTest, ChangedHeaderOrPayloadIsRefusedAndTheOriginalStillTaken) {
    const auto packet = seal();
    auto forged = packet;
    forged.payload[3] ^= 1;
    EXPECT_FALSE(open(forged));
    header[1] ^= 1;
    EXPECT_FALSE(open(packet));
    header[1] ^= 1;
    EXPECT_TRUE(open(packet));
}

TEST_F(PacketKeysTest, KeyRollsAfterItsShareOfPacketsAndAnAcknowledgement) {
    for (int i = 0; i < 4; ++i) {
        EXPECT_FALSE(seal().phase);
    }
    EXPECT_FALSE(seal().phase) << "nobody has confirmed the first key yet";
    sender.on_acked(0);
    EXPECT_TRUE(seal().phase);
    sender.on_acked(2);
    for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE(seal().phase) << "an old number confirms nothing";
    }
    sender.on_acked(next - 1);
    EXPECT_FALSE(seal().phase);
    EXPECT_EQ(sender.updates(), 2U);
}

TEST_F(PacketKeysTest, ReceiverFollowsAnyNumberOfRolls) {
    for (int i = 0; i < 100; ++i) {
        const auto packet = seal();
        EXPECT_TRUE(open(packet)) << packet.number;
        sender.on_acked(packet.number);
    }
    EXPECT_EQ(receiver.updates(), sender.updates());
    EXPECT_GE(receiver.updates(), 20U);
}

TEST_F(PacketKeysTest, LatePacketsOfTheOldKeyAreTakenForAWhile) {
    std::vector<Packet> packets;
    packets.reserve(4);
    for (int i = 0; i < 4; ++i) {
        packets.push_back(seal());
    }
    sender.on_acked(0);
    const auto rolled = seal();
    const auto rolled_later = seal();
    EXPECT_TRUE(open(packets[0]));
    EXPECT_TRUE(open(rolled_later));
    EXPECT_TRUE(open(packets[1])) << "old key";
    EXPECT_TRUE(open(rolled)) << "new key, lower number";
    EXPECT_TRUE(open(packets[2]));
    now += 300ms;
    EXPECT_FALSE(open(packets[3])) << "the old key is gone";
}

TEST_F(PacketKeysTest, ForgedPhaseBitRollsNothing) {
    auto packet = seal();
    packet.phase = true;
    EXPECT_FALSE(open(packet));
    packet.phase = false;
    EXPECT_TRUE(open(packet));
    EXPECT_EQ(receiver.updates(), 0U);
}

}  // namespace
}  // namespace pinhole::transport
