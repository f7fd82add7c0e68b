#include "tests/lab/natbox/packet_codec.hpp"

#include "tests/lab/natbox/checksum.hpp"
#include "tests/lab/natbox/icmp.hpp"
#include "tests/lab/natbox/ip_header.hpp"

#include <utility>

namespace pinhole::natbox {

namespace {

using lab::Flow;
using lab::Packet;
using lab::Protocol;

constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kTcpHeader = 20;
/// What RFC 792 promises of a transport header inside an ICMP error: its ports.
constexpr std::size_t kQuotedTransport = 8;

std::optional<Protocol> protocol_of(const IpHeader& ip) {
    if (ip.protocol == kUdp) {
        return Protocol::udp;
    }
    if (ip.protocol == kTcp) {
        return Protocol::tcp;
    }
    if (ip.protocol == (ip.family == net::Family::v4 ? kIcmp : kIcmpV6)) {
        return Protocol::icmp;
    }
    return std::nullopt;
}

/// Which "port" of the flow an echo's identifier is: that of the side that asks (RFC 5508 §3).
std::uint16_t& identifier_of(Flow& flow, bool request) {
    return request ? flow.source.port : flow.destination.port;
}

/// The flow of a packet whose transport header is there to `transport_size` bytes; nullopt for ICMP that is not echo.
std::optional<Flow> flow_of(ByteView raw, const IpHeader& ip) {
    const auto protocol = protocol_of(ip);
    if (!protocol || ip.later_fragment || raw.size() < ip.transport + kQuotedTransport) {
        return std::nullopt;
    }
    Flow flow{*protocol, {ip.source, 0}, {ip.destination, 0}};
    if (*protocol == Protocol::icmp) {
        const auto kind = icmp_kind(ip.family, raw[ip.transport]);
        if (kind != IcmpKind::echo_request && kind != IcmpKind::echo_reply) {
            return std::nullopt;
        }
        identifier_of(flow, kind == IcmpKind::echo_request) = load16(raw, ip.transport + 4);
    } else {
        flow.source.port = load16(raw, ip.transport);
        flow.destination.port = load16(raw, ip.transport + 2);
    }
    return flow;
}

/// An ICMP error and the beginning of the packet that it quotes.
struct Quotation {
    std::size_t at = 0;
    IpHeader ip;
    Flow about;
};

std::optional<Quotation> quotation_of(ByteView raw, const IpHeader& ip) {
    Quotation quotation;
    quotation.at = ip.transport + kIcmpHeader;
    if (protocol_of(ip) != Protocol::icmp || ip.later_fragment || raw.size() < quotation.at) {
        return std::nullopt;
    }
    if (icmp_kind(ip.family, raw[ip.transport]) != IcmpKind::error) {
        return std::nullopt;
    }
    const auto quoted = raw.subspan(quotation.at);
    const auto inner = parse_ip(quoted, Extent::beginning);
    if (!inner || inner->family != ip.family) {
        return std::nullopt;
    }
    const auto about = flow_of(quoted, *inner);
    if (!about) {
        return std::nullopt;
    }
    quotation.ip = *inner;
    quotation.about = *about;
    return quotation;
}

/// Changes words and remembers the difference for the checksums that cover them.
void put(ByteSpan bytes, std::size_t at, std::uint16_t value, ChecksumChange& change) {
    change.replace(load16(bytes, at), value);
    store16(bytes, at, value);
}

void put(ByteSpan bytes, std::size_t at, const net::Address& address, ChecksumChange& change) {
    const auto value = address.bytes();
    for (std::size_t i = 0; i < value.size(); i += 2) {
        put(bytes, at + i, load16(value, i), change);
    }
}

void update(ByteSpan bytes, std::size_t at, const ChecksumChange& change) {
    store16(bytes, at, change.apply(load16(bytes, at)));
}

/// Addresses of the IP header, with its own checksum; what changed is for the pseudo header.
ChecksumChange put_addresses(ByteSpan raw, const IpHeader& ip, const Flow& flow) {
    ChecksumChange change;
    if (ip.family == net::Family::v4) {
        put(raw, 12, flow.source.address, change);
        put(raw, 16, flow.destination.address, change);
        update(raw, 10, change);
    } else {
        put(raw, 8, flow.source.address, change);
        put(raw, 24, flow.destination.address, change);
    }
    return change;
}

/// RFC 768: a checksum of zero means none, so a computed zero is sent as its other form.
void update_udp(ByteSpan raw, std::size_t at, const ChecksumChange& change) {
    if (load16(raw, at) == 0) {
        return;
    }
    update(raw, at, change);
    if (load16(raw, at) == 0) {
        store16(raw, at, 0xffff);
    }
}

/// Ports or identifier, and the transport's checksum as far as it is there (a quotation may end before TCP's).
void put_ports(ByteSpan raw, const IpHeader& ip, Flow flow, ChecksumChange pseudo_header) {
    const auto at = ip.transport;
    if (flow.protocol == Protocol::icmp) {
        const auto request = icmp_kind(ip.family, raw[at]) == IcmpKind::echo_request;
        ChecksumChange change = ip.family == net::Family::v6 ? pseudo_header : ChecksumChange{};
        put(raw, at + 4, identifier_of(flow, request), change);
        update(raw, at + 2, change);
        return;
    }
    put(raw, at, flow.source.port, pseudo_header);
    put(raw, at + 2, flow.destination.port, pseudo_header);
    if (flow.protocol == Protocol::udp) {
        update_udp(raw, at + 6, pseudo_header);
    } else if (raw.size() >= at + 18) {
        update(raw, at + 16, pseudo_header);
    }
}

bool fits(const IpHeader& ip, const Flow& flow) {
    return flow.source.address.family() == ip.family && flow.destination.address.family() == ip.family;
}

/// RFC 5508 §4.2: the quoted packet reads as its sender sent it; the error's checksum covers every byte of it.
bool put_quotation(ByteSpan raw, const IpHeader& ip, const Flow& about, ChecksumChange pseudo_header) {
    const auto quotation = quotation_of(raw, ip);
    if (!quotation || quotation->about.protocol != about.protocol || !fits(quotation->ip, about)) {
        return false;
    }
    const auto quoted = raw.subspan(quotation->at);
    ChecksumChange change = ip.family == net::Family::v6 ? pseudo_header : ChecksumChange{};
    const auto before = ones_sum(quoted);
    put_ports(quoted, quotation->ip, about, put_addresses(quoted, quotation->ip, about));
    change.replace(before, ones_sum(quoted));
    update(raw, ip.transport + 2, change);
    return true;
}

void put_ttl(ByteSpan raw, const IpHeader& ip, std::uint8_t ttl) {
    if (ip.family == net::Family::v6) {
        raw[7] = ttl;
    } else if (raw[8] != ttl) {
        ChecksumChange change;
        put(raw, 8, static_cast<std::uint16_t>(ttl << 8U | raw[9]), change);
        update(raw, 10, change);
    }
}

std::size_t smallest_header(Protocol protocol) {
    return protocol == Protocol::tcp ? kTcpHeader : kUdpHeader;
}

lab::TcpFlags tcp_flags(std::uint8_t bits) {
    return {.syn = (bits & 2U) != 0, .ack = (bits & 16U) != 0, .fin = (bits & 1U) != 0, .rst = (bits & 4U) != 0};
}

bool is_icmp_error(ByteView raw) {
    const auto ip = parse_ip(raw, Extent::beginning);
    return ip && quotation_of(raw, *ip).has_value();
}

/// A router's answer to an echo request, which it carries as its payload.
bool is_answered_echo(const Packet& packet) {
    if (packet.report || packet.flow.protocol != Protocol::icmp || packet.flow.source.port != 0) {
        return false;
    }
    const ByteView raw{packet.payload};
    const auto ip = parse_ip(raw);
    const auto request = ip ? flow_of(raw, *ip) : std::nullopt;
    return request && request->protocol == Protocol::icmp && request->source.port != 0;
}

/// Makes the request in the payload a reply; addresses and identifier follow with `apply`.
void answer_echo(Packet& packet) {
    const ByteSpan raw{packet.payload};
    const auto ip = parse_ip(raw);
    const auto at = ip->transport;
    const std::uint8_t reply = ip->family == net::Family::v4 ? 0 : 129;
    ChecksumChange change;
    put(raw, at, static_cast<std::uint16_t>(reply << 8U | raw[at + 1]), change);
    update(raw, at + 2, change);
}

}  // namespace

std::optional<Packet> parse(ByteView raw) {
    const auto ip = parse_ip(raw);
    if (!ip) {
        return std::nullopt;
    }
    raw = raw.first(ip->total);
    Packet packet;
    packet.ttl = ip->ttl;
    packet.ecn = ip->ecn;
    packet.size = ip->total;
    if (const auto quotation = quotation_of(raw, *ip)) {
        packet.flow = {Protocol::icmp, {ip->source, 0}, {ip->destination, 0}};
        packet.report = read_icmp_error(raw.subspan(ip->transport), ip->family);
        packet.report->about = quotation->about;
    } else if (const auto flow = flow_of(raw, *ip);
               flow && raw.size() >= ip->transport + smallest_header(flow->protocol)) {
        packet.flow = *flow;
        if (flow->protocol == Protocol::tcp) {
            packet.tcp = tcp_flags(raw[ip->transport + 13]);
        }
    } else {
        return std::nullopt;
    }
    packet.payload = to_bytes(raw);
    return packet;
}

bool apply(Packet& packet) {
    const ByteSpan raw{packet.payload};
    const auto ip = parse_ip(raw);
    if (!ip || ip->total != raw.size() || protocol_of(*ip) != packet.flow.protocol || !fits(*ip, packet.flow)) {
        return false;
    }
    if (packet.report) {
        const auto pseudo_header = put_addresses(raw, *ip, packet.flow);
        if (!put_quotation(raw, *ip, packet.report->about, pseudo_header)) {
            return false;
        }
    } else {
        if (!flow_of(raw, *ip)) {
            return false;
        }
        put_ports(raw, *ip, packet.flow, put_addresses(raw, *ip, packet.flow));
    }
    put_ttl(raw, *ip, packet.ttl);
    set_ecn(raw, packet.ecn);
    return true;
}

std::optional<Bytes> to_raw(Packet packet) {
    if (packet.reset) {
        return build_reset(packet, packet.payload);
    }
    if (packet.report && !is_icmp_error(packet.payload)) {
        return build_icmp_error(packet, packet.payload);
    }
    if (is_answered_echo(packet)) {
        answer_echo(packet);
    }
    return apply(packet) ? std::optional{std::move(packet.payload)} : std::nullopt;
}

}  // namespace pinhole::natbox
