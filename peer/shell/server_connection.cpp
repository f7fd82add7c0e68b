#include "peer/shell/server_connection.hpp"

#include "common/io/clock.hpp"
#include "common/io/connect.hpp"
#include "common/io/convert.hpp"
#include "common/io/tokens.hpp"
#include "peer/session/errors.hpp"

#include <algorithm>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace pinhole::shell {

namespace asio = boost::asio;

namespace {

constexpr Duration kConnectTimeout = 5s;
constexpr std::size_t kReadBuffer = 16 * 1024;

Error unreachable(const net::HostPort& server, const std::string& why) {
    return {.code = session::make_error_code(session::Errc::server_unreachable),
            .detail = server.host + ':' + std::to_string(server.port) + " (" + why + ')'};
}

}  // namespace

ServerConnection::ServerConnection(asio::io_context& io, net::HostPort server, session::SignalingClient::Config config,
                                   Rng& rng)
    : io_(io), server_(std::move(server)), client_(std::move(config), rng) {}

void ServerConnection::start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
    client_.start(io::now());
    drain();
}

void ServerConnection::send(const signaling::ToServer& message) {
    client_.send(message, io::now());
    drain();
}

void ServerConnection::handle_timeout(TimePoint now) {
    client_.handle_timeout(now);
    drain();
}

void ServerConnection::handle_network_changed(const std::vector<net::Address>& local_addresses, TimePoint now) {
    if (socket_) {
        boost::system::error_code error;
        const auto local = io::from_asio(socket_->local_endpoint(error));
        if (!error && std::ranges::find(local_addresses, local.address) != local_addresses.end()) {
            return;
        }
    }
    client_.reconnect(now);
    drain();
}

void ServerConnection::doubt(TimePoint now) {
    client_.doubt(now);
    drain();
}

void ServerConnection::stop() {
    stopped_ = true;
    drop_socket();
}

void ServerConnection::drop_socket() {
    ++attempt_;
    socket_.reset();
    outgoing_.clear();
    writing_ = false;
}

asio::awaitable<void> ServerConnection::connect_and_read(std::uint64_t attempt) {
    auto resolved = co_await io::resolve(io_.get_executor(), server_.host, server_.port);
    if (stopped_ || attempt != attempt_) {
        co_return;
    }
    if (!resolved) {
        client_.handle_closed(unreachable(server_, resolved.error().message()), io::now());
        drain();
        co_return;
    }
    callbacks_.resolved(*resolved);
    auto connected = co_await io::tcp_connect(io_.get_executor(), *resolved, kConnectTimeout);
    if (stopped_ || attempt != attempt_) {
        co_return;
    }
    if (!connected) {
        client_.handle_closed(unreachable(server_, connected.error().message()), io::now());
        drain();
        co_return;
    }
    socket_.emplace(*std::move(connected));
    boost::system::error_code ignored;
    socket_->set_option(asio::ip::tcp::no_delay{true}, ignored);
    socket_->non_blocking(true, ignored);
    client_.handle_connected(io::now());
    drain();
    Bytes buffer(kReadBuffer);
    while (!stopped_ && attempt == attempt_) {
        auto read = co_await socket_->async_read_some(asio::buffer(buffer), io::use_tuple);
        auto& [error, count] = read;
        if (stopped_ || attempt != attempt_) {
            co_return;
        }
        if (error) {
            client_.handle_closed(unreachable(server_, error.message()), io::now());
        } else {
            client_.handle_bytes(ByteView{buffer}.first(count), io::now());
        }
        drain();
    }
}

asio::awaitable<void> ServerConnection::write_loop(std::uint64_t attempt) {
    while (!stopped_ && attempt == attempt_ && !outgoing_.empty()) {
        const Bytes chunk = std::exchange(outgoing_, {});
        auto written = co_await asio::async_write(*socket_, asio::buffer(chunk), io::use_tuple);
        auto& [error, count] = written;
        if (error) {
            break;  // the reader sees the same end and reports it
        }
    }
    if (attempt == attempt_) {
        writing_ = false;
    }
}

void ServerConnection::write_now() {
    if (!socket_ || outgoing_.empty() || writing_) {
        return;
    }
    boost::system::error_code error;
    const auto written = socket_->write_some(asio::buffer(outgoing_), error);
    outgoing_.erase(outgoing_.begin(), outgoing_.begin() + static_cast<std::ptrdiff_t>(written));
}

void ServerConnection::drain() {
    if (draining_) {
        return;  // a callback came back here; the outer call goes on
    }
    draining_ = true;
    while (!stopped_) {
        const auto output = client_.poll_output();
        outgoing_.insert(outgoing_.end(), output.begin(), output.end());
        const auto event = client_.poll_event();
        if (!event) {
            if (!output.empty()) {
                continue;
            }
            break;
        }
        if (std::holds_alternative<session::SignalingClient::ConnectNow>(*event)) {
            drop_socket();
            io::spawn(io_.get_executor(), "server connection", connect_and_read(attempt_), shared_from_this());
            continue;
        }
        if (std::holds_alternative<session::SignalingClient::Lost>(*event)) {
            drop_socket();
        }
        callbacks_.event(*event);
    }
    draining_ = false;
    if (stopped_) {
        return;
    }
    write_now();
    if (socket_ && !outgoing_.empty() && !writing_) {
        writing_ = true;
        io::spawn(io_.get_executor(), "server connection writer", write_loop(attempt_), shared_from_this());
    }
    callbacks_.timers_changed();
}

}  // namespace pinhole::shell
