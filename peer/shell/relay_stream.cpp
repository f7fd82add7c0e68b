#include "peer/shell/relay_stream.hpp"

#include "common/io/connect.hpp"
#include "common/stun/stream_framer.hpp"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

namespace pinhole::shell {

namespace asio = boost::asio;

namespace {

constexpr Duration kConnectTimeout = 5s;
constexpr std::size_t kReadChunk = 16 * 1024;
/// What waits for the connection at most; beyond it messages are lost, as in a full queue of a network. A quarter of a
/// second at 4 Mbit/s.
constexpr std::size_t kMaxBacklog = 128 * 1024;

using Tcp = asio::ip::tcp::socket;
using Tls = asio::ssl::stream<Tcp>;

Error unreachable(const RelayTarget& target, const std::string& why) {
    return {.code = std::make_error_code(std::errc::host_unreachable),
            .detail = std::string{name(target.transport)} + " " + target.endpoint.text() + " (" + why + ")"};
}

template <class Stream>
class StreamRelayCarrier final : public RelayCarrier, public std::enable_shared_from_this<StreamRelayCarrier<Stream>> {
  public:
    StreamRelayCarrier(asio::any_io_executor executor, RelayTarget target)
        : executor_(std::move(executor)), target_(std::move(target)) {}

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
        if (stream_) {
            boost::system::error_code ignored;
            stream_->lowest_layer().close(ignored);
        }
    }

  private:
    asio::awaitable<void> connect_and_read() {
        const auto self = this->shared_from_this();
        auto connected = co_await io::tcp_connect(executor_, {target_.endpoint}, kConnectTimeout);
        if (closed_) {
            co_return;
        }
        if (!connected) {
            callbacks_.closed(unreachable(target_, connected.error().message()));
            co_return;
        }
        boost::system::error_code ignored;
        connected->set_option(asio::ip::tcp::no_delay{true}, ignored);
        if (const auto error = co_await begin(*std::move(connected)); error && !closed_) {
            callbacks_.closed(unreachable(target_, error.message()));
            co_return;
        }
        if (closed_) {
            co_return;
        }
        up_ = true;
        callbacks_.ready();
        co_await read_loop();
    }

    asio::awaitable<boost::system::error_code> begin(Tcp socket) {
        if constexpr (std::is_same_v<Stream, Tcp>) {
            stream_.emplace(std::move(socket));
            co_return boost::system::error_code{};
        } else {
            context_.set_verify_mode(asio::ssl::verify_none);
            stream_.emplace(std::move(socket), context_);
            if (!target_.host.empty()) {
                SSL_set_tlsext_host_name(stream_->native_handle(), target_.host.c_str());
            }
            auto shaken = co_await stream_->async_handshake(asio::ssl::stream_base::client, io::use_tuple);
            co_return std::get<0>(shaken);
        }
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
        const auto self = this->shared_from_this();
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
    asio::ssl::context context_{asio::ssl::context::tls_client};
    std::optional<Stream> stream_;
    stun::StreamFramer framer_;
    Callbacks callbacks_;
    Bytes message_;
    Bytes outgoing_;
    bool up_ = false;
    bool writing_ = false;
    bool closed_ = false;
};

}  // namespace

std::shared_ptr<RelayCarrier> make_tcp_relay_carrier(const asio::any_io_executor& executor, const RelayTarget& target) {
    return std::make_shared<StreamRelayCarrier<Tcp>>(executor, target);
}

std::shared_ptr<RelayCarrier> make_tls_relay_carrier(const asio::any_io_executor& executor, const RelayTarget& target) {
    return std::make_shared<StreamRelayCarrier<Tls>>(executor, target);
}

}  // namespace pinhole::shell
