#include "peer/shell/netcheck_driver.hpp"

#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "common/io/convert.hpp"
#include "common/io/tokens.hpp"
#include "peer/shell/candidates.hpp"
#include "peer/shell/probe_socket.hpp"

#include <array>
#include <map>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::shell {

namespace asio = boost::asio;
using asio::ip::tcp;
using netcheck::SocketId;

namespace {

/// A STUN message has at most this many bytes on a path without fragmentation; TCP hands over pieces anyway.
constexpr std::size_t kReadBuffer = 2048;

}  // namespace

class NetcheckDriver::Impl : public std::enable_shared_from_this<Impl> {
  public:
    Impl(const asio::any_io_executor& executor, Config config, Rng& rng, OnEvent on_event)
        : executor_(executor),
          config_(std::move(config)),
          check_(config_.check, rng, io::now()),
          on_event_(std::move(on_event)),
          timer_(executor) {}

    void start() { drain(); }

    void stop();

    [[nodiscard]] const net::NetReport& report() const { return check_.report(); }

  private:
    using Stream = std::shared_ptr<tcp::socket>;

    void drain();
    void perform(const netcheck::OpenUdp& open);
    void perform(const netcheck::OpenTcp& open);
    void perform(const netcheck::Send& send);
    void perform(const netcheck::Close& close);
    asio::awaitable<void> receive_loop(SocketId id, std::shared_ptr<ProbeSocket> socket);
    asio::awaitable<void> connect_and_read(SocketId id, Stream stream, net::Endpoint remote);
    [[nodiscard]] Result<Stream> bound_stream(const netcheck::OpenTcp& open);
    [[nodiscard]] net::Address local_address(net::Family family) const;
    void rearm();

    asio::any_io_executor executor_;
    Config config_;
    netcheck::Netcheck check_;
    OnEvent on_event_;
    asio::steady_timer timer_;
    std::optional<TimePoint> armed_;
    std::map<SocketId, std::shared_ptr<ProbeSocket>> datagrams_;
    std::map<SocketId, Stream> streams_;
    std::map<SocketId, std::uint16_t> stream_ports_;  ///< of closed ones as well: later ones may ask for the same
    bool draining_ = false;
    bool stopped_ = false;
};

void NetcheckDriver::Impl::stop() {
    stopped_ = true;
    timer_.cancel();
    for (const auto& [id, socket] : datagrams_) {
        socket->close();
    }
    for (const auto& [id, stream] : streams_) {
        boost::system::error_code ignored;
        stream->close(ignored);
    }
    datagrams_.clear();
    streams_.clear();
}

void NetcheckDriver::Impl::drain() {
    const auto self = shared_from_this();
    if (draining_) {
        return;  // an action was answered at once; the outer call goes on
    }
    draining_ = true;
    bool more = true;
    while (more && !stopped_) {
        more = false;
        while (const auto action = check_.poll_action()) {
            more = true;
            std::visit([this](const auto& what) { perform(what); }, *action);
        }
        while (const auto event = stopped_ ? std::nullopt : check_.poll_event()) {
            more = true;
            on_event_(*event);
        }
    }
    draining_ = false;
    rearm();
}

net::Address NetcheckDriver::Impl::local_address(net::Family family) const {
    if (config_.bind && config_.bind->family() == family) {
        return *config_.bind;
    }
    for (const auto& server : config_.check.servers) {
        if (server.endpoint.address.family() == family) {
            return source_address_for(server.endpoint).value_or(net::Address::any(family));
        }
    }
    return net::Address::any(family);
}

void NetcheckDriver::Impl::perform(const netcheck::OpenUdp& open) {
    const bool wrong_family = config_.bind && config_.bind->family() != open.family;
    auto socket = wrong_family ? fail(make_error_code(std::errc::address_family_not_supported))
                               : ProbeSocket::open(executor_, config_.bind.value_or(net::Address::any(open.family)));
    if (!socket) {
        log::debug("netcheck: {}", socket.error().message());
        check_.handle_failed(open.socket, io::now());
        return;
    }
    datagrams_.emplace(open.socket, *socket);
    io::spawn(executor_, "netcheck receiver", receive_loop(open.socket, *socket), shared_from_this());
    check_.handle_opened(open.socket, {.address = local_address(open.family), .port = (*socket)->port()}, io::now());
}

asio::awaitable<void> NetcheckDriver::Impl::receive_loop(SocketId id, std::shared_ptr<ProbeSocket> socket) {
    while (!stopped_ && socket->is_open()) {
        if (co_await socket->wait_readable()) {
            co_return;  // closed
        }
        socket->receive([&](const net::Endpoint& from, ByteView payload) {
            check_.handle_received(id, from, payload, io::now());
            drain();
        });
    }
}

Result<NetcheckDriver::Impl::Stream> NetcheckDriver::Impl::bound_stream(const netcheck::OpenTcp& open) {
    const auto family = open.remote.address.family();
    if (config_.bind && config_.bind->family() != family) {
        return fail(make_error_code(std::errc::address_family_not_supported));
    }
    net::Endpoint local{.address = config_.bind.value_or(net::Address::any(family))};
    if (open.same_port_as) {
        const auto earlier = stream_ports_.find(*open.same_port_as);
        if (earlier == stream_ports_.end()) {
            return fail(make_error_code(std::errc::address_not_available));
        }
        local.port = earlier->second;
    }
    const auto endpoint = io::to_tcp(local);
    auto stream = std::make_shared<tcp::socket>(executor_);
    boost::system::error_code error;
    stream->open(endpoint.protocol(), error);
    if (!error) {
        // Both on every socket before bind: only then may several of them use one port.
        using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
        stream->set_option(tcp::socket::reuse_address{true}, error);
        stream->set_option(reuse_port{true}, error);
        stream->bind(endpoint, error);
    }
    if (error) {
        return fail(error, "TCP " + local.text());
    }
    stream_ports_[open.socket] = io::from_asio(stream->local_endpoint(error)).port;
    return stream;
}

void NetcheckDriver::Impl::perform(const netcheck::OpenTcp& open) {
    const auto stream = bound_stream(open);
    if (!stream) {
        log::debug("netcheck: {}", stream.error().message());
        check_.handle_failed(open.socket, io::now());
        return;
    }
    streams_.emplace(open.socket, *stream);
    io::spawn(executor_, "netcheck connection", connect_and_read(open.socket, *stream, open.remote),
              shared_from_this());
}

asio::awaitable<void> NetcheckDriver::Impl::connect_and_read(SocketId id, Stream stream, net::Endpoint remote) {
    auto connected = co_await stream->async_connect(io::to_tcp(remote), io::use_tuple);
    auto error = std::get<0>(connected);
    const auto alive = [&] { return !stopped_ && streams_.contains(id); };
    if (!error && alive()) {
        stream->set_option(tcp::no_delay{true}, error);
        stream->non_blocking(true, error);
        check_.handle_opened(id, io::from_asio(stream->local_endpoint(error)), io::now());
        drain();
    }
    std::array<std::uint8_t, kReadBuffer> buffer{};
    while (!error && alive()) {
        auto read = co_await stream->async_read_some(asio::buffer(buffer), io::use_tuple);
        error = std::get<0>(read);
        if (!error && alive()) {
            check_.handle_received(id, remote, ByteView{buffer}.first(std::get<1>(read)), io::now());
            drain();
        }
    }
    if (alive()) {
        log::debug("netcheck: TCP {}: {}", remote.text(), error.message());
        streams_.erase(id);
        check_.handle_failed(id, io::now());
        drain();
    }
}

void NetcheckDriver::Impl::perform(const netcheck::Send& send) {
    if (const auto found = datagrams_.find(send.socket); found != datagrams_.end()) {
        found->second->send(send.to, send.payload, send.ttl);
        return;
    }
    const auto found = streams_.find(send.socket);
    if (found == streams_.end()) {
        return;
    }
    // A request or two fit into the buffer of a fresh connection.
    boost::system::error_code error;
    const auto written = found->second->write_some(asio::buffer(send.payload), error);
    if (error || written != send.payload.size()) {
        log::debug("netcheck: TCP {}: not all was sent", send.to.text());
        perform(netcheck::Close{send.socket});
        check_.handle_failed(send.socket, io::now());
    }
}

void NetcheckDriver::Impl::perform(const netcheck::Close& close) {
    if (const auto datagram = datagrams_.find(close.socket); datagram != datagrams_.end()) {
        datagram->second->close();
        datagrams_.erase(datagram);
    } else if (const auto stream = streams_.find(close.socket); stream != streams_.end()) {
        boost::system::error_code ignored;
        stream->second->close(ignored);
        streams_.erase(stream);
    }
}

void NetcheckDriver::Impl::rearm() {
    if (stopped_) {
        return;
    }
    const auto next = check_.next_timeout();
    if (next == armed_) {
        return;
    }
    armed_ = next;
    timer_.cancel();
    if (!next) {
        return;
    }
    timer_.expires_at(io::to_steady(*next));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        if (const auto self = weak.lock(); self && !error && !self->stopped_) {
            self->armed_.reset();
            self->check_.handle_timeout(io::now());
            self->drain();
        }
    });
}

NetcheckDriver::NetcheckDriver(const asio::any_io_executor& executor, Config config, Rng& rng, OnEvent on_event)
    : impl_(std::make_shared<Impl>(executor, std::move(config), rng, std::move(on_event))) {}

NetcheckDriver::~NetcheckDriver() {
    impl_->stop();
}

void NetcheckDriver::start() {
    impl_->start();
}

void NetcheckDriver::stop() {
    impl_->stop();
}

const net::NetReport& NetcheckDriver::report() const {
    return impl_->report();
}

}  // namespace pinhole::shell
