// transport-load: the transport between two processes over real UDP sockets, with the product's own input and output
// and without the rest of it, for measuring. `transport-load --help` lists what it takes; speed.py drives it.
#include "common/crypto/keys.hpp"
#include "tests/bench/transport_floor.hpp"
#include "tests/bench/transport_jobs.hpp"
#include "tests/bench/transport_options.hpp"
#include "tests/bench/transport_peer.hpp"

#include <iostream>
#include <memory>

namespace {

using pinhole::bench::Task;

std::unique_ptr<pinhole::bench::Job> job_for(const pinhole::bench::TransportOptions& options) {
    switch (options.task) {
        case Task::send:
            return std::make_unique<pinhole::bench::SendJob>(options);
        case Task::receive:
            return std::make_unique<pinhole::bench::ReceiveJob>(options);
        default:
            return std::make_unique<pinhole::bench::IdleJob>(options);
    }
}

pinhole::Status run(const pinhole::bench::TransportOptions& options) {
    if (options.task == Task::floor_send || options.task == Task::floor_receive) {
        return pinhole::bench::run_floor(options);
    }
    auto peer = pinhole::bench::TransportPeer::open(options);
    if (!peer) {
        return std::unexpected(peer.error());
    }
    const auto job = job_for(options);
    (*peer)->run(*job);
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    if (!pinhole::crypto::initialize()) {
        std::cerr << "transport-load: libsodium does not start\n";
        return 1;
    }
    const auto parsed = pinhole::bench::parse_transport_options(argc, argv);
    if (const auto* code = std::get_if<int>(&parsed)) {
        return *code;
    }
    const auto status = run(std::get<pinhole::bench::TransportOptions>(parsed));
    if (!status) {
        std::cerr << "transport-load: " << status.error().message() << '\n';
        return 1;
    }
    return 0;
}
