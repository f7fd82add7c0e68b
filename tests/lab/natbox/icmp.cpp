#include "tests/lab/natbox/icmp.hpp"

#include "tests/lab/natbox/checksum.hpp"
#include "tests/lab/natbox/ip_header.hpp"

#include <algorithm>

namespace pinhole::natbox {

namespace {

using lab::IcmpError;
using net::Family;

// RFC 792 and RFC 1191
constexpr std::uint8_t kUnreachable = 3;
constexpr std::uint8_t kHost = 1;
constexpr std::uint8_t kPort = 3;
constexpr std::uint8_t kFragmentationNeeded = 4;
constexpr std::uint8_t kTimeExceeded = 11;
constexpr std::uint8_t kParameterProblem = 12;
// RFC 4443
constexpr std::uint8_t kUnreachableV6 = 1;
constexpr std::uint8_t kAddressV6 = 3;
constexpr std::uint8_t kPortV6 = 4;
constexpr std::uint8_t kTooBigV6 = 2;
constexpr std::uint8_t kTimeExceededV6 = 3;
constexpr std::uint8_t kParameterProblemV6 = 4;

constexpr std::size_t kTcpHeader = 20;

struct TypeAndCode {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
};

TypeAndCode type_and_code(IcmpError error, Family family) {
    const bool v4 = family == Family::v4;
    switch (error) {
        case IcmpError::port_unreachable:
            return v4 ? TypeAndCode{kUnreachable, kPort} : TypeAndCode{kUnreachableV6, kPortV6};
        case IcmpError::unreachable:
            return v4 ? TypeAndCode{kUnreachable, kHost} : TypeAndCode{kUnreachableV6, kAddressV6};
        case IcmpError::time_exceeded:
            return v4 ? TypeAndCode{kTimeExceeded, 0} : TypeAndCode{kTimeExceededV6, 0};
        case IcmpError::too_big:
            return v4 ? TypeAndCode{kUnreachable, kFragmentationNeeded} : TypeAndCode{kTooBigV6, 0};
    }
    return {};
}

/// A packet with an IP header for `packet` and room for `size` bytes after it; the header's checksum is right.
Bytes ip_packet(const lab::Packet& packet, std::uint8_t protocol, std::size_t size) {
    const auto& source = packet.flow.source.address;
    const auto& destination = packet.flow.destination.address;
    const bool v4 = source.is_v4();
    Bytes raw((v4 ? kIpv4Header : kIpv6Header) + size);
    const auto at = raw.begin();
    if (v4) {
        raw[0] = 0x45;
        store16(raw, 2, static_cast<std::uint16_t>(raw.size()));
        store16(raw, 6, 0x4000);
        raw[8] = packet.ttl;
        raw[9] = protocol;
        std::ranges::copy(source.bytes(), at + 12);
        std::ranges::copy(destination.bytes(), at + 16);
        store16(raw, 10, static_cast<std::uint16_t>(~ones_sum(ByteView{raw}.first(kIpv4Header))));
    } else {
        raw[0] = 0x60;
        store16(raw, 4, static_cast<std::uint16_t>(size));
        raw[6] = protocol;
        raw[7] = packet.ttl;
        std::ranges::copy(source.bytes(), at + 8);
        std::ranges::copy(destination.bytes(), at + 24);
    }
    set_ecn(raw, packet.ecn);
    return raw;
}

std::uint32_t pseudo_sum(const lab::Packet& packet, std::uint8_t protocol, std::size_t length) {
    return pseudo_header_sum(packet.flow.source.address, packet.flow.destination.address, protocol, length);
}

void store_checksum(ByteSpan message, std::size_t at, std::uint32_t pseudo) {
    store16(message, at, static_cast<std::uint16_t>(~ones_sum(message, pseudo)));
}

}  // namespace

IcmpKind icmp_kind(Family family, std::uint8_t type) {
    if (family == Family::v4) {
        switch (type) {
            case 8:
                return IcmpKind::echo_request;
            case 0:
                return IcmpKind::echo_reply;
            case kUnreachable:
            case kTimeExceeded:
            case kParameterProblem:
                return IcmpKind::error;
            default:
                return IcmpKind::other;
        }
    }
    switch (type) {
        case 128:
            return IcmpKind::echo_request;
        case 129:
            return IcmpKind::echo_reply;
        case kUnreachableV6:
        case kTooBigV6:
        case kTimeExceededV6:
        case kParameterProblemV6:
            return IcmpKind::error;
        default:
            return IcmpKind::other;
    }
}

lab::IcmpReport read_icmp_error(ByteView icmp, Family family) {
    lab::IcmpReport report;
    report.error = IcmpError::unreachable;
    const auto type = icmp[0];
    const auto code = icmp[1];
    const bool v4 = family == Family::v4;
    if (type == (v4 ? kTimeExceeded : kTimeExceededV6)) {
        report.error = IcmpError::time_exceeded;
    } else if (type == (v4 ? kUnreachable : kUnreachableV6) && code == (v4 ? kPort : kPortV6)) {
        report.error = IcmpError::port_unreachable;
    } else if (v4 && type == kUnreachable && code == kFragmentationNeeded) {
        report.error = IcmpError::too_big;
        report.mtu = load16(icmp, 6);
    } else if (!v4 && type == kTooBigV6) {
        report.error = IcmpError::too_big;
        report.mtu = load32(icmp, 4);
    }
    return report;
}

std::optional<Bytes> build_icmp_error(const lab::Packet& error, ByteView offending) {
    const auto family = error.flow.source.address.family();
    const auto ip = parse_ip(offending, Extent::beginning);
    if (!ip || ip->family != family) {
        return std::nullopt;
    }
    const bool v4 = family == Family::v4;
    const auto quoted = offending.first(std::min(offending.size(), kQuoted));
    const auto protocol = v4 ? kIcmp : kIcmpV6;
    auto raw = ip_packet(error, protocol, kIcmpHeader + quoted.size());
    const auto icmp = ByteSpan{raw}.subspan(v4 ? kIpv4Header : kIpv6Header);
    const auto [type, code] = type_and_code(error.report->error, family);
    icmp[0] = type;
    icmp[1] = code;
    if (error.report->error == IcmpError::too_big) {
        if (v4) {
            store16(icmp, 6, static_cast<std::uint16_t>(error.report->mtu));
        } else {
            store32(icmp, 4, static_cast<std::uint32_t>(error.report->mtu));
        }
    }
    std::ranges::copy(quoted, icmp.begin() + kIcmpHeader);
    store_checksum(icmp, 2, v4 ? 0 : pseudo_sum(error, protocol, icmp.size()));
    return raw;
}

std::optional<Bytes> build_reset(const lab::Packet& answer, ByteView offending) {
    const auto ip = parse_ip(offending, Extent::beginning);
    if (!ip || ip->protocol != kTcp || ip->later_fragment || offending.size() < ip->transport + kTcpHeader) {
        return std::nullopt;
    }
    const auto segment = offending.subspan(ip->transport);
    const auto flags = segment[13];
    const std::size_t header = std::size_t{4} * (segment[12] >> 4U);
    if (header < kTcpHeader || ip->total < ip->transport + header) {
        return std::nullopt;
    }
    auto raw = ip_packet(answer, kTcp, kTcpHeader);
    const auto tcp = ByteSpan{raw}.last(kTcpHeader);
    store16(tcp, 0, answer.flow.source.port);
    store16(tcp, 2, answer.flow.destination.port);
    constexpr std::uint8_t kFin = 1;
    constexpr std::uint8_t kSyn = 2;
    constexpr std::uint8_t kRst = 4;
    constexpr std::uint8_t kAck = 16;
    if ((flags & kAck) != 0) {
        store32(tcp, 4, load32(segment, 8));
        tcp[13] = kRst;
    } else {
        const auto data = ip->total - ip->transport - header;
        const auto length = data + ((flags & kSyn) != 0 ? 1U : 0U) + ((flags & kFin) != 0 ? 1U : 0U);
        store32(tcp, 8, load32(segment, 4) + static_cast<std::uint32_t>(length));
        tcp[13] = kRst | kAck;
    }
    tcp[12] = (kTcpHeader / 4) << 4U;
    store_checksum(tcp, 16, pseudo_sum(answer, kTcp, kTcpHeader));
    return raw;
}

}  // namespace pinhole::natbox
