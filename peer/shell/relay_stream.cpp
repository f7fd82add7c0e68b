#include "peer/shell/relay_stream.hpp"

#include "common/io/connect.hpp"
#include "common/stun/stream_framer.hpp"
#include "peer/shell/tls_client.hpp"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

namespace pinhole::shell {

namespace asio = boost::asio;

namespace {

constexpr Duration kConnectTimeout = 5s;
/// From the connection on: as long as the server gives a client.
constexpr std::chrono::seconds kHandshakeTimeout{5};
constexpr std::size_t kReadChunk = 16 * 1024;
/// What waits for the connection at most; beyond it messages are lost, as in a full queue of a network. A quarter of a
/// second at 4 Mbit/s.
constexpr std::size_t kMaxBacklog = 128 * 1024;

using Tcp = asio::ip::tcp::socket;
using Tls = TlsStream;

Error unreachable(const RelayTarget& target, const std::string& why) {
    return {.code = std::make_error_code(std::errc::host_unreachable),
            .detail = std::string{name(target.transport)} + " " + target.endpoint.text() + " (" + why + ")"};
}

template <class Stream>
class StreamRelayCarrier final : public RelayCarrier, public std::enable_shared_from_this<StreamRelayCarrier<Stream>> {
  public:
    StreamRelayCarrier(asio::any_io_executor executor, RelayTarget target, std::optional<net::Address> bind)
        : executor_(std::move(executor)),
          target_(std::move(target)),
          bind_(std::move(bind)),
          handshake_timer_(executor_) {}

    void start(Callbacks callbacks) override {
        callbacks_ = std::move(callbacks);
        io::spawn(executor_, "relay over a stream", connect_and_read(), this->shared_from_this());
    }

    io::SendResult send(ByteView messages, std::size_t) override {
        if (closed_ || !up_) {
            return io::SendResult::failed;
        }
        if (outgoing_.size() + messages.size() > kMaxBacklog) {
            return io::SendResult::would_block;
        }
        outgoing_.insert(outgoing_.end(), messages.begin(), messages.end());
        if (!writing_) {
            writing_ = true;
            io::spawn(executor_, "relay writer", write_loop(), this->shared_from_this());
        }
        return io::SendResult::sent;
    }

    void close() override {
        closed_ = true;
        handshake_timer_.cancel();
        if (stream_) {
            boost::system::error_code ignored;
            stream_->lowest_layer().close(ignored);
        }
    }

  private:
    asio::awaitable<void> connect_and_read() {
        auto connected = co_await io::tcp_connect(executor_, {target_.endpoint}, kConnectTimeout, bind_);
        if (closed_) {
            co_return;
        }
        if (!connected) {
            callbacks_.closed(unreachable(target_, connected.error().message()));
            co_return;
        }
        boost::system::error_code ignored;
        connected->set_option(asio::ip::tcp::no_delay{true}, ignored);
        const auto begun = co_await begin(*std::move(connected));
        if (closed_) {
            co_return;
        }
        if (!begun) {
            callbacks_.closed(begun.error());
            co_return;
        }
        up_ = true;
        callbacks_.ready();
        co_await read_loop();
    }

    asio::awaitable<Status> begin(Tcp socket) {
        if constexpr (std::is_same_v<Stream, Tcp>) {
            stream_.emplace(std::move(socket));
            co_return Status{};
        } else {
            auto context = make_tls_client(target_);
            if (!context) {
                co_return std::unexpected(context.error());
            }
            stream_.emplace(std::move(socket), **context);
            if (auto status = expect_certificate(*stream_, target_); !status) {
                co_return status;
            }
            bound_handshake();
            auto shaken = co_await stream_->async_handshake(asio::ssl::stream_base::client, io::use_tuple);
            handshake_timer_.cancel();
            if (auto status = check_certificate(*stream_, target_); !status) {
                co_return status;
            }
            const auto error = std::get<0>(shaken);
            co_return error ? std::unexpected(unreachable(target_, late_ ? "no TLS in time" : error.message()))
                            : Status{};
        }
    }

    void bound_handshake() {
        handshake_timer_.expires_after(kHandshakeTimeout);
        handshake_timer_.async_wait([weak = this->weak_from_this()](const boost::system::error_code& cancelled) {
            if (const auto self = weak.lock(); self && !cancelled) {
                self->late_ = true;
                boost::system::error_code ignored;
                self->stream_->lowest_layer().close(ignored);
            }
        });
    }

    asio::awaitable<void> read_loop() {
        while (!closed_) {
            const auto room = framer_.prepare(kReadChunk);
            auto read = co_await stream_->async_read_some(asio::buffer(room.data(), room.size()), io::use_tuple);
            auto& [error, count] = read;
            if (closed_) {
                co_return;
            }
            if (error) {
                callbacks_.closed(unreachable(target_, error.message()));
                co_return;
            }
            framer_.commit(count);
            if (!hand_over()) {
                callbacks_.closed(unreachable(target_, "what it sends is no TURN"));
                co_return;
            }
            if (!closed_) {
                callbacks_.batch_over();
            }
        }
    }

    bool hand_over() {
        while (!closed_) {
            const auto frame = framer_.next();
            if (!frame) {
                return false;
            }
            if (!*frame) {
                return true;
            }
            message_.assign((*frame)->begin(), (*frame)->end());
            callbacks_.message(message_);
        }
        return true;
    }

    asio::awaitable<void> write_loop() {
        while (!closed_ && !outgoing_.empty()) {
            const Bytes chunk = std::exchange(outgoing_, {});
            auto written = co_await asio::async_write(*stream_, asio::buffer(chunk), io::use_tuple);
            if (std::get<0>(written)) {
                break;  // the reader sees the same end and reports it
            }
        }
        writing_ = false;
    }

    asio::any_io_executor executor_;
    RelayTarget target_;
    std::optional<net::Address> bind_;
    asio::steady_timer handshake_timer_;
    std::optional<Stream> stream_;
    stun::StreamFramer framer_;
    Callbacks callbacks_;
    Bytes message_;
    Bytes outgoing_;
    bool up_ = false;
    bool writing_ = false;
    bool closed_ = false;
    bool late_ = false;
};

}  // namespace

std::shared_ptr<RelayCarrier> make_tcp_relay_carrier(const asio::any_io_executor& executor, const RelayTarget& target,
                                                     const std::optional<net::Address>& bind) {
    return std::make_shared<StreamRelayCarrier<Tcp>>(executor, target, bind);
}

std::shared_ptr<RelayCarrier> make_tls_relay_carrier(const asio::any_io_executor& executor, const RelayTarget& target,
                                                     const std::optional<net::Address>& bind) {
    return std::make_shared<StreamRelayCarrier<Tls>>(executor, target, bind);
}

}  // namespace pinhole::shell
