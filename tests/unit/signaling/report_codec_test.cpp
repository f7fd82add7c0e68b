// The report of a peer on its network, on the wire (proto/README.md, 2.3).
#include "common/base/limits.hpp"
#include "common/signaling/codec.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <variant>

#include <gtest/gtest.h>

namespace pinhole::signaling {
namespace {

net::Endpoint at(std::string_view text) {
    return *net::Endpoint::parse(text);
}

net::ProtocolReport protocol(std::string_view reflexive) {
    return {.open = true,
            .mapping = net::NatBehavior::address_and_port_dependent,
            .filtering = net::NatBehavior::address_dependent,
            .allocation = net::PortAllocation::sequential,
            .delta = -3,
            .block = net::PortRange{.first = 2048, .last = 4095},
            .rate = 49.5,
            .hairpin = false,
            .lifetime = 31s,
            .reflexive = at(reflexive),
            .samples = {40000, 1, 65535},
            .opening_ttl = 3};
}

net::NetReport report() {
    return {.udp = protocol("203.0.113.9:40000"),
            .tcp = protocol("[2001:db8::7]:1"),
            .local = {*net::Address::parse("10.0.0.2"), *net::Address::parse("fd00::2")},
            .ipv6 = true,
            .reflexive_v6 = at("[2001:db8::9]:5000"),
            .rtt = 20'123us,
            .notes = {}};
}

Result<net::NetReport> through(const net::NetReport& sent) {
    auto parsed = parse_to_server(serialize(ToServer{Report{.report = sent}}));
    if (!parsed) {
        return std::unexpected(parsed.error());
    }
    return std::get<Report>(*std::move(parsed)).report;
}

void append(Bytes& to, const Bytes& more) {
    to.insert(to.end(), more.begin(), more.end());
}

Bytes varint(std::uint64_t value) {
    Bytes bytes;
    for (; value >= 0x80; value >>= 7) {
        bytes.push_back(static_cast<std::uint8_t>(value | 0x80));
    }
    bytes.push_back(static_cast<std::uint8_t>(value));
    return bytes;
}

/// Wire type 0.
Bytes number(std::uint32_t field, std::uint64_t value) {
    auto bytes = varint(field << 3);
    append(bytes, varint(value));
    return bytes;
}

/// Wire type 2.
Bytes blob(std::uint32_t field, const Bytes& content) {
    auto bytes = varint(field << 3 | 2);
    append(bytes, varint(content.size()));
    append(bytes, content);
    return bytes;
}

Bytes rate(double value) {
    auto bytes = varint(8 << 3 | 1);
    for (auto bits = std::bit_cast<std::uint64_t>(value); bytes.size() < 9; bits >>= 8) {
        bytes.push_back(static_cast<std::uint8_t>(bits & 0xff));
    }
    return bytes;
}

/// A message that only a stranger writes: the content of Report as it stands.
Result<net::NetReport> forged(const Bytes& content) {
    auto parsed = parse_to_server(blob(12, content));
    if (!parsed) {
        return std::unexpected(parsed.error());
    }
    return std::get<Report>(*std::move(parsed)).report;
}

Result<net::NetReport> forged_udp(const Bytes& content) {
    return forged(blob(1, content));
}

TEST(ReportCodec, EveryFieldComesThrough) {
    EXPECT_EQ(through(report()), report());
}

TEST(ReportCodec, WhatWasNotMeasuredStaysUnknown) {
    EXPECT_EQ(through({}), net::NetReport{});
    EXPECT_EQ(forged({}), net::NetReport{});
}

TEST(ReportCodec, EveryBehaviourAndAllocationComesThrough) {
    for (std::uint8_t i = 0; i <= 4; ++i) {
        net::NetReport sent;
        sent.udp.mapping = static_cast<net::NatBehavior>(i);
        sent.tcp.filtering = static_cast<net::NatBehavior>(4 - i);
        sent.udp.allocation = static_cast<net::PortAllocation>(i);
        sent.udp.hairpin = i % 2 == 0;
        EXPECT_EQ(through(sent), sent) << int{i};
    }
}

TEST(ReportCodec, NotesStayAtHome) {
    auto sent = report();
    sent.notes = {"The server has one address."};
    EXPECT_EQ(through(sent), report());
}

TEST(ReportCodec, WordsOfALaterVersionAreUnknownOnes) {
    Bytes content;
    for (std::uint32_t field = 2; field <= 4; ++field) {
        append(content, number(field, 5));
    }
    EXPECT_EQ(forged_udp(content), net::NetReport{});
    EXPECT_EQ(forged_udp(number(2, ~0ULL)), net::NetReport{}) << "-1";
}

TEST(ReportCodec, TheSenderLeavesOutWhatIsOutOfBounds) {
    net::NetReport sent;
    sent.udp.rate = std::numeric_limits<double>::quiet_NaN();
    sent.udp.delta = 70'000;
    sent.udp.block = net::PortRange{.first = 1, .last = 65535};
    sent.udp.lifetime = 25h;
    sent.udp.reflexive = net::Endpoint{};
    sent.udp.opening_ttl = 0;
    sent.udp.samples = {0};
    sent.local = {net::Address::any(net::Family::v4)};
    sent.reflexive_v6 = at("192.0.2.1:5");
    sent.rtt = -1s;
    EXPECT_EQ(through(sent), net::NetReport{});
}

TEST(ReportCodec, TheSenderNamesTheFirstOfTooMany) {
    net::NetReport sent;
    sent.local.assign(limits::kMaxReportAddresses + 1, *net::Address::parse("10.0.0.2"));
    sent.udp.samples.assign(limits::kMaxReportSamples + 1, 5);
    const auto got = through(sent).value();
    EXPECT_EQ(got.local.size(), limits::kMaxReportAddresses);
    EXPECT_EQ(got.udp.samples.size(), limits::kMaxReportSamples);
}

TEST(ReportCodec, AnIpv4AddressHasOneForm) {
    net::NetReport sent;
    sent.local = {*net::Address::parse("::ffff:192.0.2.1")};
    EXPECT_EQ(through(sent).value().local.at(0), *net::Address::parse("192.0.2.1"));
    EXPECT_FALSE(forged(blob(3, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1})));
}

TEST(ReportCodec, RefusesTooMuch) {
    Bytes local;
    for (std::size_t i = 0; i <= limits::kMaxReportAddresses; ++i) {
        append(local, blob(3, {10, 0, 0, 1}));
    }
    EXPECT_EQ(forged(local).error().code, Errc::too_large);
    EXPECT_EQ(forged_udp(blob(12, Bytes(limits::kMaxReportSamples, 1))).value().udp.samples.size(),
              limits::kMaxReportSamples);
    EXPECT_EQ(forged_udp(blob(12, Bytes(limits::kMaxReportSamples + 1, 1))).error().code, Errc::too_large);
}

TEST(ReportCodec, RefusesNumbersOutOfBounds) {
    const auto zigzag = [](std::int64_t value) {
        return static_cast<std::uint64_t>(value < 0 ? -2 * value - 1 : 2 * value);
    };
    EXPECT_TRUE(forged_udp(number(5, zigzag(-65535))));
    EXPECT_FALSE(forged_udp(number(5, zigzag(65536))));
    EXPECT_FALSE(forged_udp(number(5, zigzag(-65536))));
    EXPECT_TRUE(forged_udp(number(10, 86'400'000)));
    EXPECT_FALSE(forged_udp(number(10, 86'400'001)));
    EXPECT_FALSE(forged_udp(number(13, 0)));
    EXPECT_TRUE(forged_udp(number(13, 255)));
    EXPECT_FALSE(forged_udp(number(13, 256)));
    EXPECT_FALSE(forged_udp(number(12, 0)));
    EXPECT_FALSE(forged_udp(number(12, 65536)));
    EXPECT_TRUE(forged(number(6, 60'000'000)));
    EXPECT_FALSE(forged(number(6, 60'000'001)));
}

TEST(ReportCodec, RefusesRatesThatAreNoNumbers) {
    using Limits = std::numeric_limits<double>;
    EXPECT_TRUE(forged_udp(rate(1e6)));
    for (const double value : {-1.0, 1.1e6, Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()}) {
        EXPECT_FALSE(forged_udp(rate(value))) << value;
    }
}

TEST(ReportCodec, RefusesPortBlocksThatAreNone) {
    const auto block = [](std::uint64_t first, std::uint64_t last) {
        auto content = number(6, first);
        append(content, number(7, last));
        return content;
    };
    EXPECT_TRUE(forged_udp(block(2048, 4095)));
    EXPECT_FALSE(forged_udp(block(2048, 4096)));
    EXPECT_FALSE(forged_udp(block(2, 1)));
    EXPECT_FALSE(forged_udp(block(0, 1)));
    EXPECT_FALSE(forged_udp(block(65535, 65536)));
    EXPECT_FALSE(forged_udp(number(6, 2048))) << "half a block";
}

TEST(ReportCodec, RefusesAddressesThatAreNone) {
    for (const auto& endpoint :
         {Bytes{1}, Bytes{10, 0, 0, 1}, Bytes{10, 0, 0, 1, 0, 0}, Bytes{224, 0, 0, 1, 0, 1}, Bytes(18), Bytes(19, 1)}) {
        EXPECT_FALSE(forged_udp(blob(11, endpoint))) << endpoint.size();
        EXPECT_FALSE(forged(blob(5, endpoint))) << endpoint.size();
    }
    EXPECT_FALSE(forged(blob(5, {192, 0, 2, 1, 0, 1}))) << "not IPv6";
    for (const auto& address : {Bytes{}, Bytes{10, 0, 0}, Bytes(4), Bytes(4, 0xff), Bytes(16), Bytes(17, 1)}) {
        EXPECT_FALSE(forged(blob(3, address))) << address.size();
    }
}

TEST(ReportCodec, RefusesTruncationAnywhereInsideTheBody) {
    const auto bytes = serialize(ToServer{Report{.report = report()}});
    for (std::size_t size = 1; size < bytes.size(); ++size) {
        EXPECT_FALSE(parse_to_server(ByteView{bytes}.first(size))) << size;
    }
}

TEST(ReportCodec, TheLargestReportIsSmall) {
    auto largest = report();
    largest.local.assign(limits::kMaxReportAddresses, *net::Address::parse("2001:db8::1"));
    largest.udp.samples.assign(limits::kMaxReportSamples, 65535);
    largest.tcp.samples = largest.udp.samples;
    EXPECT_LT(serialize(ToServer{Report{.report = largest}}).size(), 1024U);
}

}  // namespace
}  // namespace pinhole::signaling
