// Checks of the other side: RFC 8445 §7.3 (server).
#include "common/stun/integrity.hpp"
#include "peer/ice/agent_impl.hpp"
#include "peer/ice/messages.hpp"

namespace pinhole::ice {

// RFC 8445 §7.3, RFC 8489 §9.1.3. Deviation: a request that is not authentic gets no 400 or 401. Whoever may ask has
// the password from signaling; to everybody else this port answers nothing.
bool Agent::Impl::authentic(const stun::MessageView& request) const {
    const auto username = request.username();
    if (!username || !stun::verify_integrity(request, stun::short_term_key(config_.local.pwd))) {
        return false;
    }
    const auto colon = username->find(':');
    if (colon == std::string_view::npos || username->substr(0, colon) != config_.local.ufrag) {
        return false;
    }
    // Before the other side's credentials are here, the password alone proves that it knows ours.
    return !remote_ || username->substr(colon + 1) == remote_->ufrag;
}

// What comes from the other end of a split path is answered where that path is sent to: an answer to its source would
// leave our NAT by yet another port.
void Agent::Impl::handle_request(const net::PathAddresses& seen, const stun::MessageView& message, TimePoint now) {
    const auto path = splits_.pair_of(seen);
    if (!authentic(message)) {
        return;
    }
    const auto& id = message.transaction_id();
    if (const auto unknown = message.unknown_required(); !unknown.empty()) {
        transmit(path, build_error(id, kUnknownAttribute, unknown, config_.local.pwd));
        return;
    }
    const auto priority = message.priority();
    if (!priority) {
        transmit(path, build_error(id, kBadRequestSyntax, {}, config_.local.pwd));
        return;
    }
    heard_anything_ = true;
    if (!settle_roles(path, message)) {
        return;
    }
    transmit(path, build_success(id, seen.remote, config_.local.pwd));
    // RFC 8445 §7.3.1.3 and §7.3.1.4
    auto* pair = checklist_.learn_remote(path, *priority) ? checklist_.find_or_add(path) : nullptr;
    if (pair == nullptr) {
        return;
    }
    pair->heard = true;
    const bool nominated = role_ == Role::controlled && message.use_candidate();
    if (!pair->valid()) {
        pair->peer_nominated = pair->peer_nominated || nominated;
        checklist_.trigger(*pair);
        extend_checks(now);
    } else if (nominated) {
        // RFC 8445 §7.3.1.5. Deviation: the latest nomination counts, so that the controlling side can move to a better
        // pair.
        select(*pair, now);
    }
}

// RFC 8445 §7.3.1.1
bool Agent::Impl::settle_roles(const net::PathAddresses& path, const stun::MessageView& request) {
    const bool controlling = role_ == Role::controlling;
    const auto claimed = controlling ? request.ice_controlling() : request.ice_controlled();
    if (!claimed) {
        return true;
    }
    // The greater number, or equality, makes controlling: whoever holds that role by right keeps it or takes it.
    const bool ours = tie_breaker_ >= *claimed;
    if (ours == controlling) {
        transmit(path, build_error(request.transaction_id(), kRoleConflict, {}, config_.local.pwd));
        return false;
    }
    switch_role(ours ? Role::controlling : Role::controlled);
    return true;
}

}  // namespace pinhole::ice
