#include "rendezvous/shell/hub.hpp"

#include "common/io/clock.hpp"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>

namespace pinhole::rendezvous {

namespace {

/// Characters of an ID in the log: to tell peers apart, not to name them.
constexpr std::size_t kShortId = 8;

}  // namespace

Hub::Hub(io::asio::any_io_executor executor, crypto::KeyPair keys, Rng& rng, Duration write_stall)
    : executor_(std::move(executor)),
      server_(std::move(keys), Config{}, rng),
      write_stall_(write_stall),
      timer_(executor_) {}

void Hub::start() {
    io::spawn(executor_, "timers", run_timers());
}

void Hub::stop() {
    stopping_ = true;
    if (history_ != nullptr) {
        history_->flush(server_.history());
    }
    timer_.cancel();
    for (const auto& [id, link] : links_) {
        link->close();
    }
}

void Hub::keep_history(HistoryStore& store) {
    history_ = &store;
    store.load(server_.history());
}

io::asio::awaitable<void> Hub::serve(std::shared_ptr<TcpLink> link, std::optional<std::uint16_t> second_stun_port) {
    const auto id = server_.open(link->remote(), io::now(), second_stun_port);
    links_.emplace(id, link);
    log::debug("{}: connected", link->remote().text());
    drain();
    auto& socket = link->socket();
    while (links_.contains(id)) {
        const auto ready = co_await socket.async_wait(io::asio::ip::tcp::socket::wait_read, io::use_tuple);
        if (std::get<0>(ready)) {
            break;
        }
        boost::system::error_code ec;
        const auto size = socket.read_some(io::asio::buffer(buffer_), ec);
        if (ec == io::asio::error::would_block) {
            continue;
        }
        if (ec) {
            break;
        }
        server_.handle_bytes(id, ByteView{buffer_}.first(size), io::now());
        drain();
    }
    if (links_.erase(id) > 0) {
        log::debug("{}: disconnected", link->remote().text());
        server_.handle_closed(id, io::now());
        drain();
    }
}

io::asio::awaitable<void> Hub::run_timers() {
    while (!stopping_) {
        const auto next = server_.next_timeout();
        timer_.expires_at(next ? io::to_steady(*next) : io::asio::steady_timer::time_point::max());
        co_await timer_.async_wait(io::use_tuple);
        if (!stopping_) {
            server_.handle_timeout(io::now());
            drain();
        }
    }
}

io::asio::awaitable<void> Hub::write(ConnectionId id, std::shared_ptr<TcpLink> link, Bytes bytes) {
    link->close_after(write_stall_);
    const auto result = co_await io::asio::async_write(link->socket(), io::asio::buffer(bytes), io::use_tuple);
    if (std::get<0>(result)) {
        link->close();  // the reader ends and tells the core
        co_return;
    }
    link->disarm();
    server_.resume_output(id);
    drain();
}

void Hub::drain() {
    while (const auto close = server_.poll_close()) {
        if (const auto found = links_.find(close->connection); found != links_.end()) {
            log_close(*close, *found->second);
            found->second->close();
            links_.erase(found);
        }
    }
    while (auto output = server_.poll_output()) {
        const auto link = links_.at(output->connection);
        server_.pause_output(output->connection);
        io::spawn(executor_, "write", write(output->connection, link, std::move(output->bytes)));
    }
    while (const auto reporter = server_.poll_report()) {
        log_report(*reporter);
    }
    if (history_ != nullptr) {
        history_->save(server_.history(), io::now());
    }
    if (const auto next = server_.next_timeout(); next && io::to_steady(*next) < timer_.expiry()) {
        timer_.cancel();
    }
}

void Hub::log_close(const Server::Close& close, const TcpLink& link) {
    log::debug("{}: closed: {}", link.remote().text(), close.reason);
    if (const auto dropped = misbehaviour_.pass(io::now())) {
        log::info("closed a connection: {} ({} more since the last such line)", close.reason, *dropped);
    }
}

void Hub::log_report(ConnectionId id) {
    const auto* report = server_.report(id);
    const auto peer = server_.peer(id);
    if (report == nullptr || !peer) {
        return;
    }
    if (const auto dropped = reports_.pass(io::now())) {
        const auto& udp = report->udp;
        log::info("peer {}: network of class {}, mapping {}, filtering {}, ports {} ({} more since the last such line)",
                  peer->text().substr(0, kShortId), net::name(net::classify(*report)), net::name(udp.mapping),
                  net::name(udp.filtering), net::name(udp.allocation), *dropped);
    }
}

}  // namespace pinhole::rendezvous
