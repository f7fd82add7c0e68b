#include "tests/sim/netcheck_program.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::sim {

namespace {

netcheck::Config with_local(netcheck::Config config, const Host& host) {
    config.local = host.addresses();
    return config;
}

}  // namespace

NetcheckProgram::NetcheckProgram(World& world, std::string_view host, netcheck::Config config)
    : world_(world),
      host_(world.host(host)),
      rng_(world.draw_seed()),
      started_(world.now()),
      core_(with_local(std::move(config), host_), rng_, world.now()) {
    world.add(*this);
    drain();
}

void NetcheckProgram::handle_timeout(TimePoint now) {
    core_.handle_timeout(now);
    drain();
}

void NetcheckProgram::drain() {
    if (std::exchange(draining_, true)) {
        return;
    }
    bool more = true;
    while (more) {
        more = false;
        while (const auto action = core_.poll_action()) {
            more = true;
            if (const auto* udp = std::get_if<netcheck::OpenUdp>(&*action)) {
                open(*udp);
            } else if (const auto* tcp = std::get_if<netcheck::OpenTcp>(&*action)) {
                open(*tcp);
            } else if (const auto* sending = std::get_if<netcheck::Send>(&*action)) {
                send(*sending);
            } else if (const auto* closing = std::get_if<netcheck::Close>(&*action)) {
                close(closing->socket);
            }
            most_sockets_ = std::max(most_sockets_, sockets());
        }
        while (const auto event = core_.poll_event()) {
            more = true;
            note(*event);
        }
    }
    draining_ = false;
}

void NetcheckProgram::open(const netcheck::OpenUdp& action) {
    const auto source = host_.source(action.family);
    if (!source) {
        core_.handle_failed(action.socket, world_.now());
        return;
    }
    const auto port = host_.open_udp(0, [this, socket = action.socket](const net::Received& datagram) {
        core_.handle_received(socket, datagram.path.remote, datagram.payload, world_.now());
        drain();
    });
    const net::Endpoint local{.address = *source, .port = *port};
    udp_.emplace(action.socket, local);
    core_.handle_opened(action.socket, local, world_.now());
}

void NetcheckProgram::open(const netcheck::OpenTcp& action) {
    TcpHandler handler;
    handler.connected = [this, socket = action.socket] {
        core_.handle_opened(socket, *host_.local(tcp_.at(socket)), world_.now());
        drain();
    };
    handler.received = [this, socket = action.socket, remote = action.remote](ByteView bytes) {
        core_.handle_received(socket, remote, bytes, world_.now());
        drain();
    };
    handler.closed = [this, socket = action.socket] {
        tcp_.erase(socket);
        core_.handle_failed(socket, world_.now());
        drain();
    };
    const auto port = action.same_port_as ? tcp_ports_[*action.same_port_as] : std::uint16_t{0};
    const auto id = host_.connect(action.remote, port, std::move(handler), world_.now());
    if (!id) {
        core_.handle_failed(action.socket, world_.now());
        return;
    }
    tcp_.emplace(action.socket, *id);
    tcp_ports_[action.socket] = host_.local(*id)->port;
}

void NetcheckProgram::send(const netcheck::Send& action) {
    if (const auto udp = udp_.find(action.socket); udp != udp_.end()) {
        host_.send_udp({.local = udp->second, .remote = action.to}, action.payload, net::Ecn::not_ect,
                       action.ttl.value_or(0));
    } else if (const auto tcp = tcp_.find(action.socket); tcp != tcp_.end()) {
        host_.write(tcp->second, action.payload, world_.now());
    }
}

void NetcheckProgram::close(netcheck::SocketId socket) {
    if (const auto udp = udp_.find(socket); udp != udp_.end()) {
        host_.close_udp(udp->second.port);
        udp_.erase(udp);
    } else if (const auto tcp = tcp_.find(socket); tcp != tcp_.end()) {
        const auto id = tcp->second;
        tcp_.erase(tcp);
        host_.close_tcp(id, world_.now());
    }
}

void NetcheckProgram::note(const netcheck::Event& event) {
    const auto after = world_.now() - started_;
    if (std::holds_alternative<netcheck::FirstReport>(event)) {
        first_ = after;
        first_report_ = core_.report();
    } else if (std::holds_alternative<netcheck::Complete>(event)) {
        complete_ = after;
    } else {
        lifetime_ = after;
    }
    if (on_event) {
        on_event(event);
    }
}

}  // namespace pinhole::sim
