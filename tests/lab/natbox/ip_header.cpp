#include "tests/lab/natbox/ip_header.hpp"

#include "tests/lab/natbox/checksum.hpp"

#include <algorithm>

namespace pinhole::natbox {

namespace {

constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kDestinationOptions = 60;
/// A sender puts each kind once, destination options twice (RFC 8200 §4.1).
constexpr int kMaxExtensions = 5;

std::optional<IpHeader> parse_v4(ByteView raw, Extent extent) {
    if (raw.size() < kIpv4Header) {
        return std::nullopt;
    }
    IpHeader header;
    header.transport = std::size_t{4} * (raw[0] & 0x0fU);
    header.total = load16(raw, 2);
    if (header.transport < kIpv4Header || header.transport > raw.size() || header.total < header.transport ||
        (extent == Extent::whole && header.total > raw.size())) {
        return std::nullopt;
    }
    header.ecn = static_cast<net::Ecn>(raw[1] & 3U);
    header.later_fragment = (load16(raw, 6) & 0x1fffU) != 0;
    header.ttl = raw[8];
    header.protocol = raw[9];
    header.source = *net::Address::from_bytes(raw.subspan(12, 4));
    header.destination = *net::Address::from_bytes(raw.subspan(16, 4));
    return header;
}

/// Walks the extension headers that may stand before the transport's (RFC 8200 §4); false if they do not fit.
bool skip_extensions(ByteView raw, IpHeader& header) {
    for (int i = 0; i < kMaxExtensions; ++i) {
        const auto kind = header.protocol;
        if (kind != kHopByHop && kind != kRouting && kind != kFragment && kind != kDestinationOptions) {
            return true;
        }
        if (raw.size() < header.transport + 8) {
            return false;
        }
        const auto at = header.transport;
        std::size_t size = 8;
        if (kind != kFragment) {
            size += std::size_t{8} * raw[at + 1];
        } else if ((load16(raw, at + 2) & 0xfff8U) != 0) {
            header.later_fragment = true;
        }
        header.protocol = raw[at];
        header.transport += size;
        if (header.transport > raw.size()) {
            return false;
        }
        if (header.later_fragment) {
            return true;
        }
    }
    return false;
}

std::optional<IpHeader> parse_v6(ByteView raw, Extent extent) {
    if (raw.size() < kIpv6Header) {
        return std::nullopt;
    }
    IpHeader header;
    header.family = net::Family::v6;
    header.total = kIpv6Header + load16(raw, 4);
    if (extent == Extent::whole && header.total > raw.size()) {
        return std::nullopt;
    }
    header.ecn = ecn_of(raw);
    header.protocol = raw[6];
    header.ttl = raw[7];
    header.source = *net::Address::from_bytes(raw.subspan(8, 16));
    header.destination = *net::Address::from_bytes(raw.subspan(24, 16));
    header.transport = kIpv6Header;
    if (!skip_extensions(raw.first(std::min(raw.size(), header.total)), header)) {
        return std::nullopt;
    }
    return header;
}

}  // namespace

std::optional<IpHeader> parse_ip(ByteView raw, Extent extent) {
    if (raw.empty()) {
        return std::nullopt;
    }
    switch (raw[0] >> 4U) {
        case 4:
            return parse_v4(raw, extent);
        case 6:
            return parse_v6(raw, extent);
        default:
            return std::nullopt;
    }
}

// RFC 3168 §5: the lowest bits of IPv4's second byte, and of IPv6's traffic class, which begins at the fourth bit.
net::Ecn ecn_of(ByteView raw) {
    if (raw.size() < 2) {
        return net::Ecn::not_ect;
    }
    switch (raw[0] >> 4U) {
        case 4:
            return static_cast<net::Ecn>(raw[1] & 3U);
        case 6:
            return static_cast<net::Ecn>(raw[1] >> 4U & 3U);
        default:
            return net::Ecn::not_ect;
    }
}

void set_ecn(ByteSpan raw, net::Ecn ecn) {
    if (raw.size() < kIpv4Header || ecn_of(raw) == ecn) {
        return;
    }
    const auto bits = static_cast<unsigned>(ecn);
    if (raw[0] >> 4U == 6) {
        raw[1] = static_cast<std::uint8_t>((raw[1] & 0xcfU) | bits << 4U);
    } else if (raw[0] >> 4U == 4) {
        ChecksumChange change;
        const auto before = load16(raw, 0);
        raw[1] = static_cast<std::uint8_t>((raw[1] & 0xfcU) | bits);
        change.replace(before, load16(raw, 0));
        store16(raw, 10, change.apply(load16(raw, 10)));
    }
}

}  // namespace pinhole::natbox
