#include "tests/sim/host.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::sim {

namespace {

constexpr std::uint8_t kDefaultTtl = 64;
constexpr std::size_t kSegmentHeaders = 40;

lab::Flow turned(const lab::Flow& flow) {
    return {.protocol = flow.protocol, .source = flow.destination, .destination = flow.source};
}

}  // namespace

Host::Host(std::string name, std::vector<net::Address> addresses, std::uint64_t seed, Output output)
    : name_(std::move(name)), addresses_(std::move(addresses)), rng_(seed), output_(std::move(output)) {}

std::optional<net::Address> Host::source(net::Family family) const {
    const auto found = std::ranges::find(addresses_, family, &net::Address::family);
    return found == addresses_.end() ? std::nullopt : std::optional{*found};
}

bool Host::owns(const net::Address& address) const {
    return std::ranges::find(addresses_, address) != addresses_.end();
}

void Host::use_ports(std::uint16_t first, std::uint16_t last) {
    first_port_ = first;
    last_port_ = last;
}

std::uint16_t Host::free_port(lab::Protocol protocol) {
    for (;;) {
        const auto port = static_cast<std::uint16_t>(first_port_ + rng_.below(last_port_ - first_port_ + 1U));
        const bool used =
            protocol == lab::Protocol::udp
                ? udp_.contains(port)
                : std::ranges::any_of(flows_, [&](const auto& item) { return item.first.source.port == port; }) ||
                      listeners_.contains(port);
        if (!used) {
            return port;
        }
    }
}

std::optional<std::uint16_t> Host::open_udp(std::uint16_t port, OnDatagram on_datagram) {
    const auto chosen = port != 0 ? port : free_port(lab::Protocol::udp);
    return udp_.emplace(chosen, std::move(on_datagram)).second ? std::optional{chosen} : std::nullopt;
}

void Host::close_udp(std::uint16_t port) {
    udp_.erase(port);
}

void Host::send_udp(const net::PathAddresses& path, ByteView payload, net::Ecn ecn, std::uint8_t ttl) {
    const auto family = path.remote.address.family();
    const auto from = owns(path.local.address) ? std::optional{path.local.address} : source(family);
    if (!from || from->family() != family) {
        return;
    }
    lab::Packet packet;
    packet.flow = {.protocol = lab::Protocol::udp,
                   .source = {.address = *from, .port = path.local.port},
                   .destination = path.remote};
    packet.ecn = ecn;
    packet.ttl = ttl == 0 ? kDefaultTtl : ttl;
    packet.size = lab::udp_packet_size(family, payload.size());
    packet.payload = to_bytes(payload);
    output_(std::move(packet));
}

void Host::listen(std::uint16_t port, OnAccept on_accept) {
    listeners_[port] = std::move(on_accept);
}

TcpId Host::add(const lab::Flow& flow, bool active, TimePoint now) {
    const TcpId id{++last_tcp_};
    tcp_.emplace(id, Tcp{.flow = flow, .connection = TcpConnection{flow, active, now}, .handler = {}});
    flows_.emplace(flow, id);
    return id;
}

std::optional<TcpId> Host::connect(const net::Endpoint& remote, std::uint16_t port, TcpHandler handler, TimePoint now) {
    const auto from = source(remote.address.family());
    if (!from) {
        return std::nullopt;
    }
    const lab::Flow flow{
        .protocol = lab::Protocol::tcp,
        .source = {.address = *from, .port = port != 0 ? port : free_port(lab::Protocol::tcp)},
        .destination = remote,
    };
    if (flows_.contains(flow)) {
        return std::nullopt;
    }
    const auto id = add(flow, true, now);
    auto& tcp = tcp_.at(id);
    tcp.handler = std::move(handler);
    flush(tcp);
    return id;
}

std::optional<net::Endpoint> Host::local(TcpId id) const {
    const auto found = tcp_.find(id);
    return found == tcp_.end() ? std::nullopt : std::optional{found->second.flow.source};
}

void Host::write(TcpId id, ByteView bytes, TimePoint now) {
    if (const auto found = tcp_.find(id); found != tcp_.end()) {
        found->second.connection.write(bytes, now);
        flush(found->second);
    }
}

void Host::close_tcp(TcpId id, TimePoint now) {
    const auto found = tcp_.find(id);
    if (found == tcp_.end()) {
        return;
    }
    found->second.abandoned = true;
    found->second.connection.close(now);
    drain(id);
}

void Host::handle_packet(lab::Packet packet, TimePoint now) {
    if (packet.report) {
        handle_report(*packet.report);
    } else if (packet.flow.protocol == lab::Protocol::tcp) {
        handle_tcp(packet, now);
    } else if (packet.flow.protocol == lab::Protocol::udp && owns(packet.flow.destination.address)) {
        // A closed port would be answered by ICMP, which no unconnected UDP socket is told of.
        const auto found = udp_.find(packet.flow.destination.port);
        if (found != udp_.end()) {
            const auto on_datagram = found->second;  // it may close its own socket
            on_datagram({.path = {.local = packet.flow.destination, .remote = packet.flow.source},
                         .payload = packet.payload,
                         .ecn = packet.ecn});
        }
    }
}

void Host::handle_report(const lab::IcmpReport& report) {
    if (report.error == lab::IcmpError::too_big) {
        return;
    }
    if (const auto id = find(report.about)) {
        tcp_.at(*id).connection.handle_unreachable();
        drain(*id);
    }
}

void Host::handle_tcp(const lab::Packet& packet, TimePoint now) {
    auto id = find(turned(packet.flow));
    if (!id && packet.tcp.syn && !packet.tcp.ack && owns(packet.flow.destination.address)) {
        const auto listener = listeners_.find(packet.flow.destination.port);
        if (listener != listeners_.end()) {
            const auto opened = add(turned(packet.flow), false, now);
            auto handler = listener->second(opened, packet.flow.destination, packet.flow.source);
            if (const auto found = tcp_.find(opened); found != tcp_.end()) {
                found->second.handler = std::move(handler);
            }
            drain(opened);
            return;
        }
    }
    if (!id) {
        refuse(packet);
        return;
    }
    tcp_.at(*id).connection.handle_segment(packet, now);
    drain(*id);
}

// RFC 9293 §3.10.7.1
void Host::refuse(const lab::Packet& packet) {
    if (packet.tcp.rst || packet.reset) {
        return;
    }
    lab::Packet answer;
    answer.flow = turned(packet.flow);
    answer.tcp = {.ack = true, .rst = true};
    answer.reset = true;
    answer.size = kSegmentHeaders;
    output_(std::move(answer));
}

std::optional<TcpId> Host::find(const lab::Flow& flow) const {
    const auto found = flows_.find(flow);
    return found == flows_.end() ? std::nullopt : std::optional{found->second};
}

void Host::flush(Tcp& tcp) {
    while (auto segment = tcp.connection.poll_segment()) {
        output_(*std::move(segment));
    }
}

// Each call of a handler may end the connection, so it is looked up again.
void Host::drain(TcpId id) {
    const auto alive = [&]() -> Tcp* {
        const auto found = tcp_.find(id);
        return found == tcp_.end() ? nullptr : &found->second;
    };
    if (auto* tcp = alive()) {
        flush(*tcp);
        if (tcp->connection.established() && !std::exchange(tcp->announced, true) && !tcp->abandoned &&
            tcp->handler.connected) {
            const auto connected = tcp->handler.connected;
            connected();
        }
    }
    if (auto* tcp = alive()) {
        const auto bytes = tcp->connection.take_received();
        if (!bytes.empty() && !tcp->abandoned && tcp->handler.received) {
            const auto received = tcp->handler.received;
            received(bytes);
        }
    }
    if (auto* tcp = alive();
        tcp != nullptr && tcp->connection.ended() && !std::exchange(tcp->abandoned, true) && tcp->handler.closed) {
        const auto closed = tcp->handler.closed;
        closed();
    }
    if (auto* tcp = alive()) {
        flush(*tcp);
        if (tcp->connection.over() || (tcp->connection.ended() && tcp->abandoned)) {
            flows_.erase(tcp->flow);
            tcp_.erase(id);
        }
    }
}

void Host::handle_timeout(TimePoint now) {
    std::vector<TcpId> due;
    for (const auto& [id, tcp] : tcp_) {
        const auto when = tcp.connection.next_timeout();
        if (when && *when <= now) {
            due.push_back(id);
        }
    }
    for (const auto id : due) {
        if (const auto found = tcp_.find(id); found != tcp_.end()) {
            found->second.connection.handle_timeout(now);
            drain(id);
        }
    }
}

std::optional<TimePoint> Host::next_timeout() const {
    std::optional<TimePoint> next;
    for (const auto& [id, tcp] : tcp_) {
        next = earliest(next, tcp.connection.next_timeout());
    }
    return next;
}

}  // namespace pinhole::sim
