// Load for a relay, over sockets that turn.py has made and inherits to it: ChannelData from clients to one peer (`up`)
// or datagrams from the peer to relayed addresses (`down`), single datagrams as a network card would bring them, and a
// count of what comes out on the other side.
//
//   turn-load up|down SIZE RATE SECONDS PEER_FD CLIENT_FD:ADDRESS:PORT…      RATE 0: as fast as it goes
//
// Prints one JSON line: {"sent": N, "received": N, "seconds": S}; what came within half a second of the end counts.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatch = 32;
constexpr std::size_t kHeader = 4;
constexpr auto kSettle = std::chrono::milliseconds{500};

struct Client {
    int descriptor = -1;
    sockaddr_in relayed{};
};

struct Load {
    bool up = true;
    std::size_t size = 0;
    double rate = 0;
    double seconds = 0;
    int peer = -1;
    std::vector<Client> clients;
};

/// A batch of messages with one content.
struct Batch {
    std::vector<std::uint8_t> bytes;
    iovec data{};
    std::array<mmsghdr, kBatch> messages{};

    explicit Batch(const Load& load) : bytes(load.size + (load.up ? kHeader : 0), 'x') {
        if (load.up) {
            bytes[0] = 0x40;
            bytes[1] = 0;
            bytes[2] = static_cast<std::uint8_t>(load.size >> 8);
            bytes[3] = static_cast<std::uint8_t>(load.size);
        }
        data = {.iov_base = bytes.data(), .iov_len = bytes.size()};
        for (auto& message : messages) {
            message.msg_hdr.msg_iov = &data;
            message.msg_hdr.msg_iovlen = 1;
        }
    }
};

Load parse(int argc, char** argv) {
    Load load;
    load.up = std::string{argv[1]} == "up";
    load.size = std::stoul(argv[2]);
    load.rate = std::stod(argv[3]);
    load.seconds = std::stod(argv[4]);
    load.peer = std::stoi(argv[5]);
    for (int i = 6; i < argc; ++i) {
        const std::string word = argv[i];
        const auto first = word.find(':');
        const auto second = word.rfind(':');
        Client client{.descriptor = std::stoi(word.substr(0, first))};
        client.relayed.sin_family = AF_INET;
        client.relayed.sin_port = htons(static_cast<std::uint16_t>(std::stoul(word.substr(second + 1))));
        ::inet_pton(AF_INET, word.substr(first + 1, second - first - 1).c_str(), &client.relayed.sin_addr);
        load.clients.push_back(client);
    }
    return load;
}

std::uint64_t drain(int descriptor) {
    std::array<std::uint8_t, 64> scratch{};
    iovec data{.iov_base = scratch.data(), .iov_len = scratch.size()};
    std::array<mmsghdr, kBatch> messages{};
    for (auto& message : messages) {
        message.msg_hdr.msg_iov = &data;
        message.msg_hdr.msg_iovlen = 1;
    }
    std::uint64_t total = 0;
    for (;;) {
        const int count = ::recvmmsg(descriptor, messages.data(), kBatch, MSG_DONTWAIT | MSG_TRUNC, nullptr);
        if (count <= 0) {
            return total;
        }
        total += static_cast<std::uint64_t>(count);
    }
}

void receive(const Load& load, const std::atomic<bool>& done, std::atomic<std::uint64_t>& received) {
    const int poll = ::epoll_create1(EPOLL_CLOEXEC);
    const auto watch = [&](int descriptor) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = descriptor;
        ::epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event);
    };
    if (load.up) {
        watch(load.peer);
    } else {
        for (const auto& client : load.clients) {
            watch(client.descriptor);
        }
    }
    std::array<epoll_event, kBatch> events{};
    while (!done) {
        const int count = ::epoll_wait(poll, events.data(), kBatch, 50);
        for (int i = 0; i < count; ++i) {
            received += drain(events.at(static_cast<std::size_t>(i)).data.fd);
        }
    }
    ::close(poll);
}

/// One system call; `at` goes round the clients.
std::uint64_t send_some(Load& load, Batch& batch, std::size_t& at) {
    if (load.up) {
        const auto burst = std::max<std::size_t>(1, kBatch / load.clients.size());
        const auto& client = load.clients[at++ % load.clients.size()];
        const int sent = ::sendmmsg(client.descriptor, batch.messages.data(), static_cast<unsigned>(burst), 0);
        return static_cast<std::uint64_t>(std::max(0, sent));
    }
    for (auto& message : batch.messages) {
        auto& to = load.clients[at++ % load.clients.size()].relayed;
        message.msg_hdr.msg_name = &to;
        message.msg_hdr.msg_namelen = sizeof to;
    }
    const int sent = ::sendmmsg(load.peer, batch.messages.data(), kBatch, 0);
    return static_cast<std::uint64_t>(std::max(0, sent));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 7) {
        std::cerr << "turn-load up|down SIZE RATE SECONDS PEER_FD CLIENT_FD:ADDRESS:PORT…\n";
        return 2;
    }
    auto load = parse(argc, argv);
    Batch batch{load};
    std::atomic<bool> done = false;
    std::atomic<std::uint64_t> received = 0;
    std::thread receiver{[&] { receive(load, done, received); }};
    std::uint64_t sent = 0;
    std::size_t at = 0;
    const auto begin = Clock::now();
    double elapsed = 0;
    while (elapsed < load.seconds) {
        if (load.rate == 0 || static_cast<double>(sent) < elapsed * load.rate) {
            sent += send_some(load, batch, at);
        } else {
            std::this_thread::sleep_for(std::chrono::microseconds{100});
        }
        elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    std::this_thread::sleep_for(kSettle);
    done = true;
    receiver.join();
    std::cout << "{\"sent\": " << sent << ", \"received\": " << received << ", \"seconds\": " << elapsed << "}\n";
    return 0;
}
