#include "tests/sim/server_program.hpp"

#include "common/signaling/secure_link.hpp"
#include "common/stun/message.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <vector>

namespace pinhole::sim {

namespace {

/// RFC 8489 §5: the first byte of a STUN message.
constexpr std::uint8_t kLastStunByte = 3;
constexpr std::size_t kMaxStun = 1280;

crypto::KeyPair make_keys(Rng& rng, crypto::Key32& public_key) {
    if (!crypto::initialize()) {
        throw std::runtime_error("libsodium does not start");
    }
    auto keys = crypto::KeyPair::generate(rng);
    public_key = keys.public_key;
    return keys;
}

}  // namespace

ServerProgram::ServerProgram(World& world, std::string_view host, const ServerOptions& options)
    : world_(world),
      host_(world.host(host)),
      options_(options),
      rng_(world.draw_seed()),
      core_(make_keys(rng_, key_), {}, rng_) {
    open(options.port);
    if (options.second_port != 0) {
        open(options.second_port);
        add_sites();
    }
    world.add(*this);
}

net::Endpoint ServerProgram::endpoint() const {
    return {.address = *host_.source(net::Family::v4), .port = options_.port};
}

// RFC 5780 §3: two addresses and two ports, for each family that has them.
void ServerProgram::add_sites() {
    for (const auto family : {net::Family::v4, net::Family::v6}) {
        std::vector<net::Address> addresses;
        std::ranges::copy_if(host_.addresses(), std::back_inserter(addresses),
                             [&](const auto& address) { return address.family() == family; });
        if (addresses.size() >= 2) {
            stun_.add_site({.addresses = {addresses[0], addresses[1]}, .ports = {options_.port, options_.second_port}});
        }
    }
}

void ServerProgram::open(std::uint16_t port) {
    const auto opened = host_.open_udp(port, [this](const net::Received& datagram) {
        if (const auto answer = stun_.handle_datagram(datagram.payload, datagram.path, world_.now())) {
            host_.send_udp(answer->path, answer->payload);
        }
    });
    if (!opened) {
        throw std::invalid_argument("the server's port is in use");
    }
    host_.listen(port, [this](TcpId id, const net::Endpoint& local, const net::Endpoint& remote) {
        return accept(id, local, remote);
    });
}

std::optional<std::uint16_t> ServerProgram::second_port() const {
    return options_.second_port == 0 ? std::nullopt : std::optional{options_.second_port};
}

TcpHandler ServerProgram::accept(TcpId id, const net::Endpoint& local, const net::Endpoint& remote) {
    links_.emplace(id, Link{.connection = {}, .local = local, .remote = remote, .partial = {}});
    return {.connected = {},
            .received = [this, id](ByteView bytes) { handle_bytes(id, bytes); },
            .closed = [this, id] { handle_closed(id); }};
}

void ServerProgram::handle_bytes(TcpId id, ByteView bytes) {
    const auto found = links_.find(id);
    if (found == links_.end() || bytes.empty()) {
        return;
    }
    auto& link = found->second;
    if (link.speaks == Speaks::unknown && bytes.front() == signaling::kPreamble.front()) {
        link.speaks = Speaks::signaling;
        link.connection = core_.open(link.remote, world_.now(), second_port());
        by_connection_.emplace(link.connection, id);
    } else if (link.speaks == Speaks::unknown) {
        link.speaks = Speaks::stun;
    }
    if (link.speaks == Speaks::stun) {
        handle_stun_bytes(id, link, bytes);
        return;
    }
    core_.handle_bytes(link.connection, bytes, world_.now());
    drain();
}

void ServerProgram::handle_stun_bytes(TcpId id, Link& link, ByteView bytes) {
    link.partial.insert(link.partial.end(), bytes.begin(), bytes.end());
    while (link.partial.size() >= stun::kHeaderSize) {
        const auto size = stun::kHeaderSize + (std::size_t{link.partial[2]} << 8 | link.partial[3]);
        if (link.partial.front() > kLastStunByte || size > kMaxStun) {
            links_.erase(id);
            host_.close_tcp(id, world_.now());
            return;
        }
        if (link.partial.size() < size) {
            return;
        }
        const auto answer = stun_.handle_stream(ByteView{link.partial}.first(size),
                                                {.local = link.local, .remote = link.remote}, world_.now());
        link.partial.erase(link.partial.begin(), link.partial.begin() + static_cast<std::ptrdiff_t>(size));
        if (answer) {
            host_.write(id, *answer, world_.now());
        }
    }
}

void ServerProgram::handle_closed(TcpId id) {
    const auto found = links_.find(id);
    if (found == links_.end()) {
        return;
    }
    const auto link = std::move(found->second);
    links_.erase(found);
    if (link.speaks == Speaks::signaling) {
        by_connection_.erase(link.connection);
        core_.handle_closed(link.connection, world_.now());
        drain();
    }
}

void ServerProgram::handle_timeout(TimePoint now) {
    core_.handle_timeout(now);
    drain();
}

void ServerProgram::drain() {
    while (const auto close = core_.poll_close()) {
        if (const auto found = by_connection_.find(close->connection); found != by_connection_.end()) {
            const auto id = found->second;
            by_connection_.erase(found);
            links_.erase(id);
            host_.close_tcp(id, world_.now());
        }
    }
    while (const auto output = core_.poll_output()) {
        if (const auto found = by_connection_.find(output->connection); found != by_connection_.end()) {
            host_.write(found->second, output->bytes, world_.now());
        }
    }
}

}  // namespace pinhole::sim
