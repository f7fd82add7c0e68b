#include "tests/lab/natbox/packet_codec.hpp"

#include "tests/lab/natbox/packet_test_support.hpp"

#include <gtest/gtest.h>

namespace pinhole::natbox {
namespace {

using namespace test;
using lab::Protocol;

/// Also with port 0, which no socket has but an echo.
net::Endpoint endpoint(std::string_view text) {
    const auto colon = text.rfind(':');
    const auto port = text.substr(colon + 1);
    return port == "0" ? net::Endpoint{net::Endpoint::parse(std::string(text.substr(0, colon)) + ":1")->address, 0}
                       : *net::Endpoint::parse(text);
}

lab::Flow flow(Protocol protocol, std::string_view source, std::string_view destination) {
    return {protocol, endpoint(source), endpoint(destination)};
}

TEST(PacketCodec, ReadsUdpOverBothFamilies) {
    const auto v4 = parse(udp("10.1.0.2:4000", "198.18.1.2:3478"));
    ASSERT_TRUE(v4);
    EXPECT_EQ(v4->flow, flow(Protocol::udp, "10.1.0.2:4000", "198.18.1.2:3478"));
    EXPECT_EQ(v4->size, 20U + 8 + 12);
    EXPECT_EQ(v4->ttl, 64);
    const auto v6 = parse(udp("[2001:db8::1]:4000", "[2001:db8::2]:3478"));
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->flow, flow(Protocol::udp, "[2001:db8::1]:4000", "[2001:db8::2]:3478"));
}

TEST(PacketCodec, ReadsTheFlagsOfTcp) {
    const auto packet = parse(tcp("10.1.0.2:4000", "198.18.1.2:80", kSyn | kAck));
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->flow.protocol, Protocol::tcp);
    EXPECT_TRUE(packet->tcp.syn && packet->tcp.ack);
    EXPECT_FALSE(packet->tcp.fin || packet->tcp.rst);
}

TEST(PacketCodec, TakesTheIdentifierOfAnEchoForThePortOfTheSideThatAsks) {
    const auto request = parse(icmp("10.1.0.2", "198.18.1.2", {8, 0, 0, 0, 0x12, 0x34, 0, 1}));
    ASSERT_TRUE(request);
    EXPECT_EQ(request->flow, flow(Protocol::icmp, "10.1.0.2:4660", "198.18.1.2:0"));
    const auto reply = parse(icmp("2001:db8::2", "2001:db8::1", {129, 0, 0, 0, 0x12, 0x34, 0, 1}));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->flow, flow(Protocol::icmp, "[2001:db8::2]:0", "[2001:db8::1]:4660"));
}

TEST(PacketCodec, WritesATranslatedUdpPacketWithRightChecksums) {
    for (const auto& [raw, source, destination] :
         {std::tuple{udp("10.1.0.2:4000", "198.18.1.2:3478"), "198.18.2.2:61000", "198.18.1.2:3478"},
          std::tuple{udp("[2001:db8::1]:4000", "[2001:db8::2]:3478"), "[2001:db8:5::7]:1", "[2001:db8::9]:65535"}}) {
        SCOPED_TRACE(source);
        auto packet = *parse(raw);
        packet.flow = flow(Protocol::udp, source, destination);
        packet.ttl = 61;
        packet.ecn = net::Ecn::ce;
        ASSERT_TRUE(apply(packet));
        EXPECT_TRUE(checksums_right(packet.payload));
        const auto again = parse(packet.payload);
        ASSERT_TRUE(again);
        EXPECT_EQ(again->flow, packet.flow);
        EXPECT_EQ(again->ttl, 61);
        EXPECT_EQ(again->ecn, net::Ecn::ce);
    }
}

TEST(PacketCodec, WritesATranslatedTcpPacketAndEchoWithRightChecksums) {
    auto segment = *parse(tcp("10.1.0.2:4000", "198.18.1.2:80", kAck, "GET / of odd length"));
    segment.flow.source = endpoint("198.18.2.2:61000");
    ASSERT_TRUE(apply(segment));
    EXPECT_TRUE(checksums_right(segment.payload));
    EXPECT_EQ(parse(segment.payload)->flow, segment.flow);
    for (const auto& raw : {icmp("10.1.0.2", "198.18.1.2", {8, 0, 0, 0, 0x12, 0x34, 0, 1, 99}),
                            icmp("2001:db8::1", "2001:db8::2", {128, 0, 0, 0, 0x12, 0x34, 0, 1, 99})}) {
        auto echo = *parse(raw);
        echo.flow.source.port = 777;
        ASSERT_TRUE(apply(echo));
        EXPECT_TRUE(checksums_right(echo.payload));
        EXPECT_EQ(parse(echo.payload)->flow, echo.flow);
    }
}

TEST(PacketCodec, AUdpChecksumOfZeroStaysZero) {
    auto raw = udp("10.1.0.2:4000", "198.18.1.2:3478");
    put16(raw, 26, 0);
    auto packet = *parse(raw);
    packet.flow.source = endpoint("198.18.2.2:61000");
    ASSERT_TRUE(apply(packet));
    EXPECT_EQ(packet.payload[26] << 8U | packet.payload[27], 0);
}

// RFC 768: zero would mean that there is no checksum.
TEST(PacketCodec, AUdpChecksumThatBecomesZeroIsSentAsItsOtherForm) {
    const auto raw = udp("10.1.0.2:4000", "198.18.1.2:3478");
    auto packet = *parse(raw);
    // A source port so much larger that the sum of all others is 0xffff.
    const auto sum = raw[26] << 8U | raw[27];
    packet.flow.source.port = static_cast<std::uint16_t>(packet.flow.source.port + sum);
    ASSERT_GT(packet.flow.source.port, 4000);
    ASSERT_TRUE(apply(packet));
    EXPECT_EQ(packet.payload[26] << 8U | packet.payload[27], 0xffff);
}

TEST(PacketCodec, WhatALinkCorruptedStaysBroken) {
    for (const std::size_t at : {8U, 13U, 20U, 23U, 26U, 30U}) {
        SCOPED_TRACE(at);
        auto packet = *parse(udp("10.1.0.2:4000", "198.18.1.2:3478"));
        packet.payload[at] ^= 0x10U;
        packet.flow.source = endpoint("198.18.2.2:61000");
        packet.ttl = 62;
        EXPECT_TRUE(!apply(packet) || !checksums_right(packet.payload));
    }
}

TEST(PacketCodec, APacketWhoseHeaderWasCorruptedToAnotherKindIsNotWritten) {
    auto packet = *parse(udp("10.1.0.2:4000", "198.18.1.2:3478"));
    packet.payload[9] = 6;
    EXPECT_FALSE(apply(packet));
    packet.payload[9] = 17;
    packet.payload[0] = 0x65;
    EXPECT_FALSE(apply(packet));
}

TEST(PacketCodec, AnIcmpErrorIsTranslatedWithWhatItQuotes) {
    const auto offending = udp("198.18.2.2:61000", "10.3.0.2:3478");
    for (const auto& quoted : {offending, Bytes(offending.begin(), offending.begin() + 28)}) {
        auto packet = *parse(icmp_error("10.3.0.2", "198.18.2.2", 3, 3, quoted));
        ASSERT_TRUE(packet.report);
        EXPECT_EQ(packet.report->error, lab::IcmpError::port_unreachable);
        EXPECT_EQ(packet.report->about, flow(Protocol::udp, "198.18.2.2:61000", "10.3.0.2:3478"));
        EXPECT_EQ(packet.flow, flow(Protocol::icmp, "10.3.0.2:0", "198.18.2.2:0"));

        packet.flow = flow(Protocol::icmp, "198.18.3.2:0", "10.1.0.2:0");
        packet.report->about = flow(Protocol::udp, "10.1.0.2:4000", "198.18.3.2:5000");
        ASSERT_TRUE(apply(packet));
        EXPECT_TRUE(checksums_right(packet.payload));
        const auto again = parse(packet.payload);
        ASSERT_TRUE(again && again->report);
        EXPECT_EQ(again->report->about, packet.report->about);
        EXPECT_EQ(again->flow, packet.flow);
    }
}

TEST(PacketCodec, TheQuotedPacketOfATranslatedErrorHasRightChecksums) {
    for (const auto& [offending, address, type, code] :
         {std::tuple{udp("198.18.2.2:61000", "10.3.0.2:3478"), "10.3.0.2", 3, 3},
          std::tuple{tcp("198.18.2.2:61000", "10.3.0.2:80", kSyn), "10.3.0.2", 11, 0},
          std::tuple{udp("[2001:db8::1]:61000", "[2001:db8::2]:3478"), "2001:db8::2", 1, 4}}) {
        const auto from = parse(offending)->flow.source.address.text();
        auto packet = *parse(
            icmp_error(address, from, static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(code), offending));
        packet.report->about.source.port = 4001;
        packet.report->about.destination.port = 4002;
        ASSERT_TRUE(apply(packet));
        EXPECT_TRUE(checksums_right(packet.payload));
        const auto quoted = ByteView{packet.payload}.subspan(ip_size(packet.payload) + 8);
        EXPECT_TRUE(checksums_right(quoted));
    }
}

TEST(PacketCodec, ReadsTheMtuOfTooBig) {
    const auto raw = icmp("10.3.0.2", "198.18.2.2", [] {
        Bytes body{3, 4, 0, 0, 0, 0, 5, 0};
        const auto offending = udp("198.18.2.2:61000", "10.3.0.2:3478");
        body.insert(body.end(), offending.begin(), offending.end());
        return body;
    }());
    const auto packet = parse(raw);
    ASSERT_TRUE(packet && packet->report);
    EXPECT_EQ(packet->report->error, lab::IcmpError::too_big);
    EXPECT_EQ(packet->report->mtu, 1280U);
}

TEST(PacketCodec, AnErrorAboutAnErrorIsNotRead) {
    const auto error = icmp_error("10.3.0.2", "198.18.2.2", 3, 3, udp("198.18.2.2:61000", "10.3.0.2:3478"));
    EXPECT_TRUE(parse(error));
    EXPECT_FALSE(parse(icmp_error("198.18.2.2", "10.3.0.2", 3, 3, error)));
}

TEST(PacketCodec, AnErrorOfARouterIsMadeFromThePacketThatItIsAbout) {
    const auto offending = udp("10.1.0.2:4000", "198.18.1.2:3478");
    lab::Packet packet;
    packet.flow = flow(Protocol::icmp, "198.18.1.1:0", "10.1.0.2:0");
    packet.report = {lab::IcmpError::time_exceeded, parse(offending)->flow, 0};
    packet.payload = offending;
    const auto raw = to_raw(packet);
    ASSERT_TRUE(raw);
    EXPECT_TRUE(checksums_right(*raw));
    EXPECT_EQ(parse(*raw)->report->about, packet.report->about);
    // An error that a host's kernel sent is only translated.
    packet.report->about.source.port = 4001;
    packet.payload = *raw;
    const auto translated = to_raw(packet);
    ASSERT_TRUE(translated);
    EXPECT_EQ(translated->size(), raw->size());
    EXPECT_EQ(parse(*translated)->report->about, packet.report->about);
}

TEST(PacketCodec, AnEchoThatARouterAnswersBecomesItsReply) {
    for (const auto& [raw, host, router] :
         {std::tuple{icmp("10.1.0.2", "198.18.1.1", {8, 0, 0, 0, 0x12, 0x34, 0, 7, 99}), "10.1.0.2", "198.18.1.1"},
          std::tuple{icmp("2001:db8::1", "2001:db8::2", {128, 0, 0, 0, 0x12, 0x34, 0, 7, 99}), "2001:db8::1",
                     "2001:db8::2"}}) {
        auto packet = *parse(raw);
        std::swap(packet.flow.source, packet.flow.destination);
        const auto reply = to_raw(packet);
        ASSERT_TRUE(reply);
        EXPECT_TRUE(checksums_right(*reply));
        const auto read = parse(*reply);
        ASSERT_TRUE(read);
        EXPECT_EQ(read->flow.source, (net::Endpoint{*net::Address::parse(router), 0}));
        EXPECT_EQ(read->flow.destination, (net::Endpoint{*net::Address::parse(host), 0x1234}));
        EXPECT_EQ(Bytes(reply->end() - 3, reply->end()), (Bytes{0, 7, 99}));
    }
}

TEST(PacketCodec, FindsTheTransportBehindIpv6Extensions) {
    const auto plain = udp("[2001:db8::1]:4000", "[2001:db8::2]:3478");
    Bytes raw(plain.begin(), plain.begin() + 40);
    raw[6] = 0;                                         // hop-by-hop, then destination options, then UDP
    raw.insert(raw.end(), {60, 0, 1, 4, 0, 0, 0, 0});   // 8 bytes
    raw.insert(raw.end(), {17, 1, 1, 12, 0, 0, 0, 0});  // 16 bytes
    raw.insert(raw.end(), 8, 0);
    raw.insert(raw.end(), plain.begin() + 40, plain.end());
    put16(raw, 4, raw.size() - 40);
    const auto packet = parse(raw);
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->flow, flow(Protocol::udp, "[2001:db8::1]:4000", "[2001:db8::2]:3478"));
    raw[40] = 0;  // an endless chain of them
    raw.resize(64);
    put16(raw, 4, raw.size() - 40);
    EXPECT_FALSE(parse(raw));
}

TEST(PacketCodec, FragmentsBeyondTheFirstAreNotRead) {
    auto raw = udp("10.1.0.2:4000", "198.18.1.2:3478");
    raw[6] = 0x20;  // more fragments
    EXPECT_TRUE(parse(raw));
    raw[7] = 1;
    EXPECT_FALSE(parse(raw));
    const auto plain = udp("[2001:db8::1]:4000", "[2001:db8::2]:3478");
    Bytes v6(plain.begin(), plain.begin() + 40);
    v6[6] = 44;
    v6.insert(v6.end(), {17, 0, 0, 9, 0, 0, 0, 1});
    v6.insert(v6.end(), plain.begin() + 40, plain.end());
    put16(v6, 4, v6.size() - 40);
    EXPECT_FALSE(parse(v6));
}

TEST(PacketCodec, WhatIsCutShortIsNotRead) {
    for (const auto& raw : {udp("10.1.0.2:4000", "198.18.1.2:3478"), tcp("10.1.0.2:4000", "198.18.1.2:80", kSyn),
                            udp("[2001:db8::1]:4000", "[2001:db8::2]:3478"),
                            icmp_error("10.3.0.2", "198.18.2.2", 3, 3, udp("198.18.2.2:6100", "10.3.0.2:3478"))}) {
        for (std::size_t size = 0; size < raw.size(); ++size) {
            EXPECT_FALSE(parse(ByteView{raw}.first(size))) << size;
        }
    }
}

TEST(PacketCodec, PaddingBehindThePacketIsLeftOut) {
    auto raw = udp("10.1.0.2:4000", "198.18.1.2:3478");
    const auto size = raw.size();
    raw.resize(size + 6);
    const auto packet = parse(raw);
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->payload.size(), size);
}

TEST(PacketCodec, OtherProtocolsAreNotRead) {
    EXPECT_FALSE(parse(ip("10.1.0.2", "224.0.0.22", 2, Bytes(16))));
    EXPECT_FALSE(parse(icmp("fe80::1", "ff02::2", {133, 0, 0, 0, 0, 0, 0, 0})));
    EXPECT_FALSE(parse({}));
}

}  // namespace
}  // namespace pinhole::natbox
