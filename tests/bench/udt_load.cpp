// udt-load: UDT 4 from memory to nowhere, one direction, beside the transport.
//
//   udt-load listen|connect ADDRESS PORT SIZE [SECONDS [WARM_UP]]      the one who connects sends; SIZE 0: for SECONDS
//
// Buffers are as large as a fast path needs and all else as UDT has it. Prints `ready` and one line of JSON.
#include "tests/bench/load_report.hpp"

#include <chrono>
#include <cstdint>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <udt/udt.h>

namespace {

namespace bench = pinhole::bench;

constexpr int kBuffer = 64 << 20;
constexpr int kChunk = 1 << 20;
/// Packets in flight.
constexpr int kWindow = 65'536;

void check(int result, const char* what) {
    if (result == UDT::ERROR) {
        throw std::runtime_error(std::string{what} + ": " + UDT::getlasterror().getErrorMessage());
    }
}

template <class Value>
void set(UDTSOCKET socket, UDT::SOCKOPT option, Value value) {
    check(UDT::setsockopt(socket, 0, option, &value, sizeof value), "option");
}

UDTSOCKET make_socket() {
    const auto socket = UDT::socket(AF_INET, SOCK_STREAM, 0);
    set(socket, UDT_FC, kWindow);
    set(socket, UDT_SNDBUF, kBuffer);
    set(socket, UDT_RCVBUF, kBuffer);
    set(socket, UDP_SNDBUF, kBuffer);
    set(socket, UDP_RCVBUF, kBuffer);
    return socket;
}

void receive(UDTSOCKET listener, const sockaddr_in& where, double warm_up) {
    check(UDT::bind(listener, reinterpret_cast<const sockaddr*>(&where), sizeof where), "bind");
    check(UDT::listen(listener, 1), "listen");
    bench::print_ready();
    sockaddr_in from{};
    int size = sizeof from;
    const auto socket = UDT::accept(listener, reinterpret_cast<sockaddr*>(&from), &size);
    std::vector<char> sink(kChunk);
    bench::Intake intake{warm_up};
    for (int count = 1; count > 0;) {
        count = UDT::recv(socket, sink.data(), kChunk, 0);
        if (count > 0) {
            intake.add(static_cast<std::size_t>(count));
        }
    }
    auto report = intake.json();
    report["end"] = "receive";
    bench::print_report(report);
}

void send(UDTSOCKET socket, const sockaddr_in& where, std::uint64_t size, double seconds) {
    check(UDT::connect(socket, reinterpret_cast<const sockaddr*>(&where), sizeof where), "connect");
    const std::vector<char> source(kChunk, 'x');
    const auto began = bench::monotonic_ns();
    const auto elapsed = [&] { return static_cast<double>(bench::monotonic_ns() - began) / 1e9; };
    std::uint64_t sent = 0;
    while (size > 0 ? sent < size : elapsed() < seconds) {
        const auto left = size > 0 ? std::min<std::uint64_t>(kChunk, size - sent) : kChunk;
        const int count = UDT::send(socket, source.data(), static_cast<int>(left), 0);
        check(count, "send");
        sent += static_cast<std::uint64_t>(count);
    }
    // Lingers until everything has arrived.
    UDT::close(socket);
    bench::print_report({{"end", "send"}, {"bytes", sent}, {"seconds", elapsed()}});
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5) {
        std::cerr << "udt-load listen|connect ADDRESS PORT SIZE [SECONDS [WARM_UP]]\n";
        return 2;
    }
    try {
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_port = htons(static_cast<std::uint16_t>(std::stoul(argv[3])));
        ::inet_pton(AF_INET, argv[2], &where.sin_addr);
        UDT::startup();
        const auto socket = make_socket();
        if (std::string{argv[1]} == "listen") {
            receive(socket, where, argc > 6 ? std::stod(argv[6]) : 0);
        } else {
            send(socket, where, std::stoull(argv[4]), argc > 5 ? std::stod(argv[5]) : 0);
        }
        UDT::cleanup();
    } catch (const std::exception& error) {
        std::cerr << "udt-load: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
