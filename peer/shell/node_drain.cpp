// Node's part that does what sessions ask for after each input: tells their events, opens and closes their sockets,
// sends.
#include "common/base/log.hpp"
#include "common/io/clock.hpp"
#include "peer/shell/node_impl.hpp"

namespace pinhole::shell {

namespace {

/// Sockets of one session: what a plan may ask for, and two that sample.
constexpr std::size_t kMaxSocketsOfSession = net::kMaxPunchSockets + 2;

}  // namespace

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
        tell_events(id, *session);
        if (stopped_) {
            return;
        }
        serve_socket_requests(id, *session);
        while (const auto message = session->poll_signaling()) {
            server_->send(*message);
        }
        while (const auto transmit = session->poll_stun()) {
            send_stun(*transmit, *session);
        }
        send_packets(id, *session);
        more = !stopped_ && tell_events(id, *session);
        if (stopped_) {
            return;
        }
        if (session->restart_due(io::now())) {
            restart(*session);
            more = true;
        }
    }
    if (session->over()) {
        serve_socket_requests(id, *session);
        remove(id);
    }
}

/// True when there were any.
bool Node::Impl::tell_events(SessionId id, session::Session& session) {
    bool any = false;
    while (!stopped_) {
        auto event = session.poll_event();
        if (!event) {
            break;
        }
        any = true;
        note_transport(*event);
        handler_.on_session(id, *event);
    }
    return any;
}

void Node::Impl::serve_socket_requests(SessionId id, session::Session& session) {
    while (const auto request = session.poll_socket_request()) {
        if (const auto* close = std::get_if<punch::CloseSocket>(&*request)) {
            const auto place = place_of(close->local);
            const auto owner = socket_owners_.find(place);
            if (owner != socket_owners_.end() && owner->second == id) {
                sockets_->close_extra(close->local);
                socket_owners_.erase(owner);
                sockets_of_[id].erase(place);
            }
            continue;
        }
        const auto& open = std::get<punch::OpenSocket>(*request);
        auto& owned = sockets_of_[id];
        const auto local = owned.size() < kMaxSocketsOfSession && !session.over()
                               ? sockets_->open_extra(open.family)
                               : Result<net::Endpoint>{std::unexpected(Error{})};
        if (!local) {
            log::debug("no further UDP socket: {}", local.error().message());
            session.handle_socket_failed(open.token, io::now());
            continue;
        }
        owned.insert(place_of(*local));
        socket_owners_.emplace(place_of(*local), id);
        session.handle_socket(open.token, *local, io::now());
    }
}

void Node::Impl::close_sockets(SessionId id) {
    const auto owned = sockets_of_.find(id);
    if (owned == sockets_of_.end()) {
        return;
    }
    for (const auto& place : owned->second) {
        sockets_->close_extra({.address = net::Address::any(place.first), .port = place.second});
        socket_owners_.erase(place);
    }
    sockets_of_.erase(owned);
}

void Node::Impl::send_stun(const net::Transmit& transmit, session::Session& session) {
    if (transmit.ttl != 0 && transmit.path.transport == net::Transport::udp) {
        sockets_->send_with_ttl(transmit.path, transmit.payload, transmit.ttl);
    } else {
        send(transmit.path, transmit.payload, transmit.payload.size(), net::Ecn::not_ect, &session);
    }
}

void Node::Impl::send_packets(SessionId id, session::Session& session) {
    while (!stopped_) {
        const auto batch = session.poll_packets(send_buffer_, io::now());
        if (!batch) {
            return;
        }
        send(batch->path, ByteView{send_buffer_}.first(batch->size), batch->segment_size, batch->ecn, &session);
        // Whoever writes a file writes on before the stream runs dry, which would look as if there were no more of it.
        tell_events(id, session);
    }
}

void Node::Impl::send(const net::PathAddresses& path, ByteView payload, std::size_t segment, net::Ecn ecn,
                      session::Session* session) {
    // What the kernel does not take is lost, as on the network: the protocols above repeat it.
    if (path.transport == net::Transport::tcp) {
        tcp_->send(path, payload, segment);
        return;
    }
    const auto sent =
        relays_->owns(path.local) ? relays_->send(path, payload, segment) : sockets_->send(path, payload, segment, ecn);
    if (sent == io::SendResult::too_big && session != nullptr && session->transport() != nullptr) {
        session->transport()->handle_mtu_exceeded(segment, io::now());
    }
}

}  // namespace pinhole::shell
