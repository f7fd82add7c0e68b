#include "peer/shell/socket_set.hpp"

#include "common/base/log.hpp"
#include "common/io/tokens.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::shell {

namespace asio = boost::asio;

Status SocketSet::open(const std::optional<net::Address>& bind) {
    bind_ = bind;
    auto opened = open_main();
    if (!opened) {
        return std::unexpected(opened.error());
    }
    sockets_ = *std::move(opened);
    return {};
}

Result<std::map<net::Family, std::shared_ptr<io::UdpSocket>>> SocketSet::open_main() const {
    Error last;
    std::map<net::Family, std::shared_ptr<io::UdpSocket>> sockets;
    for (const auto family : {net::Family::v4, net::Family::v6}) {
        if (bind_ && bind_->family() != family) {
            continue;
        }
        auto socket = io::UdpSocket::open(executor_, {.address = bind_.value_or(net::Address::any(family)), .port = 0});
        if (socket) {
            sockets.emplace(family, std::make_shared<io::UdpSocket>(*std::move(socket)));
        } else {
            last = socket.error();
        }
    }
    if (sockets.empty()) {
        return std::unexpected(last);
    }
    return sockets;
}

Status SocketSet::renew() {
    auto opened = open_main();
    if (!opened) {
        return std::unexpected(opened.error());
    }
    for (auto& [family, socket] : std::exchange(sockets_, *std::move(opened))) {
        retired_.push_back(std::move(socket));
        if (retired_.size() > kMaxRetired) {
            retired_.front()->close();
            retired_.erase(retired_.begin());
        }
    }
    for (const auto& [family, socket] : sockets_) {
        io::spawn(executor_, "UDP receiver", receive_loop(socket), shared_from_this());
    }
    return {};
}

void SocketSet::close_retired() {
    for (const auto& socket : std::exchange(retired_, {})) {
        socket->close();
    }
}

void SocketSet::start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
    for (const auto& [family, socket] : sockets_) {
        io::spawn(executor_, "UDP receiver", receive_loop(socket), shared_from_this());
    }
}

void SocketSet::close() {
    closed_ = true;
    for (const auto& [family, socket] : sockets_) {
        socket->close();
    }
    for (const auto& [place, socket] : extra_) {
        socket->close();
    }
    extra_.clear();
    close_retired();
}

Result<net::Endpoint> SocketSet::open_extra(net::Family family) {
    if (closed_ || extra_.size() >= kMaxExtra || (bind_ && bind_->family() != family)) {
        return std::unexpected(
            Error{.code = std::make_error_code(std::errc::too_many_files_open), .detail = "UDP sockets"});
    }
    auto opened = io::UdpSocket::open(executor_, {.address = bind_.value_or(net::Address::any(family)), .port = 0});
    if (!opened) {
        return std::unexpected(opened.error());
    }
    auto socket = std::make_shared<io::UdpSocket>(*std::move(opened));
    extra_.emplace(Place{family, socket->port()}, socket);
    const auto local = socket->local();
    io::spawn(executor_, "UDP receiver", receive_loop(std::move(socket)), shared_from_this());
    return local;
}

void SocketSet::close_extra(const net::Endpoint& local) {
    const auto found = extra_.find({local.address.family(), local.port});
    if (found != extra_.end()) {
        found->second->close();
        extra_.erase(found);
    }
}

asio::awaitable<void> SocketSet::receive_loop(std::shared_ptr<io::UdpSocket> socket) {
    std::optional<TimePoint> look_at;
    while (!closed_ && socket->is_open()) {
        std::error_code error;
        if (look_at) {
            error = co_await socket->wait_until(*look_at);
        } else {
            error = co_await socket->wait_readable();
        }
        if (closed_ || !socket->is_open()) {
            co_return;
        }
        const auto owner = callbacks_.owner.lock();
        if (!owner) {
            co_return;
        }
        look_at.reset();
        if (error) {
            log::debug("UDP receive: {}", error.message());
            continue;
        }
        socket->receive([this](const net::Received& datagram) { callbacks_.datagram(datagram); });
        if (!closed_) {
            look_at = callbacks_.batch_over();
        }
    }
}

io::UdpSocket* SocketSet::socket_for(const net::PathAddresses& path) const {
    const auto family = path.remote.address.family();
    const auto main = sockets_.find(family);
    if (main != sockets_.end() && (path.local.port == 0 || path.local.port == main->second->port())) {
        return main->second.get();
    }
    if (const auto extra = extra_.find({family, path.local.port}); extra != extra_.end()) {
        return extra->second.get();
    }
    const auto retired = std::ranges::find_if(retired_, [&](const auto& socket) {
        return socket->local().address.family() == family && socket->port() == path.local.port;
    });
    return retired == retired_.end() ? nullptr : retired->get();
}

io::SendResult SocketSet::send(const net::PathAddresses& path, ByteView payload, std::size_t segment, net::Ecn ecn) {
    auto* socket = socket_for(path);
    return socket == nullptr ? io::SendResult::failed : socket->send(path, payload, segment, ecn);
}

io::SendResult SocketSet::send_with_ttl(const net::PathAddresses& path, ByteView payload, std::uint8_t ttl) {
    auto* socket = socket_for(path);
    return socket == nullptr ? io::SendResult::failed : socket->send_with_ttl(path, payload, ttl);
}

std::optional<std::uint16_t> SocketSet::port(net::Family family) const {
    const auto found = sockets_.find(family);
    return found == sockets_.end() ? std::nullopt : std::optional{found->second->port()};
}

}  // namespace pinhole::shell
