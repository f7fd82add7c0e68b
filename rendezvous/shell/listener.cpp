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

/// The port above; there is none above the last.
std::optional<std::uint16_t> above(std::uint16_t port) {
    return port == 65535 ? std::nullopt : std::optional{static_cast<std::uint16_t>(port + 1)};
}

/// What belongs to a place besides its primary listener.
std::vector<net::Endpoint> companions(const Place& place, std::uint16_t first, std::uint16_t second) {
    if (!place.alternate) {
        return {};
    }
    if (place.at.address.is_unspecified()) {
        return {{.address = place.at.address, .port = second}};
    }
    const auto& other = place.alternate->address;
    return {{.address = other, .port = first},
            {.address = place.at.address, .port = second},
            {.address = other, .port = second}};
}

Result<OpenPlace> try_place(const io::asio::any_io_executor& executor, const Place& place) {
    auto primary = Listener::open(executor, place.at);
    if (!primary) {
        return std::unexpected(primary.error());
    }
    const auto first = primary->local().port;
    OpenPlace result;
    result.listeners.push_back(*std::move(primary));
    if (!place.alternate) {
        return result;
    }
    const auto second = above(first);
    if (!second) {
        return fail(make_error_code(std::errc::address_in_use), "a port above 65535, which --alternate needs");
    }
    for (const auto& endpoint : companions(place, first, *second)) {
        auto listener = Listener::open(executor, endpoint);
        if (!listener) {
            return std::unexpected(listener.error());
        }
        result.listeners.push_back(*std::move(listener));
    }
    result.site =
        StunSite{.addresses = {place.alternate->primary, place.alternate->address}, .ports = {first, *second}};
    return result;
}

}  // namespace

Result<Listener> Listener::open(const io::asio::any_io_executor& executor, const net::Endpoint& at, Hears hears) {
    for (int attempt = 1;; ++attempt) {
        std::optional<tcp::acceptor> acceptor;
        auto local = at;
        if (hears == Hears::both) {
            auto tcp = open_tcp(executor, at);
            if (!tcp) {
                return std::unexpected(tcp.error());
            }
            boost::system::error_code ec;
            local.port = tcp->local_endpoint(ec).port();
            acceptor = *std::move(tcp);
        }
        auto udp = io::UdpSocket::open(executor, local);
        if (udp) {
            return Listener{std::move(acceptor), *std::move(udp)};
        }
        if (at.port != 0 || attempt == kAnyPortAttempts) {
            return std::unexpected(udp.error());
        }
    }
}

bool Listener::covers(const net::Endpoint& local) const {
    const auto bound = udp_.local();
    return bound.port == local.port && bound.address.family() == local.address.family() &&
           (bound.address == local.address || bound.address.is_unspecified());
}

void Listener::close() {
    boost::system::error_code ignored;
    if (tcp_) {
        tcp_->close(ignored);
    }
    udp_.close();
}

Result<OpenPlace> open_place(const io::asio::any_io_executor& executor, const Place& place) {
    for (int attempt = 1;; ++attempt) {
        auto opened = try_place(executor, place);
        // Any port that is free here need not be free on the other address, nor the one above it.
        if (opened || place.at.port != 0 || attempt == kAnyPortAttempts) {
            return opened;
        }
    }
}

}  // namespace pinhole::rendezvous
