// Node's part that has to do with relays: when one is needed, what is offered of it, and what comes in over it.
#include "common/io/clock.hpp"
#include "peer/shell/node_impl.hpp"

#include <algorithm>

namespace pinhole::shell {

void Node::Impl::start_relays() {
    relays_ = std::make_shared<Relays>(io_.get_executor(), config_.bind, rng_);
    const auto guarded = [weak = weak_from_this()](auto action) {
        return [weak, action](const auto&... args) {
            if (const auto self = weak.lock(); self && !self->stopped_) {
                action(*self, args...);
            }
        };
    };
    relays_->start(
        {.found = guarded([](Impl& node, const net::Candidate& candidate) {
             for (const auto& [id, session] : node.sessions_) {
                 session->add_local_candidate(candidate, io::now());
                 node.dirty_.insert(id);
             }
             node.pump();
         }),
         .settled = guarded([](Impl& node) { node.handle_relays_settled(); }),
         .datagram = guarded([](Impl& node, const net::Received& datagram) { node.handle_relayed(datagram); }),
         .batch_over = guarded([](Impl& node) { node.pump(); })});
}

// The local end is an address of the relay: it names none of our sockets, though one may have its port.
void Node::Impl::handle_relayed(const net::Received& datagram) {
    if (datagram.payload.empty()) {
        return;
    }
    if (datagram.payload.front() > 3) {
        handle_datagram(datagram);
        return;
    }
    for (const auto& [id, session] : sessions_) {
        session->handle_stun(datagram.path, datagram.payload, io::now());
        dirty_.insert(id);
    }
}

void Node::Impl::handle_relays_settled() {
    if (!candidates_complete()) {
        return;
    }
    for (const auto& [id, session] : sessions_) {
        session->end_of_local_candidates();
        dirty_.insert(id);
    }
    pump();
}

void Node::Impl::permit_at_relay(const signaling::ToPeer& message) {
    if (const auto* incoming = std::get_if<signaling::Incoming>(&message)) {
        relays_->permit(incoming->candidates);
    } else if (const auto* answered = std::get_if<signaling::Answered>(&message)) {
        relays_->permit(answered->candidates);
    } else if (const auto* trickle = std::get_if<signaling::Trickle>(&message)) {
        relays_->permit(trickle->candidates);
    }
}

void Node::Impl::want_relay() {
    const bool allowed = std::ranges::find(config_.without, net::Strategy::relay) == config_.without.end();
    relays_->want(allowed && !sessions_.empty());
}

std::vector<net::Candidate> Node::Impl::candidates() const {
    auto candidates = relays_->candidates();
    const auto own = gathering_.candidates();
    candidates.insert(candidates.end(), own.begin(), own.end());
    return candidates;
}

bool Node::Impl::candidates_complete() const {
    return !gathering_.under_way() && !relays_->under_way();
}

void Node::Impl::note_transport(session::Event& event) const {
    if (auto* path = std::get_if<session::PathInUse>(&event)) {
        if (const auto transport = relays_->transport_of(path->addresses.local)) {
            path->transport = name(*transport);
        }
    }
}

}  // namespace pinhole::shell
