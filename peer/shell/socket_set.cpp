#include "peer/shell/socket_set.hpp"

#include "common/base/log.hpp"
#include "common/io/tokens.hpp"

namespace pinhole::shell {

namespace asio = boost::asio;

Status SocketSet::open(const std::optional<net::Address>& bind) {
    Error last;
    for (const auto family : {net::Family::v4, net::Family::v6}) {
        if (bind && bind->family() != family) {
            continue;
        }
        const auto address = bind.value_or(net::Address::any(family));
        auto socket = io::UdpSocket::open(executor_, {.address = address, .port = 0});
        if (socket) {
            sockets_.emplace(family, std::make_shared<io::UdpSocket>(*std::move(socket)));
        } else {
            last = socket.error();
        }
    }
    if (sockets_.empty()) {
        return std::unexpected(last);
    }
    return {};
}

void SocketSet::start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
    for (const auto& [family, socket] : sockets_) {
        io::spawn(executor_, "UDP receiver", receive_loop(socket));
    }
}

void SocketSet::close() {
    closed_ = true;
    for (const auto& [family, socket] : sockets_) {
        socket->close();
    }
}

asio::awaitable<void> SocketSet::receive_loop(std::shared_ptr<io::UdpSocket> socket) {
    const auto self = shared_from_this();
    while (!closed_) {
        const auto error = co_await socket->wait_readable();
        if (closed_) {
            co_return;
        }
        if (error) {
            log::debug("UDP receive: {}", error.message());
            continue;
        }
        socket->receive([this](const net::Received& datagram) { callbacks_.datagram(datagram); });
        if (!closed_) {
            callbacks_.batch_over();
        }
    }
}

io::SendResult SocketSet::send(const net::PathAddresses& path, ByteView payload, std::size_t segment, net::Ecn ecn) {
    const auto found = sockets_.find(path.remote.address.family());
    return found == sockets_.end() ? io::SendResult::failed : found->second->send(path, payload, segment, ecn);
}

std::optional<std::uint16_t> SocketSet::port(net::Family family) const {
    const auto found = sockets_.find(family);
    return found == sockets_.end() ? std::nullopt : std::optional{found->second->port()};
}

}  // namespace pinhole::shell
