#include "tests/lab/natbox/icmp.hpp"

#include "tests/lab/natbox/packet_codec.hpp"
#include "tests/lab/natbox/packet_test_support.hpp"

#include <gtest/gtest.h>

namespace pinhole::natbox {
namespace {

using namespace test;

lab::Packet error_packet(lab::IcmpError error, std::string_view from, const Bytes& offending, std::size_t mtu = 0) {
    const auto about = parse(offending)->flow;
    lab::Packet packet;
    packet.flow = {lab::Protocol::icmp, {*net::Address::parse(from), 0}, {about.source.address, 0}};
    packet.report = {.error = error, .about = about, .mtu = mtu};
    packet.ttl = 63;
    return packet;
}

TEST(Icmp, EveryErrorReadsAsItWasMeant) {
    using lab::IcmpError;
    const auto v4 = udp("10.1.0.2:4000", "198.18.1.2:3478");
    const auto v6 = udp("[2001:db8::1]:4000", "[2001:db8::2]:3478");
    for (const auto error :
         {IcmpError::port_unreachable, IcmpError::unreachable, IcmpError::time_exceeded, IcmpError::too_big}) {
        for (const auto& [offending, router] : {std::pair{v4, "198.18.1.1"}, std::pair{v6, "2001:db8::ff"}}) {
            SCOPED_TRACE(static_cast<int>(error));
            const auto packet = error_packet(error, router, offending, error == IcmpError::too_big ? 1280 : 0);
            const auto raw = build_icmp_error(packet, offending).value_or(Bytes{});
            ASSERT_FALSE(raw.empty());
            EXPECT_TRUE(checksums_right(raw));
            const auto read = parse(raw);
            ASSERT_TRUE(read && read->report);
            EXPECT_EQ(read->flow, packet.flow);
            EXPECT_EQ(read->ttl, 63);
            EXPECT_EQ(read->report->error, error);
            EXPECT_EQ(read->report->about, packet.report->about);
            EXPECT_EQ(read->report->mtu, packet.report->mtu);
        }
    }
}

TEST(Icmp, AnErrorQuotesABoundedPartOfTheOffendingPacket) {
    const auto offending = udp("10.1.0.2:4000", "198.18.1.2:3478", std::string(1400, 'x'));
    const auto packet = error_packet(lab::IcmpError::too_big, "10.1.0.1", offending, 1280);
    const auto raw = build_icmp_error(packet, offending);
    ASSERT_TRUE(raw);
    EXPECT_EQ(raw->size(), 20 + 8 + kQuoted);
    EXPECT_FALSE(build_icmp_error(packet, {}));
}

lab::Packet reset_for(const Bytes& offending) {
    const auto sent = parse(offending)->flow;
    lab::Packet packet;
    packet.flow = {lab::Protocol::tcp, sent.destination, sent.source};
    packet.reset = true;
    return packet;
}

// RFC 9293 §3.5.2
TEST(Icmp, AResetTakesItsSequenceNumberFromTheAcknowledgement) {
    const auto offending = tcp("10.1.0.2:4000", "198.18.1.2:80", kAck, "data");
    const auto raw = build_reset(reset_for(offending), offending);
    ASSERT_TRUE(raw);
    EXPECT_TRUE(checksums_right(*raw));
    EXPECT_EQ(Bytes(raw->begin() + 24, raw->begin() + 28), (Bytes{10, 11, 12, 13}));
    EXPECT_EQ(raw->at(33), 4);
    EXPECT_EQ(parse(*raw)->flow, reset_for(offending).flow);
}

TEST(Icmp, AResetForASynAcknowledgesIt) {
    const auto offending = tcp("[2001:db8::1]:4000", "[2001:db8::2]:80", kSyn);
    const auto raw = build_reset(reset_for(offending), offending);
    ASSERT_TRUE(raw);
    EXPECT_TRUE(checksums_right(*raw));
    EXPECT_EQ(Bytes(raw->begin() + 44, raw->begin() + 52), (Bytes{0, 0, 0, 0, 1, 2, 3, 5}));
    EXPECT_EQ(raw->at(53), 4 | 16);
}

TEST(Icmp, OnlyTcpIsReset) {
    const auto offending = udp("10.1.0.2:4000", "198.18.1.2:80");
    EXPECT_FALSE(build_reset(reset_for(offending), offending));
    const auto segment = tcp("10.1.0.2:4000", "198.18.1.2:80", kSyn);
    EXPECT_FALSE(build_reset(reset_for(segment), ByteView{segment}.first(39)));
}

}  // namespace
}  // namespace pinhole::natbox
