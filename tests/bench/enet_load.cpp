// enet-load: ENet with two reliable channels, messages on one and bulk on the other, beside the transport.
//
//   enet-load listen|connect ADDRESS PORT MESSAGES [RATE [SIZE [WARM_UP]]]     the one who connects sends
//
// The stamp in a message says when it was handed to ENet. Prints `ready` and one line of JSON.
#include "tests/bench/load_report.hpp"

#include <cstdint>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <enet/enet.h>

namespace {

namespace bench = pinhole::bench;

constexpr enet_uint8 kMessages = 0;
constexpr enet_uint8 kBulk = 1;
/// One packet each: larger ones would be cut.
constexpr std::size_t kChunk = 1300;
/// Bulk handed to ENet ahead: more than its window of 64 KB, so that it never runs dry.
constexpr std::size_t kAhead = 256U << 10;
constexpr enet_uint32 kPatienceMs = 10'000;

struct Destroy {
    void operator()(ENetHost* host) const { enet_host_destroy(host); }
};

using Host = std::unique_ptr<ENetHost, Destroy>;

Host make_host(const ENetAddress* address) {
    Host host{enet_host_create(address, 1, 2, 0, 0)};
    if (!host) {
        throw std::runtime_error("no ENet host");
    }
    return host;
}

void receive(const ENetAddress& address, double warm_up) {
    const auto host = make_host(&address);
    bench::print_ready();
    bench::Intake intake{warm_up};
    bench::Latencies latencies;
    ENetEvent event{};
    while (enet_host_service(host.get(), &event, kPatienceMs) > 0 && event.type != ENET_EVENT_TYPE_DISCONNECT) {
        if (event.type != ENET_EVENT_TYPE_RECEIVE) {
            continue;
        }
        if (event.channelID == kMessages) {
            latencies.add_stamped(event.packet->data);
        } else {
            intake.add(event.packet->dataLength);
        }
        enet_packet_destroy(event.packet);
    }
    auto report = intake.json();
    report["end"] = "receive";
    report["latency_ms"] = latencies.json();
    bench::print_report(report);
}

std::size_t waiting(const ENetPeer* peer) {
    return enet_list_size(const_cast<ENetList*>(&peer->outgoingCommands)) * kChunk;
}

void send_packet(ENetPeer* peer, enet_uint8 channel, const std::vector<std::uint8_t>& bytes) {
    if (enet_peer_send(peer, channel, enet_packet_create(bytes.data(), bytes.size(), ENET_PACKET_FLAG_RELIABLE)) < 0) {
        throw std::runtime_error("enet_peer_send");
    }
}

void send(const ENetAddress& address, std::uint64_t count, double rate, std::size_t size) {
    const auto host = make_host(nullptr);
    auto* peer = enet_host_connect(host.get(), &address, 2, 0);
    ENetEvent event{};
    if (enet_host_service(host.get(), &event, kPatienceMs) <= 0 || event.type != ENET_EVENT_TYPE_CONNECT) {
        throw std::runtime_error("nobody answers");
    }
    std::vector<std::uint8_t> message(size, 0x5a);
    const std::vector<std::uint8_t> bulk(kChunk, 0x5a);
    const auto began = bench::monotonic_ns();
    const auto elapsed = [&] { return static_cast<double>(bench::monotonic_ns() - began) / 1e9; };
    for (std::uint64_t sent = 0; sent < count;) {
        if (elapsed() >= static_cast<double>(sent + 1) / rate) {
            bench::write_stamp(message.data());
            send_packet(peer, kMessages, message);
            ++sent;
        }
        while (waiting(peer) < kAhead) {
            send_packet(peer, kBulk, bulk);
        }
        enet_host_service(host.get(), &event, 1);
    }
    // What is on its way may still arrive.
    while (elapsed() < static_cast<double>(count) / rate + 1) {
        enet_host_service(host.get(), &event, 10);
    }
    enet_peer_disconnect_now(peer, 0);
    bench::print_report({{"end", "send"}, {"seconds", elapsed()}, {"packets_sent", host->totalSentPackets}});
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5 || enet_initialize() != 0) {
        std::cerr << "enet-load listen|connect ADDRESS PORT MESSAGES [RATE [SIZE [WARM_UP]]]\n";
        return 2;
    }
    try {
        ENetAddress address{};
        enet_address_set_host_ip(&address, argv[2]);
        address.port = static_cast<enet_uint16>(std::stoul(argv[3]));
        if (std::string{argv[1]} == "listen") {
            receive(address, argc > 7 ? std::stod(argv[7]) : 0);
        } else {
            send(address, std::stoull(argv[4]), argc > 5 ? std::stod(argv[5]) : 20,
                 argc > 6 ? std::stoul(argv[6]) : 200);
        }
    } catch (const std::exception& error) {
        std::cerr << "enet-load: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
