#include "rendezvous/shell/relay_streams.hpp"

#include "common/io/convert.hpp"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/write.hpp>
#include <sys/socket.h>

namespace pinhole::rendezvous {

namespace {

using io::asio::ip::tcp;
using ReusePort = io::asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

constexpr int kPortAttempts = 64;
/// What one direction of a stream holds at a time.
constexpr std::size_t kBuffer = 16 * 1024;
/// When the bandwidth is used up.
constexpr Duration kPause = 10ms;

/// Bound to a port that others of ours are bound to.
template <class Socket>
boost::system::error_code bind_shared(Socket& socket, const net::Endpoint& at) {
    const auto endpoint = io::to_tcp(at);
    boost::system::error_code ec;
    socket.open(endpoint.protocol(), ec);
    if (!ec && !at.address.is_v4()) {
        socket.set_option(io::asio::ip::v6_only{true}, ec);
    }
    if (!ec) {
        socket.set_option(io::asio::socket_base::reuse_address{true}, ec);
    }
    if (!ec) {
        socket.set_option(ReusePort{true}, ec);
    }
    if (!ec) {
        socket.bind(endpoint, ec);
    }
    return ec;
}

io::asio::awaitable<bool> write_to(tcp::socket& socket, ByteView bytes) {
    const auto result =
        co_await io::asio::async_write(socket, io::asio::buffer(bytes.data(), bytes.size()), io::use_tuple);
    co_return !std::get<0>(result);
}

}  // namespace

void RelayStreams::Stream::close() {
    boost::system::error_code ignored;
    peer.close(ignored);
    idle.cancel();
    if (client) {
        client->close();
    }
}

void RelayStreams::Stream::touch(const std::shared_ptr<Stream>& self) {
    if (ended == 0) {
        return;
    }
    idle.expires_after(kHalfClosed);
    idle.async_wait([weak = std::weak_ptr{self}](const boost::system::error_code& ec) {
        if (const auto stream = weak.lock(); stream && !ec) {
            stream->close();
        }
    });
}

RelayStreams::RelayStreams(io::asio::any_io_executor executor, PortRange ports, Rng& rng)
    : executor_(std::move(executor)), ports_(ports), rng_(rng) {}

Status RelayStreams::listen(Relay& relay, const net::Endpoint& at) const {
    boost::system::error_code ec;
    if (taken_.contains(at)) {
        ec = io::asio::error::address_in_use;
    } else {
        ec = bind_shared(relay.acceptor, at);
    }
    if (!ec) {
        relay.acceptor.listen(tcp::acceptor::max_listen_connections, ec);
    }
    if (ec) {
        return fail(ec, "TCP " + at.text());
    }
    relay.local = at;
    return {};
}

Result<net::Endpoint> RelayStreams::open(const turn::OpenRelay& wish, const net::Address& at) {
    const auto width = static_cast<std::uint64_t>(ports_.last - ports_.first) + 1;
    Status status = fail(make_error_code(std::errc::address_in_use));
    for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
        auto relay = std::make_shared<Relay>(executor_);
        const auto port = static_cast<std::uint16_t>(ports_.first + rng_.below(width));
        status = listen(*relay, {.address = at, .port = port});
        if (status) {
            taken_.insert(relay->local);
            relays_.emplace(wish.relay, relay);
            io::spawn(executor_, "relay accept", accept(wish.relay, relay));
            return relay->local;
        }
    }
    return std::unexpected(status.error());
}

void RelayStreams::close(turn::RelayId relay) {
    const auto found = relays_.find(relay);
    if (found != relays_.end()) {
        boost::system::error_code ignored;
        found->second->acceptor.close(ignored);
        taken_.erase(found->second->local);
        relays_.erase(found);
    }
}

io::asio::awaitable<void> RelayStreams::accept(turn::RelayId id, std::shared_ptr<Relay> relay) {
    io::asio::steady_timer pause{executor_};
    while (relays_.contains(id)) {
        auto result = co_await relay->acceptor.async_accept(io::use_tuple);
        auto& [ec, socket] = result;
        if (!relays_.contains(id)) {
            co_return;
        }
        if (ec) {
            pause.expires_after(kPause);
            co_await pause.async_wait(io::use_tuple);
            continue;
        }
        boost::system::error_code gone;
        const auto remote = socket.remote_endpoint(gone);
        if (gone) {
            continue;
        }
        const auto peer = outside_.seen(io::from_asio(remote), relay->local.address);
        if (const auto stream = handler_.on_accepted(id, peer)) {
            streams_.emplace(*stream, std::make_shared<Stream>(std::move(socket)));
        }
    }
}

void RelayStreams::connect(const turn::ConnectPeer& wish) {
    const auto relay = relays_.find(wish.relay);
    if (relay == relays_.end()) {
        handler_.on_failed(wish.stream);
        return;
    }
    const auto local = relay->second->local;
    auto stream = std::make_shared<Stream>(tcp::socket{executor_});
    if (bind_shared(stream->peer, local)) {
        handler_.on_failed(wish.stream);
        return;
    }
    streams_.emplace(wish.stream, stream);
    const auto peer = outside_.reached(wish.peer, local.address);
    io::spawn(executor_, "relay connect", establish(wish.stream, std::move(stream), peer));
}

io::asio::awaitable<void> RelayStreams::establish(turn::StreamId id, std::shared_ptr<Stream> stream,
                                                  net::Endpoint peer) {
    const auto result = co_await stream->peer.async_connect(io::to_tcp(peer), io::use_tuple);
    if (!streams_.contains(id)) {
        co_return;  // given up meanwhile
    }
    if (std::get<0>(result)) {
        streams_.erase(id);
        handler_.on_failed(id);
    } else {
        handler_.on_connected(id);
    }
}

void RelayStreams::close(turn::StreamId stream) {
    const auto found = streams_.find(stream);
    if (found != streams_.end()) {
        const auto kept = found->second;
        streams_.erase(found);
        kept->close();
    }
}

io::asio::awaitable<void> RelayStreams::splice(std::shared_ptr<TurnLink> client, turn::StreamId id, Bytes rest) {
    const auto found = streams_.find(id);
    if (found == streams_.end()) {
        client->close();
        co_return;
    }
    const auto stream = found->second;
    boost::system::error_code ignored;
    stream->peer.set_option(tcp::no_delay{true}, ignored);
    stream->client = std::move(client);
    io::spawn(executor_, "relay from peer", from_peer(id, stream));
    co_await from_client(id, stream, std::move(rest));
}

io::asio::awaitable<void> RelayStreams::await_allowance(turn::StreamId id, std::size_t size) {
    io::asio::steady_timer pause{executor_};
    while (size > 0 && streams_.contains(id)) {
        size -= std::min(size, handler_.allow(id, size));
        if (size > 0) {
            pause.expires_after(kPause);
            co_await pause.async_wait(io::use_tuple);
        }
    }
}

io::asio::awaitable<void> RelayStreams::from_client(turn::StreamId id, std::shared_ptr<Stream> stream, Bytes rest) {
    bool alive = true;
    if (!rest.empty()) {
        co_await await_allowance(id, rest.size());
        alive = co_await write_to(stream->peer, rest);
    }
    Bytes buffer(kBuffer);
    while (alive) {
        const auto size = co_await stream->client->read(buffer);
        if (size == 0) {
            break;
        }
        co_await await_allowance(id, size);
        alive = co_await write_to(stream->peer, ByteView{buffer}.first(size));
        stream->touch(stream);
    }
    boost::system::error_code ignored;
    stream->peer.shutdown(tcp::socket::shutdown_send, ignored);
    end_direction(id, stream);
}

io::asio::awaitable<void> RelayStreams::from_peer(turn::StreamId id, std::shared_ptr<Stream> stream) {
    Bytes buffer(kBuffer);
    for (bool alive = true; alive;) {
        const auto result = co_await stream->peer.async_read_some(io::asio::buffer(buffer), io::use_tuple);
        const auto size = std::get<1>(result);
        if (std::get<0>(result) || size == 0) {
            break;
        }
        co_await await_allowance(id, size);
        alive = co_await stream->client->write(ByteView{buffer}.first(size));
        stream->touch(stream);
    }
    stream->client->finish();
    end_direction(id, stream);
}

void RelayStreams::end_direction(turn::StreamId id, const std::shared_ptr<Stream>& stream) {
    if (++stream->ended < 2) {
        stream->touch(stream);
        return;
    }
    stream->close();
    if (streams_.erase(id) > 0) {
        handler_.on_closed(id);
    }
}

void RelayStreams::stop() {
    while (!relays_.empty()) {
        close(relays_.begin()->first);
    }
    while (!streams_.empty()) {
        close(streams_.begin()->first);
    }
}

}  // namespace pinhole::rendezvous
