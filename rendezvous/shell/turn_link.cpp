#include "rendezvous/shell/turn_link.hpp"

#include "common/base/limits.hpp"
#include "common/io/clock.hpp"
#include "common/stun/channel_data.hpp"

#include <array>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace pinhole::rendezvous {

TurnLink::TurnLink(std::shared_ptr<TcpLink> tcp, io::asio::ssl::context* tls)
    : tcp_(std::move(tcp)),
      written_(tcp_->socket().get_executor()),
      client_{.path = tcp_->path(), .transport = tls == nullptr ? turn::TurnTransport::tcp : turn::TurnTransport::tls},
      heard_(io::now()) {
    if (tls != nullptr) {
        tls_.emplace(tcp_->socket(), *tls);
    }
}

io::asio::awaitable<bool> TurnLink::handshake() {
    if (!tls_) {
        co_return true;
    }
    tcp_->close_after(limits::kHandshakeTimeout);
    const auto result = co_await tls_->async_handshake(io::asio::ssl::stream_base::server, io::use_tuple);
    tcp_->disarm();
    heard_ = io::now();
    co_return !std::get<0>(result);
}

io::asio::awaitable<std::size_t> TurnLink::read(ByteSpan into) {
    const auto buffer = io::asio::buffer(into.data(), into.size());
    std::size_t size = 0;
    if (tls_) {
        const auto result = co_await tls_->async_read_some(buffer, io::use_tuple);
        size = std::get<0>(result) ? 0 : std::get<1>(result);
    } else {
        const auto result = co_await tcp_->socket().async_read_some(buffer, io::use_tuple);
        size = std::get<0>(result) ? 0 : std::get<1>(result);
    }
    heard_ = io::now();
    co_return size;
}

void TurnLink::send(ByteView message) {
    if (!open_) {
        return;
    }
    if (queue_.size() + message.size() > kMaxBacklog) {
        close();
        return;
    }
    queue_.insert(queue_.end(), message.begin(), message.end());
    start_writing();
}

bool TurnLink::send_data(ByteView header, ByteView payload) {
    const auto padding = stun::channel_padding(payload.size());
    if (!open_ || queue_.size() + header.size() + payload.size() + padding > kMaxData) {
        return false;
    }
    queue_.insert(queue_.end(), header.begin(), header.end());
    queue_.insert(queue_.end(), payload.begin(), payload.end());
    queue_.insert(queue_.end(), padding, 0);
    start_writing();
    return true;
}

void TurnLink::start_writing() {
    if (tls_) {
        ends_.push_back(queue_.size());
    }
    if (!writing_) {
        writing_ = true;
        io::spawn(tcp_->socket().get_executor(), "relay write", write_queue(), shared_from_this());
    }
}

io::asio::awaitable<void> TurnLink::write_queue() {
    Bytes bytes;
    std::vector<std::size_t> ends;
    while (open_ && !queue_.empty()) {
        bytes.clear();
        ends.clear();
        std::swap(bytes, queue_);
        std::swap(ends, ends_);
        tcp_->close_after(kWriteStall);
        const bool written = tls_ ? co_await write_records(bytes, ends) : co_await write_all(bytes);
        if (!written) {
            close();
            break;
        }
        tcp_->disarm();
    }
    writing_ = false;
    written_.cancel();
}

/// A record for each message: there are clients that take what one read gives them for one message.
io::asio::awaitable<bool> TurnLink::write_records(ByteView bytes, const std::vector<std::size_t>& ends) {
    std::size_t begin = 0;
    for (const auto end : ends) {
        if (!co_await write_all(bytes.subspan(begin, end - begin))) {
            co_return false;
        }
        begin = end;
    }
    co_return true;
}

io::asio::awaitable<bool> TurnLink::write(ByteView bytes) {
    // What was queued before this connection was paired is a few answers.
    while (writing_ && open_) {
        written_.expires_at(io::asio::steady_timer::time_point::max());
        co_await written_.async_wait(io::use_tuple);
    }
    co_return open_&& co_await write_all(bytes);
}

io::asio::awaitable<bool> TurnLink::write_all(ByteView bytes) {
    const auto buffer = io::asio::buffer(bytes.data(), bytes.size());
    if (tls_) {
        const auto result = co_await io::asio::async_write(*tls_, buffer, io::use_tuple);
        co_return !std::get<0>(result);
    }
    const auto result = co_await io::asio::async_write(tcp_->socket(), buffer, io::use_tuple);
    co_return !std::get<0>(result);
}

void TurnLink::finish() {
    boost::system::error_code ignored;
    tcp_->socket().shutdown(io::asio::ip::tcp::socket::shutdown_send, ignored);
}

void TurnLink::close() {
    open_ = false;
    tcp_->close();
}

}  // namespace pinhole::rendezvous
