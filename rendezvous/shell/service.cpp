#include "rendezvous/shell/service.hpp"

#include "common/base/limits.hpp"
#include "common/base/wall_time.hpp"
#include "common/io/clock.hpp"
#include "common/io/convert.hpp"
#include "common/signaling/secure_link.hpp"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <span>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::rendezvous {

namespace {

using io::asio::ip::tcp;

/// A connection that has not said its first byte by then is closed.
constexpr Duration kFirstByte = limits::kHandshakeTimeout;
/// Pause of accepting after an error such as "too many open files": connections that end make room.
constexpr Duration kAcceptPause = 100ms;
/// RFC 8489 §5: the two most significant bits of a STUN message are zero; its first byte is 0 to 3 for every class.
constexpr std::uint8_t kLastStunByte = 3;

/// A guest has no key agreement, but a socket: about 25 KB, 50 MB at the bound.
constexpr Admission::Config kGuests{.max_connections = 2000,
                                    .max_per_source = 64,
                                    .max_logging_in_per_source = 64,
                                    .max_per_site = 256,
                                    .max_logging_in_per_site = 256,
                                    .opens = {}};
/// RFC 8446 §5.1: a TLS connection begins with a handshake record.
constexpr std::uint8_t kTlsByte = 22;

}  // namespace

Service::Service(crypto::KeyPair keys, Rng& rng, Options options)
    : guests_(kGuests),
      options_(std::move(options)),
      relay_secret_(relay_secret(keys)),
      hub_(io_.get_executor(), std::move(keys), rng),
      relay_(io_.get_executor(), options_.relay, relay_secret_, stun_, rng),
      signals_(io_) {
    // From here on, so that whoever sees the program ready can end it cleanly.
    boost::system::error_code ignored;
    signals_.add(SIGINT, ignored);
    signals_.add(SIGTERM, ignored);
}

Status Service::listen(const Place& place) {
    auto opened = open_place(io_.get_executor(), place);
    if (!opened) {
        return std::unexpected(opened.error());
    }
    auto& found = opened->listeners;
    listeners_.insert(listeners_.begin() + static_cast<std::ptrdiff_t>(primary_++),
                      std::make_unique<Listener>(std::move(found.front())));
    for (auto& listener : std::span{found}.subspan(1)) {
        listeners_.push_back(std::make_unique<Listener>(std::move(listener)));
    }
    if (opened->site) {
        stun_.add_site(*opened->site);
    }
    return {};
}

void Service::open_second_ports() {
    for (std::size_t i = 0; i < primary_; ++i) {
        auto at = listeners_[i]->local();
        if (second_port_of(at)) {
            continue;
        }
        // Above the last port there is none: 0 would be any, which no firewall's rule could name.
        at.port = static_cast<std::uint16_t>(at.port + 1);
        auto listener = at.port == 0 ? fail(make_error_code(std::errc::address_in_use), "there is no port above 65535")
                                     : Listener::open(io_.get_executor(), at, Listener::Hears::udp);
        if (listener) {
            listeners_.push_back(std::make_unique<Listener>(*std::move(listener)));
        } else {
            log::warn("no second port for STUN, so peers cannot see whether their mappings depend on the port: {}",
                      listener.error().message());
        }
    }
}

std::optional<std::uint16_t> Service::second_port_of(const net::Endpoint& bound) const {
    for (const auto& listener : listeners_) {
        const auto local = listener->local();
        if (local.address == bound.address && local.port != bound.port) {
            return local.port;
        }
    }
    return std::nullopt;
}

std::vector<net::Endpoint> Service::listening() const {
    std::vector<net::Endpoint> endpoints;
    endpoints.reserve(listeners_.size());
    for (const auto& listener : listeners_) {
        endpoints.push_back(listener->local());
    }
    return endpoints;
}

void Service::run() {
    io::spawn(io_.get_executor(), "signals", watch_signals());
    offer_relays();
    hub_.start();
    relay_.start(listening());
    for (const auto& listener : listeners_) {
        if (listener->tcp() != nullptr) {
            io::spawn(io_.get_executor(), "accept", accept(*listener));
        }
        io::spawn(io_.get_executor(), "receive", receive(*listener));
    }
    io_.run();
}

void Service::stop() {
    stopping_ = true;
    for (const auto& listener : listeners_) {
        listener->close();
    }
    hub_.stop();
    relay_.stop();
    for (const auto& link : links_) {
        link->close();
    }
}

io::asio::awaitable<void> Service::watch_signals() {
    co_await signals_.async_wait(io::use_tuple);
    log::info("stopping");
    stop();
}

io::asio::awaitable<void> Service::accept(Listener& listener) {
    io::asio::steady_timer pause{io_};
    const auto second = second_port_of(listener.local());
    while (!stopping_) {
        auto result = co_await listener.tcp()->async_accept(io::use_tuple);
        auto& [ec, socket] = result;
        if (stopping_) {
            co_return;
        }
        boost::system::error_code gone;
        const auto remote = ec ? tcp::endpoint{} : socket.remote_endpoint(gone);
        if (ec) {
            if (const auto dropped = accept_failures_.pass(io::now())) {
                log::warn("cannot accept a connection: {} ({} more since the last such line)", ec.message(), *dropped);
            }
            pause.expires_after(kAcceptPause);
            co_await pause.async_wait(io::use_tuple);
        } else if (!gone) {
            boost::system::error_code ignored;
            socket.set_option(tcp::no_delay{true}, ignored);
            socket.non_blocking(true, ignored);
            auto link = std::make_shared<TcpLink>(std::move(socket), io::from_asio(remote));
            io::spawn(io_.get_executor(), "connection", serve(std::move(link), second));
        }
    }
}

io::asio::awaitable<void> Service::serve(std::shared_ptr<TcpLink> link, std::optional<std::uint16_t> second) {
    links_.insert(link);
    co_await dispatch(link, second);
    link->close();
    links_.erase(link);
}

io::asio::awaitable<void> Service::dispatch(std::shared_ptr<TcpLink> link, std::optional<std::uint16_t> second) {
    const auto first = co_await first_byte(link);
    if (first == signaling::kPreamble.front()) {
        link->disarm();
        co_await hub_.serve(link, second);
    } else if (first && (*first <= kLastStunByte || (*first == kTlsByte && options_.tls))) {
        link->disarm();
        auto* const tls = *first == kTlsByte ? options_.tls->context.get() : nullptr;
        co_await relay_.serve(std::make_shared<TurnLink>(link, tls));
    }
}

void Service::offer_relays() {
    auto offers = options_.others;
    if (options_.relay.enabled) {
        RelayOffer own{.udp = true, .tcp = true, .tls = options_.tls.has_value(), .secret = relay_secret_};
        if (options_.tls) {
            own.certificate = options_.tls->digest;
        }
        offers.insert(offers.begin(), std::move(own));
    }
    hub_.offer_relays(
        [offers = std::move(offers)](const crypto::PeerId& peer) {
            return relays_for(offers, peer, std::chrono::seconds{wall_now().unix_ms / 1000});
        },
        kCredentialRenewal);
}

io::asio::awaitable<std::optional<std::uint8_t>> Service::first_byte(std::shared_ptr<TcpLink> link) {
    const auto& source = link->remote().address;
    std::optional<std::uint8_t> result;
    if (!guests_.enter(source, io::now())) {
        link->close_after(kFirstByte);
        const auto ready = co_await link->socket().async_wait(tcp::socket::wait_read, io::use_tuple);
        boost::system::error_code ec = std::get<0>(ready);
        std::uint8_t first = 0;
        if (!ec && link->socket().receive(io::asio::buffer(&first, 1), tcp::socket::message_peek, ec) == 1 && !ec) {
            result = first;
        }
    }
    guests_.leave(source, false);
    co_return result;
}

io::asio::awaitable<void> Service::receive(Listener& listener) {
    const io::UdpSocket::OnDatagram on_datagram = [this, &listener](const net::Received& datagram) {
        handle_datagram(listener, datagram);
    };
    const auto after_batch = [this] { relay_.flush(); };
    while (!stopping_) {
        if (const auto ec = co_await listener.udp().wait_readable()) {
            co_return;
        }
        listener.udp().receive(on_datagram, after_batch);
    }
}

void Service::handle_datagram(Listener& listener, const net::Received& datagram) {
    if (relay_.takes(datagram.payload)) {
        relay_.handle_datagram(listener.udp(), datagram);
    } else {
        answer(listener, datagram);
    }
}

void Service::answer(Listener& listener, const net::Received& datagram) {
    const auto reply = stun_.handle_datagram(datagram.payload, datagram.path, io::now());
    if (!reply) {
        return;
    }
    const auto& from = reply->path.local;
    auto* sender = &listener;
    if (from != datagram.path.local) {
        const auto found = std::ranges::find_if(listeners_, [&](const auto& other) { return other->covers(from); });
        sender = found == listeners_.end() ? nullptr : found->get();
    }
    if (sender != nullptr) {
        // An answer that cannot be sent is a lost one: the client asks again (RFC 8489 §6.2.1).
        sender->udp().send(reply->path, reply->payload, reply->payload.size(), net::Ecn::not_ect);
    }
}

}  // namespace pinhole::rendezvous
