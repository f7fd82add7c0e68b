#include "tests/sim/bottleneck.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace pinhole::sim {

namespace {

// UDP payloads that the hosts' Ethernet takes.
constexpr std::size_t kInterface = 1472;
constexpr Duration kProbeEvery = 10ms;
constexpr std::uint16_t kProbePort = 1;
constexpr std::uint16_t kFirstPort = 1000;

crypto::SecretKey key(std::uint8_t fill) {
    crypto::Key32 bytes{};
    bytes.fill(fill);
    return crypto::SecretKey{bytes};
}

net::Endpoint endpoint(bool sender, std::uint16_t port) {
    return {.address = *net::Address::parse(sender ? "198.51.100.1" : "203.0.113.2"), .port = port};
}

transport::Config config_of(bool sender, std::uint16_t port, transport::CongestionAlgorithm algorithm) {
    transport::Config config;
    config.role = sender ? transport::Role::initiator : transport::Role::responder;
    config.congestion = algorithm;
    config.local_connection_id = sender ? port : std::uint64_t{port} << 32U;
    config.remote_connection_id = sender ? std::uint64_t{port} << 32U : port;
    return config;
}

}  // namespace

std::uint64_t Bottleneck::Flow::received() const {
    std::uint64_t bytes = 0;
    for (const auto& [stream, incoming] : receiver->incoming) {
        bytes += incoming.received;
    }
    return bytes;
}

Bottleneck::Bottleneck(const BottleneckConfig& config)
    : rng_(config.seed),
      network_rng_(config.seed ^ 0x6e6574776f726b),
      forward(config.forward, network_rng_),
      back(config.back, network_rng_),
      lateness_(config.lateness) {}

Bottleneck::Flow& Bottleneck::start(transport::CongestionAlgorithm algorithm, std::uint64_t bytes) {
    const auto port = static_cast<std::uint16_t>(kFirstPort + flows_.size());
    const auto one = static_cast<std::uint8_t>(2 * flows_.size() + 1);
    const auto two = static_cast<std::uint8_t>(2 * flows_.size() + 2);
    auto flow = std::make_unique<Flow>();
    flow->sender = std::make_unique<Peer>(config_of(true, port, algorithm), key(one), key(two), rng_, now_);
    flow->receiver = std::make_unique<Peer>(config_of(false, port, algorithm), key(two), key(one), rng_, now_);
    flow->sender->connection.add_path({.local = endpoint(true, port), .remote = endpoint(false, port)}, now_);
    flow->receiver->connection.add_path({.local = endpoint(false, port), .remote = endpoint(true, port)}, now_);
    flow->sender->send(bytes);
    flows_.push_back(std::move(flow));
    turn(*flows_.back()->sender, true);
    turn(*flows_.back()->receiver, false);
    return *flows_.back();
}

void Bottleneck::run_for(Duration time) {
    run_until(now_ + time, [] { return false; });
}

bool Bottleneck::run(const Flow& flow, Duration limit) {
    return run_until(now_ + limit, [&] { return flow.sender->all_sent(); });
}

std::vector<Duration> Bottleneck::take_round_trips() {
    auto taken = std::exchange(round_trips_, {});
    std::ranges::sort(taken);
    return taken;
}

template <class Done>
bool Bottleneck::run_until(TimePoint end, Done done) {
    while (!done()) {
        auto next = earliest(earliest(forward.next_arrival(), back.next_arrival()), std::optional{next_probe_});
        for (const auto& flow : flows_) {
            rouse(*flow->sender, flow->at_sender);
            rouse(*flow->receiver, flow->at_receiver);
            next = earliest(next, earliest(flow->at_sender.wake, flow->at_receiver.wake));
        }
        if (*next > end) {
            now_ = end;
            return false;
        }
        now_ = std::max(now_, *next);
        while (auto packet = forward.receive(now_)) {
            deliver(*packet, true);
        }
        while (auto packet = back.receive(now_)) {
            deliver(*packet, false);
        }
        work();
    }
    return true;
}

/// Sees to it that the host looks after what has come and what is due, sooner or later.
void Bottleneck::rouse(const Peer& peer, Desk& desk) {
    const auto timer = peer.connection.next_timeout();
    const auto due = desk.inbox.empty() ? timer : earliest(timer, std::optional{now_});
    // A wake-up that is being waited for stands, unless it is for a timer that has moved.
    if (desk.wake && (desk.due == due || (desk.due && *desk.due <= now_))) {
        return;
    }
    desk.due = due;
    desk.wake.reset();
    if (due) {
        const auto late = rng_.below(static_cast<std::uint64_t>(lateness_.count()) + 1);
        desk.wake = std::max(*due, now_) + Duration{static_cast<Duration::rep>(late)};
    }
}

void Bottleneck::wake(Flow& flow, bool sender) {
    auto& desk = sender ? flow.at_sender : flow.at_receiver;
    auto& peer = sender ? *flow.sender : *flow.receiver;
    if (!desk.wake || *desk.wake > now_) {
        return;
    }
    desk.wake.reset();
    for (auto& packet : std::exchange(desk.inbox, {})) {
        peer.connection.handle_datagram({.path = {.local = packet.flow.destination, .remote = packet.flow.source},
                                         .payload = packet.payload,
                                         .ecn = packet.ecn},
                                        now_);
    }
    if (const auto when = peer.connection.next_timeout(); when && *when <= now_) {
        peer.connection.handle_timeout(now_);
    }
    turn(peer, sender);
}

void Bottleneck::work() {
    if (next_probe_ <= now_) {
        probe();
    }
    for (const auto& flow : flows_) {
        rouse(*flow->sender, flow->at_sender);
        rouse(*flow->receiver, flow->at_receiver);
        wake(*flow, true);
        wake(*flow, false);
    }
}

void Bottleneck::probe() {
    lab::Packet packet;
    packet.flow = {.source = endpoint(true, kProbePort), .destination = endpoint(false, kProbePort)};
    packet.size = 84;
    const auto stamp = static_cast<std::uint64_t>(now_.time_since_epoch().count());
    packet.payload.resize(sizeof stamp);
    ByteWriter{packet.payload}.u64(stamp);
    forward.send(std::move(packet), now_);
    next_probe_ = now_ + kProbeEvery;
}

void Bottleneck::turn(Peer& peer, bool sender) {
    peer.take_turn(now_);
    while (const auto batch = peer.connection.poll_transmit(batch_, now_)) {
        if (batch->segment_size > kInterface) {
            peer.connection.handle_mtu_exceeded(batch->segment_size, now_);
            continue;
        }
        for (std::size_t at = 0; at < batch->size; at += batch->segment_size) {
            const auto payload = ByteView{batch_}.subspan(at, std::min(batch->segment_size, batch->size - at));
            lab::Packet packet;
            packet.flow = {.source = batch->path.local, .destination = batch->path.remote};
            packet.ecn = batch->ecn;
            packet.size = lab::udp_packet_size(net::Family::v4, payload.size());
            packet.payload = to_bytes(payload);
            (sender ? forward : back).send(std::move(packet), now_);
        }
    }
}

void Bottleneck::deliver(lab::Packet& packet, bool to_receiver) {
    const auto port = packet.flow.source.port;
    if (port == kProbePort) {
        if (to_receiver) {
            std::swap(packet.flow.source, packet.flow.destination);
            back.send(std::move(packet), now_);
        } else {
            const auto stamp = ByteReader{packet.payload}.u64();
            round_trips_.push_back(now_ - TimePoint{Duration{static_cast<Duration::rep>(*stamp)}});
        }
        return;
    }
    auto& flow = *flows_[port - kFirstPort];
    (to_receiver ? flow.at_receiver : flow.at_sender).inbox.push_back(std::move(packet));
}

}  // namespace pinhole::sim
