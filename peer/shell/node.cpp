#include "peer/shell/node.hpp"

#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "common/io/interfaces.hpp"
#include "peer/session/errors.hpp"
#include "peer/shell/node_impl.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::shell {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kConnectionIdOffset = 1;
/// More than two readings of two clocks differ by.
constexpr Duration kSlept = 5s;

std::uint64_t connection_id_of(ByteView packet) {
    ByteReader reader{packet.subspan(kConnectionIdOffset)};
    return reader.u64().value_or(0);
}

}  // namespace

Status Node::Impl::start() {
    if (auto status = sockets_->open(config_.bind); !status) {
        return status;
    }
    const std::weak_ptr<Impl> weak = weak_from_this();
    const auto guarded = [weak](auto member) {
        return [weak, member](const auto&... args) {
            if (const auto self = weak.lock(); self && !self->stopped_) {
                ((*self).*member)(args...);
            }
        };
    };
    sockets_->start({.owner = weak,
                     .datagram = [this](const net::Received& datagram) { handle_datagram(datagram); },
                     .batch_over = [this]() -> std::optional<TimePoint> {
                         if (stopped_) {
                             return std::nullopt;
                         }
                         pump();
                         return next_receive();
                     }});
    start_tcp();
    server_ = std::make_shared<ServerConnection>(
        io_, config_.server,
        session::SignalingClient::Config{.identity = config_.identity,
                                         .pinned = config_.pinned_server_key,
                                         .agent = std::string{"pinhole/"} + PINHOLE_VERSION},
        rng_);
    start_reporter();
    start_relays();
    watch_.emplace(io_.get_executor(), guarded(&Impl::handle_network_changed));
    if (const auto status = watch_->start(); !status) {
        log::info("changes of the network will not be noticed: {}", status.error().message());
    }
    server_->start({.resolved = guarded(&Impl::handle_resolved),
                    .event = guarded(&Impl::handle_server_event),
                    .timers_changed = guarded(&Impl::rearm)});
    return {};
}

// Without a port for TCP there are no paths over it, and all else goes on.
void Node::Impl::start_tcp() {
    if (const auto status = tcp_->open(config_.bind); !status) {
        log::info("no connections over TCP: {}", status.error().message());
        return;
    }
    const std::weak_ptr<Impl> weak = weak_from_this();
    tcp_->start({.datagram =
                     [weak](const net::Received& datagram) {
                         if (const auto self = weak.lock()) {
                             self->handle_datagram(datagram);
                         }
                     },
                 .batch_over =
                     [weak] {
                         if (const auto self = weak.lock()) {
                             self->pump();
                         }
                     },
                 .failed =
                     [weak](const net::PathAddresses& path) {
                         if (const auto self = weak.lock()) {
                             self->handle_path_failed(path);
                         }
                     },
                 .expecting =
                     [weak] {
                         const auto self = weak.lock();
                         return self && !self->sessions_.empty();
                     }});
}

void Node::Impl::start_reporter() {
    const auto busy = [this] {
        return std::ranges::any_of(sessions_, [](const auto& entry) { return !entry.second->connected(); });
    };
    reporter_ = std::make_shared<NetReporter>(
        io_.get_executor(),
        NetReporter::Config{.server = config_.server.host + ':' + std::to_string(config_.server.port),
                            .bind = config_.bind,
                            .cache = config_.report_cache},
        rng_,
        NetReporter::Callbacks{.send = [this](const auto& message) { server_->send(message); },
                               .busy = busy,
                               .reported = [this](const auto& report) { handle_reported(report); }});
}

void Node::Impl::handle_network_changed() {
    const auto now = io::now();
    gathering_.handle_network_changed(now);
    drain_gathering();
    relays_->handle_network_changed();
    reporter_->handle_network_changed();
    server_->handle_network_changed(io::local_addresses(/*include_loopback=*/true), now);
    for (const auto& [id, session] : sessions_) {
        session->handle_network_changed(now);
        dirty_.insert(id);
    }
    handler_.on_network_changed();
    pump();
}

// NATs have forgotten us, the server has given us up, and the other sides may be about to.
void Node::Impl::notice_sleep() {
    const auto before = std::exchange(suspended_, io::time_suspended());
    if (suspended_ - before < kSlept) {
        return;
    }
    log::info("awake again after {:.0f} s", seconds(suspended_ - before));
    server_->handle_network_changed({}, io::now());
    handle_network_changed();
}

void Node::Impl::tell_sessions_of_server(bool online) {
    for (const auto& [id, session] : sessions_) {
        session->handle_server(online, io::now());
        dirty_.insert(id);
    }
}

void Node::Impl::handle_resolved(const std::vector<net::Endpoint>& endpoints) {
    const auto v4 = std::ranges::find_if(endpoints, [](const auto& server) { return server.address.is_v4(); });
    stun_ = v4 == endpoints.end() ? std::nullopt : std::optional{*v4};
    reporter_->handle_servers(endpoints);
    relays_->handle_servers(endpoints);
    watch_->set_destinations({endpoints.front().address});
    gathering_.handle_servers(endpoints, io::now());
    drain_gathering();
}

void Node::Impl::drain_gathering() {
    while (const auto transmit = gathering_.poll_transmit()) {
        if (transmit->path.transport == net::Transport::tcp) {
            tcp_->ask(transmit->path, transmit->payload);
        } else {
            send(transmit->path, transmit->payload, transmit->payload.size(), net::Ecn::not_ect, nullptr);
        }
    }
    while (const auto event = gathering_.poll_event()) {
        const auto* found = std::get_if<Gathering::Found>(&*event);
        for (const auto& [id, session] : sessions_) {
            if (found != nullptr) {
                session->add_local_candidate(found->candidate, io::now());
            } else if (candidates_complete()) {
                session->end_of_local_candidates();
            }
            dirty_.insert(id);
        }
        if (found == nullptr) {
            reporter_->handle_reflexive(gathering_.reflexive());
            for (const auto id : std::exchange(unplaced_, {})) {
                place(id);
            }
        }
    }
    pump();
}

void Node::Impl::handle_datagram(const net::Received& datagram) {
    if (stopped_ || datagram.payload.empty()) {
        return;
    }
    const auto now = io::now();
    const auto first = datagram.payload.front();
    if (first <= 3) {  // RFC 7983 §7: STUN
        handle_stun(datagram, now);
    } else if ((first & 0xf0U) == 0xd0U && datagram.payload.size() > kConnectionIdOffset + 8) {
        const auto found = by_connection_.find(connection_id_of(datagram.payload));
        if (found != by_connection_.end()) {
            sessions_.at(found->second)->handle_packet(datagram, now);
            dirty_.insert(found->second);
        }
    }
}

void Node::Impl::handle_stun(const net::Received& datagram, TimePoint now) {
    const auto& [path, payload, ecn] = datagram;
    const bool tcp = path.transport == net::Transport::tcp;
    const auto owner = tcp ? socket_owners_.end() : socket_owners_.find(place_of(path.local));
    if (owner != socket_owners_.end()) {
        sessions_.at(owner->second)->handle_stun(path, payload, now);
        dirty_.insert(owner->second);
        return;
    }
    if (gathering_.handle_datagram(path, payload, now)) {
        drain_gathering();
        return;
    }
    for (const auto& [id, session] : sessions_) {
        session->handle_stun(path, payload, now);
        dirty_.insert(id);
        if (tcp && session->heard_on(path)) {
            tcp_->confirm(path);
        }
    }
}

void Node::Impl::handle_path_failed(const net::PathAddresses& path) {
    for (const auto& [id, session] : sessions_) {
        session->handle_path_failed(path, io::now());
        dirty_.insert(id);
    }
    pump();
}

void Node::Impl::handle_server_event(const session::SignalingClient::Event& event) {
    if (const auto* online = std::get_if<session::SignalingClient::Online>(&event)) {
        reporter_->handle_online(*online);
        relays_->handle_online();
        tell_sessions_of_server(/*online=*/true);
        handler_.on_online(*online, gathering_.reflexive());
    } else if (const auto* lost = std::get_if<session::SignalingClient::Lost>(&event)) {
        reporter_->handle_offline();
        tell_sessions_of_server(/*online=*/false);
        held_.clear();
        handler_.on_server_lost(lost->error, lost->was_online);
    } else if (const auto* message = std::get_if<signaling::ToPeer>(&event)) {
        if (const auto* list = std::get_if<signaling::Relays>(message)) {
            relays_->handle_list(*list);
        } else {
            handle_message(*message);
        }
    }
    pump();
}

void Node::Impl::rearm() {
    if (stopped_) {
        return;
    }
    auto next = earliest(gathering_.next_timeout(), server_ ? server_->next_timeout() : std::nullopt);
    next = earliest(next, earliest(held_.next_timeout(), awaited_.next_timeout()));
    for (const auto& [id, session] : sessions_) {
        next = earliest(next, session->next_timeout());
    }
    // A timer that fires too early does no harm; to move it with every packet costs a system call each time.
    if (!next || (armed_ && *armed_ <= *next)) {
        return;
    }
    armed_ = next;
    timer_.expires_at(io::to_steady(*next));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        if (const auto self = weak.lock(); self && !error && !self->stopped_) {
            self->handle_timer();
        }
    });
}

std::optional<TimePoint> Node::Impl::next_receive() {
    const auto now = io::now();
    std::optional<TimePoint> next;
    for (const auto& [id, session] : sessions_) {
        if (auto* transport = session->transport()) {
            next = earliest(next, transport->next_receive(now));
        }
    }
    return next;
}

void Node::Impl::handle_timer() {
    armed_.reset();
    const auto now = io::now();
    notice_sleep();
    server_->handle_timeout(now);
    gathering_.handle_timeout(now);
    drain_gathering();
    answer_held(/*all=*/false);
    while (const auto id = awaited_.expire(now)) {
        end_awaited(*id, {.code = session::make_error_code(session::Errc::peer_closed), .detail = {}});
    }
    for (const auto& [id, session] : sessions_) {
        const auto due = session->next_timeout();
        if (due && *due <= now) {
            session->handle_timeout(now);
            dirty_.insert(id);
        }
    }
    pump();
    rearm();
}

void Node::Impl::stop() {
    stopped_ = true;
    timer_.cancel();
    if (server_) {
        watch_->stop();
        reporter_->stop();
        relays_->stop();
        server_->stop();
    }
    sockets_->close();
    tcp_->close();
}

Node::Node(asio::io_context& io, NodeConfig config, NodeHandler& handler)
    : impl_(std::make_shared<Impl>(io, std::move(config), handler)) {}

Node::~Node() {
    impl_->stop();
}

Status Node::start() {
    return impl_->start();
}

SessionId Node::call(const crypto::PeerId& peer, std::uint8_t services, CallOptions options) {
    return impl_->call(peer, services, options);
}

transport::Connection* Node::transport(SessionId id) {
    auto* session = impl_->find(id);
    return session == nullptr ? nullptr : session->transport();
}

std::uint8_t Node::services(SessionId id) const {
    const auto* session = impl_->find(id);
    return session == nullptr ? std::uint8_t{0} : session->services();
}

void Node::kick(SessionId id) {
    impl_->kick(id);
}

void Node::close(SessionId id, session::Goodbye goodbye) {
    impl_->close(id, goodbye);
}

void Node::stop() {
    impl_->stop();
}

bool Node::online() const {
    return impl_->online();
}

}  // namespace pinhole::shell
