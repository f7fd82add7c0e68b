// natbox's packets: whatever a host sends, and whatever is left of it after a link corrupted it.
#include "tests/lab/natbox/icmp.hpp"
#include "tests/lab/natbox/ip_header.hpp"
#include "tests/lab/natbox/packet_codec.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

using namespace pinhole;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

net::Address other(net::Family family) {
    return *net::Address::parse(family == net::Family::v4 ? "203.0.113.77" : "2001:db8:77::77");
}

/// Addresses, ports, TTL and ECN that are written read the same again.
void translate(lab::Packet packet) {
    const bool echo = packet.flow.protocol == lab::Protocol::icmp;
    packet.flow.source.address = other(packet.flow.source.address.family());
    if (!packet.report) {
        // Of an echo only the identifier is there, on one of the two sides; an identifier of 0 tells no side.
        if (!echo || packet.flow.source.port != 0) {
            packet.flow.source.port = 4242;
        } else if (packet.flow.destination.port != 0) {
            packet.flow.destination.port = 4242;
        }
    } else {
        packet.report->about.destination.address = other(packet.report->about.destination.address.family());
    }
    packet.ttl = 7;
    packet.ecn = net::Ecn::ce;
    require(natbox::apply(packet));
    const auto again = natbox::parse(packet.payload);
    require(again.has_value() && again->report.has_value() == packet.report.has_value());
    require(again->flow == packet.flow && again->ttl == 7 && again->ecn == net::Ecn::ce);
    require(again->size == packet.payload.size());
    if (packet.report) {
        require(again->report->about == packet.report->about);
    }
}

/// The input as the packet that a router answers.
void answer(ByteView input, const lab::Packet& sent) {
    lab::Packet packet;
    packet.flow = {lab::Protocol::icmp, {other(sent.flow.source.address.family()), 0}, {sent.flow.source.address, 0}};
    packet.report = {.error = lab::IcmpError::too_big, .about = sent.flow, .mtu = 1280};
    packet.payload = to_bytes(input);
    const auto raw = natbox::to_raw(packet);
    require(raw.has_value() == natbox::parse_ip(input, natbox::Extent::beginning).has_value() || sent.report);
    packet.report.reset();
    packet.reset = true;
    packet.flow = {lab::Protocol::tcp, sent.flow.destination, sent.flow.source};
    if (const auto reset = natbox::to_raw(packet)) {
        require(natbox::parse(*reset).has_value());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input{data, size};
    // Read as it is, and as the corrupted rest of a good packet of each kind.
    for (const auto protocol : {lab::Protocol::udp, lab::Protocol::tcp, lab::Protocol::icmp}) {
        for (const auto family : {net::Family::v4, net::Family::v6}) {
            lab::Packet packet;
            packet.flow = {protocol, {other(family), 1}, {other(family), 0}};
            packet.payload = to_bytes(input);
            (void)natbox::to_raw(packet);
            packet.report = {.error = lab::IcmpError::unreachable, .about = packet.flow, .mtu = 0};
            (void)natbox::to_raw(packet);
        }
    }
    if (const auto packet = natbox::parse(input)) {
        require(packet->size == packet->payload.size() && packet->size <= size);
        translate(*packet);
        answer(input, *packet);
    }
    return 0;
}
