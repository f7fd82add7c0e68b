#include "peer/shell/node.hpp"

#include "common/base/limits.hpp"
#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "common/io/interfaces.hpp"
#include "common/io/tokens.hpp"
#include "common/io/udp_socket.hpp"
#include "peer/session/errors.hpp"
#include "peer/shell/candidates.hpp"
#include "peer/shell/server_connection.hpp"

#include <map>
#include <set>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pinhole::shell {

namespace asio = boost::asio;

namespace {

/// A reflexive address older than this is asked for again when a call begins: NATs forget UDP mappings after 30 s
/// (connectivity in the wild), and half of that leaves room for the call itself.
constexpr Duration kReflexiveFresh = 15s;
/// Sessions at once, incoming ones included.
constexpr std::size_t kMaxSessions = 64;
/// One full UDP GSO send.
constexpr std::size_t kSendBuffer = 64 * 1024;
constexpr std::size_t kConnectionIdOffset = 1;

std::uint64_t connection_id_of(ByteView packet) {
    ByteReader reader{packet.subspan(kConnectionIdOffset)};
    return reader.u64().value_or(0);
}

}  // namespace

class Node::Impl : public std::enable_shared_from_this<Impl> {
  public:
    Impl(asio::io_context& io, NodeConfig config, NodeHandler& handler)
        : io_(io),
          config_(std::move(config)),
          handler_(handler),
          timer_(io),
          gatherer_(rng_),
          send_buffer_(kSendBuffer) {}

    Status start();
    SessionId call(const crypto::PeerId& peer, std::uint8_t services);
    void close(SessionId id, session::Goodbye goodbye);
    void stop();
    void kick(SessionId id);

    [[nodiscard]] session::Session* find(SessionId id) {
        const auto found = sessions_.find(id);
        return found == sessions_.end() ? nullptr : found->second.get();
    }

    [[nodiscard]] bool online() const { return server_ && server_->online(); }

  private:
    Status open_sockets();
    asio::awaitable<void> receive_loop(std::shared_ptr<io::UdpSocket> socket);
    void handle_datagram(const net::Received& datagram);
    void handle_resolved(const std::vector<net::Endpoint>& endpoints);
    void handle_server_event(const session::SignalingClient::Event& event);
    void handle_message(const signaling::ToPeer& message);
    void handle_incoming(const signaling::Incoming& incoming);
    void gather();
    void drain_gatherer();
    void learn(const ice::Reflexive& answer);
    SessionId add(std::unique_ptr<session::Session> session);
    void drain(SessionId id);
    void send_packets(session::Session& session);
    void send(const net::PathAddresses& path, ByteView payload, std::size_t segment, net::Ecn ecn,
              session::Session* session);
    void pump();
    void rearm();
    void handle_timer();
    [[nodiscard]] session::SessionConfig session_config(const crypto::PeerId& remote, std::uint8_t services) const;
    [[nodiscard]] std::vector<net::Candidate> local_candidates() const;
    [[nodiscard]] io::UdpSocket* socket_for(net::Family family) const;

    asio::io_context& io_;
    NodeConfig config_;
    NodeHandler& handler_;
    crypto::SystemRng rng_;
    asio::steady_timer timer_;
    std::optional<TimePoint> armed_;
    std::shared_ptr<ServerConnection> server_;
    std::map<net::Family, std::shared_ptr<io::UdpSocket>> sockets_;
    std::vector<net::Endpoint> server_endpoints_;
    std::vector<net::Candidate> hosts_;
    std::map<net::Endpoint, net::Candidate> reflexives_;  ///< by base
    std::optional<net::Endpoint> reflexive_;
    std::optional<TimePoint> gathered_at_;
    bool gathering_ = false;
    ice::Gatherer gatherer_;
    session::ReplayGuard replay_guard_;
    std::map<SessionId, std::unique_ptr<session::Session>> sessions_;
    std::map<std::uint64_t, SessionId> by_connection_;
    std::set<SessionId> dirty_;
    std::uint64_t next_session_ = 1;
    bool pumping_ = false;
    bool stopped_ = false;
    Bytes send_buffer_;
};

Status Node::Impl::start() {
    if (auto status = open_sockets(); !status) {
        return status;
    }
    for (const auto& [family, socket] : sockets_) {
        io::spawn(io_.get_executor(), "UDP receiver", receive_loop(socket));
    }
    server_ = std::make_shared<ServerConnection>(
        io_, config_.server,
        session::SignalingClient::Config{.identity = config_.identity,
                                         .pinned = config_.pinned_server_key,
                                         .agent = std::string{"pinhole/"} + PINHOLE_VERSION},
        rng_);
    const std::weak_ptr<Impl> weak = weak_from_this();
    const auto guarded = [weak](auto member) {
        return [weak, member](const auto&... args) {
            if (const auto self = weak.lock(); self && !self->stopped_) {
                ((*self).*member)(args...);
            }
        };
    };
    server_->start({.resolved = guarded(&Impl::handle_resolved),
                    .event = guarded(&Impl::handle_server_event),
                    .timers_changed = guarded(&Impl::rearm)});
    return {};
}

Status Node::Impl::open_sockets() {
    Error last;
    for (const auto family : {net::Family::v4, net::Family::v6}) {
        if (config_.bind && config_.bind->family() != family) {
            continue;
        }
        const auto address = config_.bind.value_or(net::Address::any(family));
        auto socket = io::UdpSocket::open(io_.get_executor(), {.address = address, .port = 0});
        if (socket) {
            sockets_.emplace(family, std::make_shared<io::UdpSocket>(*std::move(socket)));
        } else {
            last = socket.error();
        }
    }
    if (sockets_.empty()) {
        return std::unexpected(last);
    }
    return {};
}

void Node::Impl::handle_resolved(const std::vector<net::Endpoint>& endpoints) {
    server_endpoints_ = endpoints;
    hosts_.clear();
    if (endpoints.empty()) {
        return;
    }
    const auto addresses =
        usable_addresses(io::local_addresses(/*include_loopback=*/true), endpoints.front().address, config_.bind);
    for (const auto& [family, socket] : sockets_) {
        const auto candidates = host_candidates(addresses, family, socket->port());
        hosts_.insert(hosts_.end(), candidates.begin(), candidates.end());
    }
    gather();
}

void Node::Impl::gather() {
    if (gathering_) {
        return;
    }
    const auto now = io::now();
    std::set<net::Family> asked;
    gatherer_ = ice::Gatherer{rng_};
    for (const auto& server : server_endpoints_) {
        const auto family = server.address.family();
        const auto* socket = socket_for(family);
        if (socket == nullptr || !asked.insert(family).second) {
            continue;
        }
        if (const auto source = source_address_for(server)) {
            gatherer_.add({.local = {.address = *source, .port = socket->port()}, .remote = server}, now);
        }
    }
    gathering_ = true;
    gatherer_.finish_adding(now);
    drain_gatherer();
}

void Node::Impl::drain_gatherer() {
    while (const auto transmit = gatherer_.poll_transmit()) {
        send(transmit->path, transmit->payload, transmit->payload.size(), net::Ecn::not_ect, nullptr);
    }
    while (const auto event = gatherer_.poll_event()) {
        if (const auto* answer = std::get_if<ice::Reflexive>(&*event)) {
            learn(*answer);
        } else {
            gathering_ = false;
            gathered_at_ = io::now();
            for (const auto& [id, session] : sessions_) {
                session->end_of_local_candidates();
                dirty_.insert(id);
            }
        }
    }
    pump();
}

void Node::Impl::learn(const ice::Reflexive& answer) {
    if (!reflexive_ || answer.reflexive.address.is_v4()) {
        reflexive_ = answer.reflexive;
    }
    reflexives_.erase(answer.path.local);
    const auto candidate = reflexive_candidate(answer);
    if (!candidate) {
        return;
    }
    reflexives_.emplace(answer.path.local, *candidate);
    for (const auto& [id, session] : sessions_) {
        session->add_local_candidate(*candidate, io::now());
        dirty_.insert(id);
    }
}

asio::awaitable<void> Node::Impl::receive_loop(std::shared_ptr<io::UdpSocket> socket) {
    const auto self = shared_from_this();
    while (!stopped_) {
        const auto error = co_await socket->wait_readable();
        if (stopped_) {
            co_return;
        }
        if (error) {
            log::debug("UDP receive: {}", error.message());
            continue;
        }
        socket->receive([this](const net::Received& datagram) { handle_datagram(datagram); });
        pump();
    }
}

void Node::Impl::handle_datagram(const net::Received& datagram) {
    if (datagram.payload.empty()) {
        return;
    }
    const auto now = io::now();
    const auto first = datagram.payload.front();
    if (first <= 3) {  // RFC 7983 §7: STUN
        if (gatherer_.handle_datagram(datagram.path, datagram.payload, now)) {
            drain_gatherer();
            return;
        }
        for (const auto& [id, session] : sessions_) {
            session->handle_stun(datagram.path, datagram.payload, now);
            dirty_.insert(id);
        }
    } else if ((first & 0xf0U) == 0xd0U && datagram.payload.size() > kConnectionIdOffset + 8) {
        const auto found = by_connection_.find(connection_id_of(datagram.payload));
        if (found != by_connection_.end()) {
            sessions_.at(found->second)->handle_packet(datagram, now);
            dirty_.insert(found->second);
        }
    }
}

void Node::Impl::handle_server_event(const session::SignalingClient::Event& event) {
    if (const auto* online = std::get_if<session::SignalingClient::Online>(&event)) {
        handler_.on_online(*online, reflexive_);
    } else if (const auto* lost = std::get_if<session::SignalingClient::Lost>(&event)) {
        handler_.on_server_lost(lost->error, lost->was_online);
    } else if (const auto* message = std::get_if<signaling::ToPeer>(&event)) {
        handle_message(*message);
    }
    pump();
}

void Node::Impl::handle_message(const signaling::ToPeer& message) {
    if (const auto* incoming = std::get_if<signaling::Incoming>(&message)) {
        handle_incoming(*incoming);
        return;
    }
    const auto call = std::visit(
        [](const auto& body) -> std::optional<signaling::CallId> {
            if constexpr (requires { body.call; }) {
                return body.call;
            } else {
                return std::nullopt;
            }
        },
        message);
    for (const auto& [id, session] : sessions_) {
        if (call && session->call_id() == *call) {
            session->handle_signaling(message, wall_now(), io::now());
            dirty_.insert(id);
        }
    }
}

void Node::Impl::handle_incoming(const signaling::Incoming& incoming) {
    using enum signaling::EndReason;
    if (sessions_.size() >= kMaxSessions) {
        server_->send(signaling::End{.call = incoming.call, .reason = limit});
        return;
    }
    auto read = session::read_call(incoming, *config_.identity, rng_);
    if (!read) {
        log::info("dropped an incoming call: {}", read.error().error.message());
        server_->send(read.error().end);
        return;
    }
    const auto from = read->offer.from;
    switch (handler_.on_call(from, static_cast<std::uint8_t>(read->offer.services & config_.services))) {
        case CallDecision::take:
            break;
        case CallDecision::refuse:
            server_->send(signaling::End{.call = incoming.call, .reason = refused});
            return;
        case CallDecision::not_here:
            server_->send(signaling::End{.call = incoming.call, .reason = unwanted});
            return;
        case CallDecision::ignore:
            return;
    }
    if (const auto fresh = session::check_age(incoming, *read, replay_guard_, wall_now()); !fresh) {
        server_->send(fresh.error().end);
        return;
    }
    auto session = std::make_unique<session::Session>(session_config(from, config_.services), incoming.call,
                                                      local_candidates(), rng_);
    auto& answering = *session;
    const auto id = add(std::move(session));
    handler_.on_answering(id, from);
    answering.answer(*std::move(read), io::now());
    pump();
}

session::SessionConfig Node::Impl::session_config(const crypto::PeerId& remote, std::uint8_t services) const {
    session::SessionConfig config;
    config.identity = config_.identity;
    config.remote = remote;
    config.services = services;
    config.path_patience = config_.path_patience;
    return config;
}

SessionId Node::Impl::call(const crypto::PeerId& peer, std::uint8_t services) {
    auto session = std::make_unique<session::Session>(session_config(peer, services), signaling::CallId{rng_.u64()},
                                                      local_candidates(), rng_);
    auto& calling = *session;
    const auto id = add(std::move(session));
    calling.call(wall_now(), io::now());
    kick(id);
    return id;
}

SessionId Node::Impl::add(std::unique_ptr<session::Session> session) {
    const SessionId id{next_session_++};
    by_connection_.emplace(session->connection_id(), id);
    auto& added = *sessions_.emplace(id, std::move(session)).first->second;
    const bool fresh = gathered_at_ && io::now() - *gathered_at_ < kReflexiveFresh;
    if (!fresh && !gathering_) {
        gather();
    }
    if (!gathering_) {
        added.end_of_local_candidates();
    }
    dirty_.insert(id);
    return id;
}

std::vector<net::Candidate> Node::Impl::local_candidates() const {
    auto candidates = hosts_;
    for (const auto& [base, candidate] : reflexives_) {
        candidates.push_back(candidate);
    }
    return candidates;
}

void Node::Impl::close(SessionId id, session::Goodbye goodbye) {
    if (auto* session = find(id)) {
        session->close(goodbye, io::now());
        kick(id);
    }
}

void Node::Impl::kick(SessionId id) {
    dirty_.insert(id);
    if (pumping_) {
        return;
    }
    pump();
}

void Node::Impl::pump() {
    if (pumping_ || stopped_) {
        return;
    }
    pumping_ = true;
    while (!dirty_.empty() && !stopped_) {
        const auto id = *dirty_.begin();
        dirty_.erase(dirty_.begin());
        drain(id);
    }
    pumping_ = false;
    rearm();
}

void Node::Impl::drain(SessionId id) {
    auto* session = find(id);
    if (session == nullptr) {
        return;
    }
    bool more = true;
    while (more && !stopped_) {
        more = false;
        while (auto event = session->poll_event()) {
            handler_.on_session(id, *event);
            if (stopped_) {
                return;
            }
        }
        while (const auto message = session->poll_signaling()) {
            server_->send(*message);
        }
        while (const auto transmit = session->poll_stun()) {
            send(transmit->path, transmit->payload, transmit->payload.size(), net::Ecn::not_ect, session);
        }
        send_packets(*session);
        if (auto event = session->poll_event()) {
            handler_.on_session(id, *event);
            more = true;
        }
    }
    if (session->over()) {
        by_connection_.erase(session->connection_id());
        sessions_.erase(id);
    }
}

void Node::Impl::send_packets(session::Session& session) {
    while (const auto batch = session.poll_packets(send_buffer_, io::now())) {
        send(batch->path, ByteView{send_buffer_}.first(batch->size), batch->segment_size, batch->ecn, &session);
    }
}

void Node::Impl::send(const net::PathAddresses& path, ByteView payload, std::size_t segment, net::Ecn ecn,
                      session::Session* session) {
    auto* socket = socket_for(path.remote.address.family());
    if (socket == nullptr) {
        return;
    }
    // What the kernel does not take is lost, as on the network: the protocols above repeat it.
    if (socket->send(path, payload, segment, ecn) == io::SendResult::too_big && session != nullptr &&
        session->transport() != nullptr) {
        session->transport()->handle_mtu_exceeded(segment, io::now());
    }
}

io::UdpSocket* Node::Impl::socket_for(net::Family family) const {
    const auto found = sockets_.find(family);
    return found == sockets_.end() ? nullptr : found->second.get();
}

void Node::Impl::rearm() {
    if (stopped_) {
        return;
    }
    auto next = earliest(gatherer_.next_timeout(), server_ ? server_->next_timeout() : std::nullopt);
    for (const auto& [id, session] : sessions_) {
        next = earliest(next, session->next_timeout());
    }
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
            self->handle_timer();
        }
    });
}

void Node::Impl::handle_timer() {
    armed_.reset();
    const auto now = io::now();
    server_->handle_timeout(now);
    gatherer_.handle_timeout(now);
    drain_gatherer();
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
        server_->stop();
    }
    for (const auto& [family, socket] : sockets_) {
        socket->close();
    }
}

Node::Node(asio::io_context& io, NodeConfig config, NodeHandler& handler)
    : impl_(std::make_shared<Impl>(io, std::move(config), handler)) {}

Node::~Node() {
    impl_->stop();
}

Status Node::start() {
    return impl_->start();
}

SessionId Node::call(const crypto::PeerId& peer, std::uint8_t services) {
    return impl_->call(peer, services);
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
