#include "peer/shell/tcp_paths.hpp"

#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "common/io/convert.hpp"
#include "common/io/tokens.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace pinhole::shell {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
using UserTimeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
using NotSentLowWater = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_NOTSENT_LOWAT>;

constexpr int kBacklog = 32;
/// Between attempts, doubled each time.
constexpr Duration kFirstPause = 100ms;
/// Checks that wait for a connection: later ones replace nothing, a repeated one is there already.
constexpr std::size_t kMaxWaiting = 4;
/// Bytes that the system holds and has not sent: enough to keep a line busy, and what is said now is not late for it.
constexpr int kNotSent = 128 * 1024;
/// Milliseconds without an acknowledgement (RFC 5482): then the connection counts as broken, and another one can be
/// made between the same endpoints. The system's own patience is a quarter of an hour.
constexpr int kUserTimeout = 10'000;
/// The server closes a silent connection after 10 s itself (proto/README.md 2.6).
constexpr Duration kServerPatience = 20s;

bool is_stun(ByteView payload) {
    return !payload.empty() && payload.front() <= 3;
}

// RFC 8489 §5: both bits of the class are zero.
bool is_request(ByteView payload) {
    return payload.size() > 1 && payload[0] <= 3 && (payload[0] & 1U) == 0 && (payload[1] & 0x10U) == 0;
}

/// What one owner of addresses has for himself.
net::Address source_of(const net::Address& address) {
    if (address.is_v4()) {
        return address;
    }
    std::array<std::uint8_t, 16> bytes{};
    std::ranges::copy(address.bytes().first(8), bytes.begin());
    return net::Address::v6(bytes);
}

/// Both options on every socket before bind: only then may listeners and connections use one port.
boost::system::error_code bind_shared(auto& socket, const tcp::endpoint& local) {
    boost::system::error_code error;
    socket.open(local.protocol(), error);
    if (!error) {
        socket.set_option(asio::socket_base::reuse_address{true}, error);
    }
    if (!error) {
        socket.set_option(ReusePort{true}, error);
    }
    if (!error && local.protocol() == tcp::v6()) {
        socket.set_option(asio::ip::v6_only{true}, error);
    }
    if (!error) {
        socket.bind(local, error);
    }
    return error;
}

/// Nothing that waiting or the other side could change.
bool is_hopeless(const boost::system::error_code& error) {
    return error == asio::error::network_unreachable || error == asio::error::address_family_not_supported ||
           error == asio::error::invalid_argument || error == asio::error::access_denied ||
           error == asio::error::no_descriptors;
}

}  // namespace

struct TcpPaths::Listener {
    explicit Listener(const asio::any_io_executor& executor) : acceptor(executor) {}

    tcp::acceptor acceptor;
    std::uint16_t port = 0;
};

struct TcpPaths::Connection {
    Connection(const asio::any_io_executor& executor, const net::PathAddresses& addresses, net::Framing framing_used)
        : path(addresses),
          framing(framing_used),
          socket(executor),
          timer(executor),
          pause(executor),
          in(framing_used) {}

    net::PathAddresses path;
    net::Framing framing;
    tcp::socket socket;
    asio::steady_timer timer;  ///< its end, unless it is made or confirmed before
    asio::steady_timer pause;  ///< between attempts
    net::DatagramStream in;
    std::deque<Bytes> waiting;  ///< until it is made
    Bytes unsent;               ///< what the system has not taken
    bool open = false;
    bool accepted = false;
    bool confirmed = false;
    bool writing = false;
    bool over = false;
};

TcpPaths::TcpPaths(asio::any_io_executor executor) : executor_(std::move(executor)) {}

TcpPaths::~TcpPaths() = default;

Status TcpPaths::open(const std::optional<net::Address>& bind) {
    bind_ = bind;
    auto opened = listen();
    if (!opened) {
        return std::unexpected(opened.error());
    }
    listeners_ = *std::move(opened);
    return {};
}

Result<TcpPaths::Listeners> TcpPaths::listen() const {
    Listeners opened;
    Error last;
    for (const auto family : {net::Family::v4, net::Family::v6}) {
        if (bind_ && bind_->family() != family) {
            continue;
        }
        auto listener = std::make_shared<Listener>(executor_);
        const net::Endpoint local{.address = bind_.value_or(net::Address::any(family)), .port = 0};
        auto error = bind_shared(listener->acceptor, io::to_tcp(local));
        if (!error) {
            listener->acceptor.listen(kBacklog, error);
        }
        if (!error) {
            listener->port = listener->acceptor.local_endpoint(error).port();
        }
        if (error) {
            last = {.code = error, .detail = "TCP " + local.address.text()};
        } else {
            opened.emplace(family, std::move(listener));
        }
    }
    if (opened.empty()) {
        return std::unexpected(last);
    }
    return opened;
}

void TcpPaths::start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
    for (const auto& [family, listener] : listeners_) {
        io::spawn(executor_, "TCP listener", accept_loop(listener), shared_from_this());
    }
}

Status TcpPaths::renew() {
    auto opened = listen();
    if (!opened) {
        return std::unexpected(opened.error());
    }
    for (const auto& [family, listener] : std::exchange(listeners_, *std::move(opened))) {
        boost::system::error_code ignored;
        listener->acceptor.close(ignored);
    }
    for (const auto& [family, listener] : listeners_) {
        io::spawn(executor_, "TCP listener", accept_loop(listener), shared_from_this());
    }
    return {};
}

void TcpPaths::close() {
    closed_ = true;
    for (const auto& [family, listener] : listeners_) {
        boost::system::error_code ignored;
        listener->acceptor.close(ignored);
    }
    while (!connections_.empty()) {
        drop(Shared{connections_.begin()->second}, /*tell=*/false);
    }
}

std::optional<std::uint16_t> TcpPaths::port(net::Family family) const {
    const auto found = listeners_.find(family);
    return found == listeners_.end() ? std::nullopt : std::optional{found->second->port};
}

asio::awaitable<void> TcpPaths::accept_loop(std::shared_ptr<Listener> listener) {
    while (!closed_ && listener->acceptor.is_open()) {
        tcp::socket socket{executor_};
        auto accepted = co_await listener->acceptor.async_accept(socket, io::use_tuple);
        const auto error = std::get<0>(accepted);
        if (closed_ || !listener->acceptor.is_open()) {
            co_return;
        }
        if (!error) {
            admit(std::move(socket));
            continue;
        }
        // Out of files: what waits to be accepted would be reported again at once.
        asio::steady_timer pause{executor_, io::to_steady(io::now() + kFirstPause)};
        co_await pause.async_wait(io::use_tuple);
    }
}

void TcpPaths::admit(tcp::socket socket) {
    boost::system::error_code error;
    const auto local = socket.local_endpoint(error);
    const auto remote = error ? tcp::endpoint{} : socket.remote_endpoint(error);
    if (error) {
        return;
    }
    const net::PathAddresses path{
        .local = io::from_asio(local), .remote = io::from_asio(remote), .transport = net::Transport::tcp};
    const auto known = connections_.find(path);
    const bool ours = known != connections_.end();
    if (!ours && (!callbacks_.expecting() || !has_room_for(path.remote.address))) {
        return;
    }
    auto connection = std::make_shared<Connection>(executor_, path, net::Framing::length);
    connection->socket = std::move(socket);
    connection->accepted = true;
    if (ours) {
        // We were between two attempts, or have not noticed yet that an earlier connection is gone.
        const Shared before = known->second;
        connection->waiting = std::move(before->waiting);
        drop(before, /*tell=*/before->open);
    }
    connections_.emplace(path, connection);
    opened(connection);
}

bool TcpPaths::has_room_for(const net::Address& stranger) const {
    std::size_t strangers = 0;
    std::size_t of_source = 0;
    for (const auto& [path, connection] : connections_) {
        if (connection->accepted && !connection->confirmed) {
            ++strangers;
            of_source += source_of(path.remote.address) == source_of(stranger) ? 1 : 0;
        }
    }
    return connections_.size() < kMaxConnections && strangers < kMaxStrangers && of_source < kMaxStrangersOfSource;
}

TcpPaths::Shared TcpPaths::connect(const net::PathAddresses& path, net::Framing framing) {
    if (closed_ || connections_.size() >= kMaxConnections || path.local == path.remote) {
        return nullptr;
    }
    auto connection = std::make_shared<Connection>(executor_, path, framing);
    connections_.emplace(path, connection);
    close_at(connection, kConnectPatience);
    io::spawn(executor_, "TCP connection", connect_loop(connection), shared_from_this());
    return connection;
}

// One socket in SYN_SENT as long as nobody refuses: the NATs on the way remember its first sequence number, so that
// closing and beginning again would make the other side's answers those of a stranger.
asio::awaitable<void> TcpPaths::connect_loop(Shared connection) {
    auto wait = kFirstPause;
    while (!connection->over) {
        tcp::socket socket{executor_};
        auto error = bind_shared(socket, io::to_tcp(connection->path.local));
        if (!error) {
            connection->socket = std::move(socket);
            auto connected =
                co_await connection->socket.async_connect(io::to_tcp(connection->path.remote), io::use_tuple);
            error = std::get<0>(connected);
        }
        if (connection->over) {
            co_return;
        }
        if (!error) {
            opened(connection);
            co_return;
        }
        log::debug("TCP {}: {}", connection->path.remote.text(), error.message());
        boost::system::error_code ignored;
        connection->socket.close(ignored);
        if (is_hopeless(error)) {
            drop(connection, /*tell=*/true);
            co_return;
        }
        connection->pause.expires_at(io::to_steady(io::now() + wait));
        wait *= 2;
        co_await connection->pause.async_wait(io::use_tuple);
    }
}

void TcpPaths::opened(const Shared& connection) {
    boost::system::error_code ignored;
    connection->socket.set_option(tcp::no_delay{true}, ignored);
    connection->socket.set_option(NotSentLowWater{kNotSent}, ignored);
    connection->socket.set_option(UserTimeout{kUserTimeout}, ignored);
    connection->socket.non_blocking(true, ignored);
    connection->open = true;
    const bool server = connection->framing == net::Framing::stun;
    close_at(connection, server ? kServerPatience : kConfirmPatience);
    io::spawn(executor_, "TCP reader", read_loop(connection), shared_from_this());
    for (const auto& message : std::exchange(connection->waiting, {})) {
        if (server) {
            write(connection, message, /*keep=*/true);
        } else {
            send(connection->path, message, message.size());
        }
    }
}

asio::awaitable<void> TcpPaths::read_loop(Shared connection) {
    while (!connection->over) {
        const auto space = connection->in.space();
        auto read =
            co_await connection->socket.async_read_some(asio::buffer(space.data(), space.size()), io::use_tuple);
        if (connection->over) {
            co_return;
        }
        if (const auto error = std::get<0>(read)) {
            log::debug("TCP {}: {}", connection->path.remote.text(), error.message());
            drop(connection, /*tell=*/true);
            co_return;
        }
        connection->in.commit(std::get<1>(read));
        if (!hand_over(connection)) {
            drop(connection, /*tell=*/true);
            co_return;
        }
    }
}

/// False if the stream makes no sense.
bool TcpPaths::hand_over(const Shared& connection) {
    while (!connection->over) {
        const auto datagram = connection->in.next();
        if (!datagram) {
            return false;
        }
        if (!*datagram) {
            callbacks_.batch_over();
            return true;
        }
        // Nobody gets further than ICE before it has said who it is.
        if (connection->confirmed || is_stun(**datagram)) {
            callbacks_.datagram({.path = connection->path, .payload = **datagram});
        }
    }
    return true;
}

io::SendResult TcpPaths::send(const net::PathAddresses& path, ByteView payload, std::size_t segment) {
    const auto found = connections_.find(path);
    auto connection = found == connections_.end() ? nullptr : found->second;
    if (connection == nullptr && is_request(payload)) {
        connection = connect(path, net::Framing::length);
    }
    if (connection == nullptr || segment == 0 || connection->framing != net::Framing::length) {
        return io::SendResult::failed;
    }
    if (!connection->open) {
        auto& waiting = connection->waiting;
        const auto same = [&](const Bytes& other) { return std::ranges::equal(other, payload); };
        if (is_stun(payload) && waiting.size() < kMaxWaiting && std::ranges::none_of(waiting, same)) {
            waiting.push_back(to_bytes(payload));
        }
        return io::SendResult::sent;
    }
    scratch_.clear();
    const bool check = is_stun(payload);
    for (auto rest = payload; !rest.empty();) {
        const auto datagram = rest.first(std::min(segment, rest.size()));
        net::append_framed(datagram, scratch_);
        rest = rest.subspan(datagram.size());
    }
    return write(connection, scratch_, /*keep=*/check);
}

void TcpPaths::ask(const net::PathAddresses& path, ByteView request) {
    const auto found = connections_.find(path);
    const auto connection = found == connections_.end() ? connect(path, net::Framing::stun) : found->second;
    if (connection == nullptr || connection->framing != net::Framing::stun) {
        return;
    }
    if (connection->open) {
        write(connection, request, /*keep=*/true);
    } else if (connection->waiting.size() < kMaxWaiting &&
               std::ranges::none_of(connection->waiting,
                                    [&](const Bytes& other) { return std::ranges::equal(other, request); })) {
        connection->waiting.push_back(to_bytes(request));
    }
}

/// What the system takes only in part is kept to its end, because the other side counts on it. `keep`: also if the
/// system takes nothing.
io::SendResult TcpPaths::write(const Shared& connection, ByteView framed, bool keep) {
    auto& unsent = connection->unsent;
    if (!unsent.empty()) {
        if (!keep || unsent.size() + framed.size() > kMaxUnsent) {
            return io::SendResult::would_block;
        }
        unsent.insert(unsent.end(), framed.begin(), framed.end());
        return io::SendResult::sent;
    }
    boost::system::error_code error;
    const auto taken = connection->socket.write_some(asio::buffer(framed.data(), framed.size()), error);
    if (error && error != asio::error::would_block) {
        return io::SendResult::failed;  // the reader hears of it, too
    }
    if (taken == framed.size()) {
        return io::SendResult::sent;
    }
    if (taken == 0 && !keep) {
        return io::SendResult::would_block;
    }
    const auto rest = framed.subspan(taken);
    unsent.assign(rest.begin(), rest.end());
    if (!std::exchange(connection->writing, true)) {
        io::spawn(executor_, "TCP writer", write_loop(connection), shared_from_this());
    }
    return io::SendResult::sent;
}

asio::awaitable<void> TcpPaths::write_loop(Shared connection) {
    auto& unsent = connection->unsent;
    while (!unsent.empty() && !connection->over) {
        auto ready = co_await connection->socket.async_wait(tcp::socket::wait_write, io::use_tuple);
        if (std::get<0>(ready) || connection->over) {
            break;
        }
        boost::system::error_code error;
        const auto taken = connection->socket.write_some(asio::buffer(unsent), error);
        if (error && error != asio::error::would_block) {
            break;
        }
        unsent.erase(unsent.begin(), unsent.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    connection->writing = false;
}

void TcpPaths::confirm(const net::PathAddresses& path) {
    const auto found = connections_.find(path);
    if (found != connections_.end() && found->second->open && !std::exchange(found->second->confirmed, true)) {
        found->second->timer.cancel();
    }
}

void TcpPaths::close_unused(const std::function<bool(const net::PathAddresses&)>& used) {
    std::vector<Shared> unused;
    for (const auto& [path, connection] : connections_) {
        const bool stranger = connection->accepted && !connection->confirmed;  // has a time of its own
        if (connection->framing == net::Framing::length && !stranger && !used(path)) {
            unused.push_back(connection);
        }
    }
    for (const auto& connection : unused) {
        drop(connection, /*tell=*/false);
    }
}

void TcpPaths::close_at(const Shared& connection, Duration delay) {
    connection->timer.expires_at(io::to_steady(io::now() + delay));
    connection->timer.async_wait([weak = weak_from_this(), connection](const boost::system::error_code& cancelled) {
        if (const auto self = weak.lock(); self && !cancelled && !connection->over) {
            self->drop(connection, /*tell=*/true);
        }
    });
}

void TcpPaths::drop(const Shared& connection, bool tell) {
    if (std::exchange(connection->over, true)) {
        return;
    }
    boost::system::error_code ignored;
    connection->socket.close(ignored);
    connection->timer.cancel();
    connection->pause.cancel();
    const auto path = connection->path;
    connections_.erase(path);
    if (!tell || closed_ || connection->framing != net::Framing::length) {
        return;
    }
    asio::post(executor_, [weak = weak_from_this(), path] {
        if (const auto self = weak.lock(); self && !self->closed_ && !self->connections_.contains(path)) {
            self->callbacks_.failed(path);
        }
    });
}

}  // namespace pinhole::shell
