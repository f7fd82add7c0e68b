#include "peer/shell/relay_carrier.hpp"

#include "common/base/log.hpp"
#include "common/io/tokens.hpp"
#include "peer/shell/relay_stream.hpp"

#include <utility>

#include <boost/asio/post.hpp>

namespace pinhole::shell {

namespace asio = boost::asio;

namespace {

/// A socket of its own and not the one of the sessions: what arrives there can only be the relay's, and it outlives the
/// main sockets, which a call that is placed again renews.
class UdpRelayCarrier final : public RelayCarrier, public std::enable_shared_from_this<UdpRelayCarrier> {
  public:
    UdpRelayCarrier(asio::any_io_executor executor, const net::Endpoint& server, std::optional<net::Address> bind)
        : executor_(std::move(executor)), server_(server), bind_(std::move(bind)) {}

    void start(Callbacks callbacks) override {
        callbacks_ = std::move(callbacks);
        const auto family = server_.address.family();
        const bool possible = !bind_ || bind_->family() == family;
        auto opened =
            possible ? io::UdpSocket::open(executor_, {.address = bind_.value_or(net::Address::any(family)), .port = 0})
                     : Result<io::UdpSocket>{fail(std::make_error_code(std::errc::address_family_not_supported))};
        asio::post(executor_, [self = shared_from_this(), error = opened ? Error{} : opened.error()] {
            if (self->closed_) {
                return;
            }
            if (error.code) {
                self->callbacks_.closed(error);
            } else {
                self->callbacks_.ready();
            }
        });
        if (opened) {
            socket_.emplace(*std::move(opened));
            io::spawn(executor_, "relay over UDP", receive_loop(), shared_from_this());
        }
    }

    io::SendResult send(ByteView messages, std::size_t segment) override {
        if (closed_ || !socket_) {
            return io::SendResult::failed;
        }
        const net::PathAddresses path{.local = {.address = net::Address::any(server_.address.family()), .port = 0},
                                      .remote = server_};
        return socket_->send(path, messages, segment, net::Ecn::not_ect);
    }

    void close() override {
        closed_ = true;
        if (socket_) {
            socket_->close();
        }
    }

  private:
    asio::awaitable<void> receive_loop() {
        while (!closed_ && socket_->is_open()) {
            const auto error = co_await socket_->wait_readable();
            if (closed_ || !socket_->is_open()) {
                co_return;
            }
            if (error) {
                log::debug("relay over UDP: {}", error.message());
                continue;
            }
            socket_->receive([this](const net::Received& datagram) {
                if (!closed_ && datagram.path.remote == server_) {
                    callbacks_.message(datagram.payload);
                }
            });
            if (!closed_) {
                callbacks_.batch_over();
            }
        }
    }

    asio::any_io_executor executor_;
    net::Endpoint server_;
    std::optional<net::Address> bind_;
    std::optional<io::UdpSocket> socket_;
    Callbacks callbacks_;
    bool closed_ = false;
};

}  // namespace

const char* name(RelayTransport transport) {
    switch (transport) {
        case RelayTransport::udp:
            return "udp";
        case RelayTransport::tcp:
            return "tcp";
        case RelayTransport::tls:
            break;
    }
    return "tls";
}

std::shared_ptr<RelayCarrier> RelayCarrier::make(const asio::any_io_executor& executor, const RelayTarget& target,
                                                 const std::optional<net::Address>& bind) {
    switch (target.transport) {
        case RelayTransport::udp:
            return std::make_shared<UdpRelayCarrier>(executor, target.endpoint, bind);
        case RelayTransport::tcp:
            return make_tcp_relay_carrier(executor, target, bind);
        case RelayTransport::tls:
            break;
    }
    return make_tls_relay_carrier(executor, target, bind);
}

}  // namespace pinhole::shell
