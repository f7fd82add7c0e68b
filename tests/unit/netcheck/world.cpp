#include "tests/unit/netcheck/world.hpp"

#include <algorithm>
#include <utility>

#include <gtest/gtest.h>

namespace pinhole::netcheck::testing {

namespace {

constexpr std::uint16_t kPort = 3478;
constexpr std::uint16_t kSecondPort = 3479;
constexpr Duration kSynInterval = 1s;
constexpr Duration kDataInterval = 300ms;
constexpr int kMaxRepeats = 6;

const auto kClientV6 = *net::Address::parse("2001:db8:1::10");
const auto kServerV6 = *net::Address::parse("2001:db8:2::20");
const auto kSecondServerV6 = *net::Address::parse("2001:db8:3::20");

lab::Topology topology_of(const WorldConfig& config) {
    lab::Topology topology;
    topology.seed = config.seed;
    std::string behind = lab::kInternet;
    for (std::size_t i = config.nats.size(); i-- > 0;) {
        lab::NatNode node;
        node.nat = config.nats[i];
        node.behind = behind;
        node.link = {.up = config.link, .down = config.link};
        node.nat.name = "nat" + std::to_string(i);
        if (i + 1 == config.nats.size()) {
            node.external.assign(config.external_addresses, net::Address::any(net::Family::v4));
        }
        if (config.ipv6) {
            node.lan_v6 = *net::Address::parse("2001:db8:1::");
        }
        behind = node.nat.name;
        topology.nats.push_back(std::move(node));
    }
    lab::HostNode client{
        .name = "client", .behind = behind, .link = {.up = config.link, .down = config.link}, .addresses = {}};
    client.addresses.push_back(net::Address::any(net::Family::v4));
    lab::HostNode server;
    server.name = "server";
    server.addresses.assign(2, net::Address::any(net::Family::v4));
    if (config.ipv6) {
        client.addresses.push_back(kClientV6);
        server.addresses.push_back(kServerV6);
        server.addresses.push_back(kSecondServerV6);
    }
    topology.hosts = {std::move(client), std::move(server)};
    const auto resolved = lab::resolve(topology);
    EXPECT_TRUE(resolved.has_value()) << (resolved ? "" : resolved.error().detail);
    return topology;
}

}  // namespace

World::World(const WorldConfig& config)
    : config_(config),
      network_(topology_of(config)),
      client_host_(network_.host("client")),
      server_host_(network_.host("server")),
      rng_(config.seed * 3 + 1),
      ports_(config.seed * 7 + 2),
      start_(TimePoint{} + 1000s),
      now_(start_) {
    const auto& addresses = network_.node(server_host_).addresses;
    server_ = {addresses[0], addresses[1]};
    if (config.second_address) {
        service_.add_site({.addresses = {server_[0], server_[1]}, .ports = {kPort, kSecondPort}});
        service_.add_site({.addresses = {kServerV6, kSecondServerV6}, .ports = {kPort, kSecondPort}});
    }
    Config client{.servers = {{.endpoint = server_endpoint(), .second_port = {}}},
                  .local = network_.node(client_host_).addresses,
                  .tcp = config.tcp,
                  .lifetime = config.lifetime};
    if (config.second_port) {
        client.servers[0].second_port = kSecondPort;
    }
    if (config.ipv6) {
        client.servers.push_back({.endpoint = {.address = kServerV6, .port = kPort}, .second_port = {}});
    }
    if (config.only_ipv6) {
        client.servers.erase(client.servers.begin());
    }
    netcheck_.emplace(std::move(client), rng_, now_);
}

const net::NetReport& World::run() {
    return run_until(1h);
}

const net::NetReport& World::run_until(Duration end) {
    drain();
    while (const auto at = next()) {
        if (*at > start_ + end || (!netcheck_->next_timeout() && sockets_.empty())) {
            break;
        }
        now_ = std::max(now_, *at);
        while (auto delivery = network_.poll(now_)) {
            deliver(*delivery);
            drain();
        }
        repeat_tcp();
        if (const auto timeout = netcheck_->next_timeout(); timeout && *timeout <= now_) {
            netcheck_->handle_timeout(now_);
        }
        drain();
    }
    return netcheck_->report();
}

std::optional<TimePoint> World::next() const {
    auto next = earliest(network_.next_timeout(), netcheck_->next_timeout());
    for (const auto& [id, socket] : sockets_) {
        next = earliest(next, socket.repeat);
    }
    return next;
}

std::size_t World::sent_within(Duration end) const {
    return static_cast<std::size_t>(std::ranges::count_if(sent_at_, [&](TimePoint at) { return at <= start_ + end; }));
}

void World::drain() {
    while (auto action = netcheck_->poll_action()) {
        perform(*action);
    }
    while (auto event = netcheck_->poll_event()) {
        note(*event);
    }
    most_sockets_ = std::max(most_sockets_, sockets_.size());
}

void World::perform(const Action& action) {
    if (const auto* udp = std::get_if<OpenUdp>(&action)) {
        open_udp(*udp);
    } else if (const auto* tcp = std::get_if<OpenTcp>(&action)) {
        open_tcp(*tcp);
    } else if (const auto* datagram = std::get_if<Send>(&action)) {
        send(*datagram);
    } else {
        const auto socket = std::get<Close>(action).socket;
        if (const auto found = sockets_.find(socket); found != sockets_.end()) {
            if (found->second.established) {
                send_tcp(found->second, {.ack = true, .fin = true}, {});
            }
            sockets_.erase(found);
        }
    }
}

void World::note(const Event& event) {
    const auto at = now_ - start_;
    if (std::holds_alternative<FirstReport>(event)) {
        EXPECT_FALSE(first_at_) << "a second first report";
        first_at_ = at;
        first_report_ = netcheck_->report();
    } else if (std::holds_alternative<Complete>(event)) {
        EXPECT_FALSE(complete_at_) << "complete twice";
        complete_at_ = at;
        if (!config_.nats.empty()) {
            auto& nat = network_.nat("nat" + std::to_string(config_.nats.size() - 1));
            static_cast<void>(nat.inbound({}, now_));  // lets time pass in it
            background_ = nat.counters().background_mappings;
        }
    } else {
        lifetime_at_ = at;
    }
}

std::uint16_t World::fresh_port() {
    for (;;) {
        const auto port = static_cast<std::uint16_t>(32768 + ports_.below(28000));
        if (used_ports_.insert(port).second) {
            return port;
        }
    }
}

void World::open_udp(const OpenUdp& open) {
    const auto address = network_.address(client_host_, open.family);
    if (!address) {
        netcheck_->handle_failed(open.socket, now_);
        return;
    }
    const net::Endpoint local{.address = *address, .port = fresh_port()};
    sockets_[open.socket] = {.local = local};
    netcheck_->handle_opened(open.socket, local, now_);
}

void World::open_tcp(const OpenTcp& open) {
    const auto port = open.same_port_as ? tcp_ports_.at(*open.same_port_as) : fresh_port();
    tcp_ports_[open.socket] = port;
    const net::Endpoint local{.address = *network_.address(client_host_), .port = port};
    auto& socket = sockets_[open.socket];
    socket = {.local = local, .tcp = true, .remote = open.remote, .repeat = now_ + kSynInterval};
    send_tcp(socket, {.syn = true}, {});
}

void World::send_tcp(const Socket& socket, lab::TcpFlags flags, Bytes payload) {
    lab::Packet packet;
    packet.flow = {.protocol = lab::Protocol::tcp, .source = socket.local, .destination = socket.remote};
    packet.tcp = flags;
    packet.size = payload.size() + 40;
    packet.payload = std::move(payload);
    network_.send(client_host_, std::move(packet), now_);
}

void World::repeat_tcp() {
    std::vector<SocketId> failed;
    for (auto& [id, socket] : sockets_) {
        if (!socket.repeat || *socket.repeat > now_) {
            continue;
        }
        if (++socket.repeats > kMaxRepeats) {
            failed.push_back(id);
            continue;
        }
        if (!socket.established) {
            send_tcp(socket, {.syn = true}, {});
            socket.repeat = now_ + kSynInterval;
        } else {
            send_tcp(socket, {.ack = true}, socket.request);
            socket.repeat = now_ + kDataInterval;
        }
    }
    for (const auto id : failed) {
        sockets_.erase(id);
        netcheck_->handle_failed(id, now_);
    }
}

void World::send(const Send& send) {
    auto& socket = sockets_.at(send.socket);
    sent_at_.push_back(now_);
    if (socket.tcp) {
        socket.request = send.payload;
        socket.repeat = now_ + kDataInterval;
        send_tcp(socket, {.ack = true}, send.payload);
        return;
    }
    lab::Packet packet;
    packet.flow = {.protocol = lab::Protocol::udp, .source = socket.local, .destination = send.to};
    packet.ttl = send.ttl.value_or(64);
    packet.size = lab::udp_packet_size(send.to.address.family(), send.payload.size());
    packet.payload = send.payload;
    network_.send(client_host_, std::move(packet), now_);
}

void World::inject(const net::Endpoint& from, const Bytes& payload) {
    std::vector<SocketId> open;
    for (const auto& [id, socket] : sockets_) {
        if (!socket.tcp) {
            open.push_back(id);
        }
    }
    for (const auto id : open) {
        netcheck_->handle_received(id, from, payload, now_);
        drain();
    }
}

void World::deliver(const lab::Delivery& delivery) {
    const auto& packet = delivery.packet;
    if (packet.report) {
        return;
    }
    const bool tcp = packet.flow.protocol == lab::Protocol::tcp;
    if (delivery.to == server_host_) {
        tcp ? to_server_tcp(packet) : to_server(packet);
    } else {
        tcp ? to_client_tcp(packet) : to_client(packet);
    }
}

void World::to_client(const lab::Packet& packet) {
    for (const auto& [id, socket] : sockets_) {
        if (!socket.tcp && socket.local == packet.flow.destination) {
            auto payload = packet.payload;
            const auto from = packet.flow.source;
            if (!on_inbound || on_inbound(from, payload)) {
                netcheck_->handle_received(SocketId{id}, from, payload, now_);
            }
            return;
        }
    }
}

void World::to_client_tcp(const lab::Packet& packet) {
    for (auto& [id, socket] : sockets_) {
        if (!socket.tcp || socket.local != packet.flow.destination || socket.remote != packet.flow.source) {
            continue;
        }
        const auto found = id;
        if (packet.reset || packet.tcp.rst) {
            sockets_.erase(found);
            netcheck_->handle_failed(found, now_);
        } else if (packet.tcp.syn && !socket.established) {
            socket.established = true;
            socket.repeat.reset();
            netcheck_->handle_opened(found, socket.local, now_);
        } else if (!packet.payload.empty() && !socket.answered) {
            socket.answered = true;
            socket.repeat.reset();
            // A stream has no borders: the first byte arrives alone.
            const ByteView bytes{packet.payload};
            netcheck_->handle_received(found, packet.flow.source, bytes.first(1), now_);
            netcheck_->handle_received(found, packet.flow.source, bytes.subspan(1), now_);
        }
        return;
    }
}

void World::to_server(const lab::Packet& packet) {
    const net::PathAddresses path{.local = packet.flow.destination, .remote = packet.flow.source};
    auto payload = packet.payload;
    const bool listens = path.local.port == kPort || path.local.port == kSecondPort;
    if (!listens || config_.dead_server || (config_.dead_second_address && path.local.address == server_[1]) ||
        (on_request && !on_request(path, payload))) {
        return;
    }
    if (auto answer = service_.handle_datagram(payload, path, now_)) {
        if (config_.dead_second_address && answer->path.local.address == server_[1]) {
            return;
        }
        lab::Packet out;
        out.flow = {.protocol = lab::Protocol::udp, .source = answer->path.local, .destination = answer->path.remote};
        out.size = lab::udp_packet_size(path.remote.address.family(), answer->payload.size());
        out.payload = std::move(answer->payload);
        network_.send(server_host_, std::move(out), now_);
    }
}

void World::to_server_tcp(const lab::Packet& packet) {
    const net::PathAddresses path{.local = packet.flow.destination, .remote = packet.flow.source};
    lab::Packet out;
    out.flow = {.protocol = lab::Protocol::tcp, .source = path.local, .destination = path.remote};
    out.tcp = {.ack = true};
    out.size = 40;
    if (config_.dead_server || (config_.dead_second_address && path.local.address == server_[1])) {
        return;
    }
    if (packet.tcp.syn) {
        out.tcp.syn = true;
    } else if (!packet.payload.empty()) {
        auto answer = service_.handle_stream(packet.payload, path, now_);
        if (!answer) {
            return;
        }
        out.payload = *std::move(answer);
        out.size += out.payload.size();
    } else {
        return;
    }
    network_.send(server_host_, std::move(out), now_);
}

}  // namespace pinhole::netcheck::testing
