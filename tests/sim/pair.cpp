#include "tests/sim/pair.hpp"

#include "peer/transport/packet.hpp"

#include <utility>

namespace pinhole::sim {

namespace {

// UDP payloads that the hosts' Ethernet takes, at least.
constexpr std::size_t kInterface = 1472;
constexpr std::uint64_t kConnectionA = 0xaaaa'0000'1111'2222;
constexpr std::uint64_t kConnectionB = 0xbbbb'3333'4444'5555;

crypto::SecretKey key(std::uint8_t fill) {
    crypto::Key32 bytes{};
    bytes.fill(fill);
    return crypto::SecretKey{bytes};
}

transport::Config with_ids(transport::Config config, bool first) {
    config.role = first ? transport::Role::initiator : transport::Role::responder;
    config.local_connection_id = first ? kConnectionA : kConnectionB;
    config.remote_connection_id = first ? kConnectionB : kConnectionA;
    return config;
}

}  // namespace

net::Endpoint Pair::address_a() {
    return *net::Endpoint::parse("198.51.100.1:4000");
}

net::Endpoint Pair::address_b() {
    return *net::Endpoint::parse("203.0.113.2:5000");
}

Pair::Pair(const PairConfig& config)
    : rng_(config.seed),
      network_rng_(config.seed ^ 0x6e6574776f726b),
      to_b(config.to_b, network_rng_),
      to_a(config.to_a, network_rng_),
      a(with_ids(config.a, true), key(1), key(2), rng_, TimePoint{}),
      b(with_ids(config.b, false), key(2), key(1), rng_, TimePoint{}) {
    a.connection.add_path({.local = address_a(), .remote = address_b()}, now_);
    b.connection.add_path({.local = address_b(), .remote = address_a()}, now_);
}

bool Pair::run(const std::function<bool()>& done, Duration limit) {
    const auto end = now_ + limit;
    settle();
    while (!done()) {
        if (!step(end)) {
            now_ = end;
            return done();
        }
    }
    return true;
}

void Pair::run_for(Duration time) {
    run([] { return false; }, time);
}

Bytes Pair::craft(std::uint64_t number, ByteView frames, bool from_a) {
    Bytes packet(transport::kPacketOverhead + frames.size());
    transport::write_header(
        {.connection_id = from_a ? kConnectionB : kConnectionA, .truncated_number = static_cast<std::uint32_t>(number)},
        packet);
    std::ranges::copy(frames, packet.begin() + transport::kHeaderSize);
    crypto::make_aead(crypto::Cipher::chacha20_poly1305, key(from_a ? 1 : 2))
        ->seal(number, ByteView{packet}.first(transport::kHeaderSize),
               ByteSpan{packet}.subspan(transport::kHeaderSize));
    return packet;
}

void Pair::settle() {
    turn(a, true);
    turn(b, false);
}

bool Pair::step(TimePoint limit) {
    const auto timers = earliest(a.connection.next_timeout(), b.connection.next_timeout());
    const auto next = earliest(timers, earliest(to_a.next_arrival(), to_b.next_arrival()));
    if (!next || *next > limit) {
        return false;
    }
    ++steps_;
    now_ = std::max(now_, *next);
    const auto due = [this](const Peer& peer) {
        const auto when = peer.connection.next_timeout();
        return when && *when <= now_;
    };
    if (due(a)) {
        a.connection.handle_timeout(now_);
        turn(a, true);
    }
    if (due(b)) {
        b.connection.handle_timeout(now_);
        turn(b, false);
    }
    for (auto* link : {&to_b, &to_a}) {
        while (auto packet = link->receive(now_)) {
            // Who receives it sees the addresses turned around.
            deliver({.local = packet->flow.destination, .remote = packet->flow.source}, std::move(packet->payload),
                    packet->ecn, link == &to_b);
        }
    }
    return true;
}

void Pair::deliver(const net::PathAddresses& path, Bytes payload, net::Ecn ecn, bool to_second) {
    // The NAT: only the current mapping leads inside.
    if (!to_second && path.local != external_) {
        return;
    }
    auto& peer = to_second ? b : a;
    const auto local = to_second ? path.local : address_a();
    peer.connection.handle_datagram({.path = {.local = local, .remote = path.remote}, .payload = payload, .ecn = ecn},
                                    now_);
    turn(peer, !to_second);
}

void Pair::inject(Bytes payload, const net::Endpoint& source, bool to_second) {
    const auto local = to_second ? address_b() : external_;
    deliver({.local = local, .remote = source}, std::move(payload), net::Ecn::not_ect, to_second);
}

void Pair::turn(Peer& peer, bool is_a) {
    peer.take_turn(now_);
    while (const auto batch = peer.connection.poll_transmit(batch_, now_)) {
        transmit(*batch, is_a);
    }
}

void Pair::transmit(const transport::TransmitBatch& batch, bool is_a) {
    const auto takes =
        std::max(kInterface, (is_a ? to_b : to_a).config().mtu - lab::udp_packet_size(net::Family::v4, 0));
    if (batch.segment_size > takes) {
        (is_a ? a : b).connection.handle_mtu_exceeded(batch.segment_size, now_);
        return;
    }
    if (on_batch) {
        on_batch(is_a, batch);
    }
    for (std::size_t at = 0; at < batch.size; at += batch.segment_size) {
        const auto payload = ByteView{batch_}.subspan(at, std::min(batch.segment_size, batch.size - at));
        note(is_a, payload);
        const bool cut = dead && (batch.path.remote == *dead || batch.path.local == *dead);
        if (cut || (wiretap && !wiretap(is_a, payload))) {
            continue;
        }
        lab::Packet packet;
        // The NAT's address instead of the first end's.
        packet.flow.source = is_a ? external_ : batch.path.local;
        packet.flow.destination = batch.path.remote;
        packet.ecn = batch.ecn;
        packet.size = lab::udp_packet_size(net::Family::v4, payload.size());
        packet.payload = to_bytes(payload);
        if (is_a) {
            last_to_b_ = packet.payload;
        }
        (is_a ? to_b : to_a).send(std::move(packet), now_);
    }
}

void Pair::note(bool is_a, ByteView payload) {
    const auto mix = [this](std::uint64_t value) { trace_ = (trace_ ^ value) * 0x100000001b3; };
    mix(static_cast<std::uint64_t>(elapsed().count()));
    mix(is_a ? 1 : 2);
    for (const auto byte : payload) {
        mix(byte);
    }
    ByteReader reader{payload.subspan(9)};
    number_reused_ = number_reused_ || !numbers_.emplace(is_a, *reader.u32()).second;
}

}  // namespace pinhole::sim
