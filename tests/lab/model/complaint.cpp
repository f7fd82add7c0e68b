#include "tests/lab/model/complaint.hpp"

#include <utility>

namespace pinhole::lab {

namespace {

constexpr std::uint8_t kInitialTtl = 64;

std::size_t header_size(net::Family family) {
    return family == net::Family::v4 ? 20 : 40;
}

}  // namespace

bool may_be_answered(const Packet& packet) {
    return !packet.report && !packet.reset && !packet.tcp.rst;
}

Packet report_about(Packet packet, IcmpError error, const net::Address& from, std::size_t mtu) {
    Packet report;
    report.flow = {.protocol = Protocol::icmp,
                   .source = {.address = from, .port = 0},
                   .destination = {.address = packet.flow.source.address, .port = 0}};
    report.report = IcmpReport{.error = error, .about = packet.flow, .mtu = mtu};
    // RFC 792: the header that it is about and 8 bytes more, after 8 bytes of ICMP.
    report.size = 2 * header_size(from.family()) + 16;
    report.payload = std::move(packet.payload);
    return report;
}

Packet rejection_of(Packet packet) {
    if (packet.flow.protocol != Protocol::tcp) {
        const auto from = packet.flow.destination.address;
        return report_about(std::move(packet), IcmpError::port_unreachable, from);
    }
    Packet reset;
    reset.flow = {.protocol = Protocol::tcp, .source = packet.flow.destination, .destination = packet.flow.source};
    // RFC 9293 §3.5.2: with ACK unless it answers one.
    reset.tcp = {.ack = !packet.tcp.ack, .rst = true};
    reset.reset = true;
    reset.size = header_size(packet.flow.source.address.family()) + 20;
    reset.payload = std::move(packet.payload);
    return reset;
}

bool is_echo_request(const Packet& packet) {
    return packet.flow.protocol == Protocol::icmp && !packet.report && packet.flow.source.port != 0 &&
           packet.flow.destination.port == 0;
}

Packet echo_reply(Packet request) {
    std::swap(request.flow.source, request.flow.destination);
    request.ttl = kInitialTtl;
    return request;
}

}  // namespace pinhole::lab
