#include "tests/bench/transport_peer.hpp"

#include "common/io/clock.hpp"
#include "common/io/tokens.hpp"
#include "peer/transport/packet.hpp"

#include <utility>

namespace pinhole::bench {

namespace {

/// Connection IDs are an index above one of these: which end packets with it go to.
constexpr std::uint64_t kSenderIds = 0x5e00'0000'0000'0000;
constexpr std::uint64_t kReceiverIds = 0x4e00'0000'0000'0000;

/// Fixed for the bench: what it costs to agree on keys is the session's affair.
crypto::SecretKey key(std::uint8_t fill) {
    crypto::Key32 bytes{};
    bytes.fill(fill);
    return crypto::SecretKey{bytes};
}

}  // namespace

Result<std::unique_ptr<TransportPeer>> TransportPeer::open(const TransportOptions& options) {
    std::unique_ptr<TransportPeer> peer{new TransportPeer{options}};
    auto socket = io::UdpSocket::open(peer->io_.get_executor(), options.local);
    if (!socket) {
        return std::unexpected(socket.error());
    }
    peer->socket_ = *std::move(socket);
    return peer;
}

void TransportPeer::add_connection() {
    const bool sends = options_.sends();
    const auto index = connections_.size();
    auto config = options_.config;
    config.local_connection_id = (sends ? kSenderIds : kReceiverIds) + index;
    config.remote_connection_id = (sends ? kReceiverIds : kSenderIds) + index;
    const auto now = io::now();
    connections_.push_back(
        std::make_unique<transport::Connection>(config, key(sends ? 1 : 2), key(sends ? 2 : 1), rng_, now));
    connections_.back()->add_path({.local = options_.local, .remote = options_.remote}, now);
    dirty_.insert(index);
}

void TransportPeer::run(Job& job) {
    job_ = &job;
    io::spawn(io_.get_executor(), "UDP receiver", receive_loop());
    job.begin(*this);
    pump();
    io_.run();
}

boost::asio::awaitable<void> TransportPeer::receive_loop() {
    std::optional<TimePoint> look_at;
    while (socket_->is_open()) {
        std::error_code error;
        if (look_at) {
            error = co_await socket_->wait_until(*look_at);
        } else {
            error = co_await socket_->wait_readable();
        }
        if (error) {
            continue;
        }
        socket_->receive([this](const net::Received& datagram) { handle_datagram(datagram); });
        pump();
        look_at = next_receive();
    }
}

std::optional<TimePoint> TransportPeer::next_receive() const {
    const auto now = io::now();
    // Connections that rest are many, and none of them matters here.
    return connections_.size() == 1 ? connections_.front()->next_receive(now) : std::nullopt;
}

void TransportPeer::handle_datagram(const net::Received& datagram) {
    const auto header = transport::parse_header(datagram.payload);
    const auto index = header ? header->connection_id - (options_.sends() ? kSenderIds : kReceiverIds) : ~0ULL;
    if (index >= connections_.size()) {
        job_->handle_stranger(*this, index);
    }
    if (index < connections_.size()) {
        connections_[index]->handle_datagram(datagram, io::now());
        dirty_.insert(index);
    }
}

void TransportPeer::pump() {
    while (!dirty_.empty()) {
        const auto index = *dirty_.begin();
        dirty_.erase(dirty_.begin());
        drain(index);
    }
    if (job_->over(*this, io::now())) {
        socket_->close();
        io_.stop();
        return;
    }
    rearm();
}

void TransportPeer::drain(std::size_t index) {
    auto& connection = *connections_[index];
    auto event = connection.poll_event();
    do {
        for (; event; event = connection.poll_event()) {
            job_->handle_event(*this, index, *event);
        }
        job_->work(*this, index, io::now());
        send_packets(index);
        event = connection.poll_event();
    } while (event);
}

void TransportPeer::send_packets(std::size_t index) {
    auto& connection = *connections_[index];
    while (const auto batch = connection.poll_transmit(send_buffer_, io::now())) {
        // What the kernel does not take is lost, as on the network.
        const auto sent =
            socket_->send(batch->path, ByteView{send_buffer_}.first(batch->size), batch->segment_size, batch->ecn);
        if (sent == io::SendResult::too_big) {
            connection.handle_mtu_exceeded(batch->segment_size, io::now());
        }
        if (const auto event = connection.poll_event()) {
            job_->handle_event(*this, index, *event);
            job_->work(*this, index, io::now());
        }
    }
}

void TransportPeer::rearm() {
    auto next = job_->next_timeout();
    for (const auto& connection : connections_) {
        next = earliest(next, connection->next_timeout());
    }
    if (!next || (armed_ && *armed_ <= *next)) {
        return;
    }
    armed_ = next;
    timer_.expires_at(io::to_steady(*next));
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) {
            handle_timer();
        }
    });
}

void TransportPeer::handle_timer() {
    armed_.reset();
    const auto now = io::now();
    const auto of_job = job_->next_timeout();
    for (std::size_t index = 0; index < connections_.size(); ++index) {
        const auto due = connections_[index]->next_timeout();
        if (due && *due <= now) {
            connections_[index]->handle_timeout(now);
            dirty_.insert(index);
        }
        if (of_job && *of_job <= now) {
            dirty_.insert(index);
        }
    }
    pump();
}

}  // namespace pinhole::bench
