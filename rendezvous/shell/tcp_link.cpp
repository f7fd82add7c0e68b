#include "rendezvous/shell/tcp_link.hpp"

#include "common/io/convert.hpp"

#include <utility>

namespace pinhole::rendezvous {

TcpLink::TcpLink(io::asio::ip::tcp::socket socket, const net::Endpoint& remote)
    : socket_(std::move(socket)), timer_(socket_.get_executor()) {
    boost::system::error_code gone;
    const auto local = socket_.local_endpoint(gone);
    path_ = {.local = gone ? net::Endpoint{} : io::from_asio(local), .remote = remote};
}

void TcpLink::close_after(Duration time) {
    timer_.expires_after(time);
    timer_.async_wait([link = weak_from_this()](const boost::system::error_code& ec) {
        const auto self = link.lock();
        // A handler that was under way already when the timer was set anew finds the expiry moved.
        if (!ec && self && self->timer_.expiry() <= std::chrono::steady_clock::now()) {
            self->close();
        }
    });
}

void TcpLink::disarm() {
    timer_.expires_at(io::asio::steady_timer::time_point::max());
}

void TcpLink::close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    disarm();
}

}  // namespace pinhole::rendezvous
