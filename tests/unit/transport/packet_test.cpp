#include "peer/transport/packet.hpp"

#include "common/base/encoding.hpp"

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

TEST(TransportPacket, HeaderHasTheDocumentedLayout) {
    Bytes packet(40);
    write_header({.key_phase = true, .connection_id = 0x0102030405060708, .truncated_number = 0xa1b2c3d4}, packet);
    EXPECT_EQ(to_hex(ByteView{packet}.first(kHeaderSize)), "d10102030405060708a1b2c3d4");
    const auto header = parse_header(packet);
    ASSERT_TRUE(header);
    EXPECT_TRUE(header->key_phase);
    EXPECT_EQ(header->connection_id, 0x0102030405060708U);
    EXPECT_EQ(header->truncated_number, 0xa1b2c3d4U);
}

TEST(TransportPacket, OtherProtocolsOnTheSocketAreTold) {
    for (unsigned first = 0; first < 256; ++first) {
        Bytes datagram(100);
        datagram[0] = static_cast<std::uint8_t>(first);
        EXPECT_EQ(is_transport_packet(datagram), first >= 0xd0 && first <= 0xdf);
        EXPECT_EQ(parse_header(datagram).has_value(), first == 0xd0 || first == 0xd1) << "reserved bits are zero";
    }
}

TEST(TransportPacket, RefusesWhatCannotHoldAFrame) {
    Bytes datagram(kPacketOverhead, 0xd0);
    EXPECT_FALSE(parse_header(datagram));
    EXPECT_FALSE(parse_header({}));
    EXPECT_FALSE(is_transport_packet({}));
    datagram.push_back(0);
    EXPECT_TRUE(parse_header(datagram));
}

TEST(TransportPacket, NumberIsTheNearestToTheExpectedOne) {
    constexpr std::uint64_t kWindow = std::uint64_t{1} << 32;
    EXPECT_EQ(expand_packet_number(0, 0), 0U);
    EXPECT_EQ(expand_packet_number(5, 3), 3U);
    EXPECT_EQ(expand_packet_number(kWindow - 1, 0), kWindow);
    EXPECT_EQ(expand_packet_number(kWindow + 2, 0xffffffff), kWindow - 1);
    EXPECT_EQ(expand_packet_number(0, 0xffffffff), 0xffffffffU) << "there is nothing below zero";
    for (const std::uint64_t number :
         {std::uint64_t{77}, kWindow + 9, 5 * kWindow - 3, (std::uint64_t{1} << 61) + 17}) {
        for (const std::uint64_t distance : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{70}, kWindow / 2 - 1}) {
            EXPECT_EQ(expand_packet_number(number + distance, static_cast<std::uint32_t>(number)), number);
            EXPECT_EQ(expand_packet_number(number - std::min(number, distance), static_cast<std::uint32_t>(number)),
                      number);
        }
    }
}

}  // namespace
}  // namespace pinhole::transport
