#include "rendezvous/shell/listener.hpp"

#include "common/io/convert.hpp"

#include <boost/asio/ip/v6_only.hpp>

namespace pinhole::rendezvous {

namespace {

using io::asio::ip::tcp;

/// Tries for a port that is free in TCP and UDP; a first miss is unlikely already.
constexpr int kAnyPortAttempts = 16;

Result<tcp::acceptor> open_tcp(const io::asio::any_io_executor& executor, const net::Endpoint& at) {
    tcp::acceptor acceptor{executor};
    const auto endpoint = io::to_tcp(at);
    boost::system::error_code ec;
    acceptor.open(endpoint.protocol(), ec);
    if (!ec && !at.address.is_v4()) {
        acceptor.set_option(io::asio::ip::v6_only{true}, ec);
    }
    if (!ec) {
        // A restart must not wait for TIME_WAIT; two servers on one port stay impossible.
        acceptor.set_option(tcp::acceptor::reuse_address{true}, ec);
    }
    if (!ec) {
        acceptor.bind(endpoint, ec);
    }
    if (!ec) {
        acceptor.listen(tcp::acceptor::max_listen_connections, ec);
    }
    if (ec) {
        return fail(ec, "TCP " + at.text());
    }
    return acceptor;
}

}  // namespace

Result<Listener> Listener::open(const io::asio::any_io_executor& executor, const net::Endpoint& at) {
    for (int attempt = 1;; ++attempt) {
        auto tcp = open_tcp(executor, at);
        if (!tcp) {
            return std::unexpected(tcp.error());
        }
        boost::system::error_code ec;
        const net::Endpoint local{.address = at.address, .port = tcp->local_endpoint(ec).port()};
        auto udp = io::UdpSocket::open(executor, local);
        if (udp) {
            return Listener{*std::move(tcp), *std::move(udp)};
        }
        if (at.port != 0 || attempt == kAnyPortAttempts) {
            return std::unexpected(udp.error());
        }
    }
}

void Listener::close() {
    boost::system::error_code ignored;
    tcp_.close(ignored);
    udp_.close();
}

}  // namespace pinhole::rendezvous
