// Our own connectivity checks: RFC 8445 §6.1.4 (scheduling), §7.2 (client).
#include "common/stun/integrity.hpp"
#include "peer/ice/agent_impl.hpp"
#include "peer/ice/messages.hpp"

#include <utility>

namespace pinhole::ice {

// Every slot of Ta carries at most one packet: a triggered check or nomination first, then a retransmission that is due
// and an ordinary check in turns, so that neither starves the other. Answers and consent are not paced.
bool Agent::Impl::send_one(TimePoint now) {
    if (!remote_) {
        return false;
    }
    if (auto* triggered = checklist_.pop_triggered()) {
        start_check(*triggered, now);
        return true;
    }
    auto* repeated = transactions_.due(now);
    if (repeated != nullptr && (ordinary_last_ || !checklist_.has_ordinary())) {
        ordinary_last_ = false;
        transmit(repeated->path, repeated->message);
        Transactions::resent(*repeated, now);
        return true;
    }
    if (auto* ordinary = checklist_.next_ordinary()) {
        ordinary_last_ = true;
        start_check(*ordinary, now);
        return true;
    }
    return false;
}

// Deviation from RFC 8445 §6.1.4.2: of each kind of relayed pair one goes along with the first checks instead of behind
// all others. The relay is the path that works first if any does, and data need not wait for a better one.
void Agent::Impl::send_relayed(TimePoint now) {
    if (auto* relayed = remote_ ? checklist_.next_relayed() : nullptr) {
        start_check(*relayed, now);
    }
}

void Agent::Impl::start_check(Pair& pair, TimePoint now) {
    transactions_.cancel(pair.path);
    if (!pair.valid()) {
        pair.state = PairState::in_progress;
    }
    if (!std::exchange(pair.checked, true)) {
        ++pairs_checked_;
        tcp_pairs_checked_ += pair.path.transport == net::Transport::tcp ? 1 : 0;
    }
    send_request({.path = pair.path,
                  .nominating = role_ == Role::controlling && pair.nominate,
                  .open = pair.heard || pair.valid(),
                  .priority = reflexive_priority(pair.local_priority, pair.path.transport)},
                 now);
}

void Agent::Impl::send_request(Transaction transaction, TimePoint now) {
    transaction.id = stun::TransactionId::generate(*rng_);
    transaction.role = role_;
    // RFC 8445 §7.2.2: the username that the other side expects, and its password.
    transaction.message = build_check({.id = transaction.id,
                                       .username = remote_->ufrag + ':' + config_.local.ufrag,
                                       .priority = transaction.priority,
                                       .role = role_,
                                       .tie_breaker = tie_breaker_,
                                       .use_candidate = transaction.nominating},
                                      remote_->pwd);
    transmit(transaction.path, transaction.message);
    transactions_.add(std::move(transaction), now);
}

void Agent::Impl::handle_response(const net::PathAddresses& path, const stun::MessageView& message, TimePoint now) {
    const auto* known = transactions_.find(message.transaction_id());
    if (known == nullptr || !remote_ || !stun::verify_integrity(message, stun::short_term_key(remote_->pwd))) {
        return;
    }
    const Transaction asked = *known;
    transactions_.erase(asked.id);
    const auto mapped = message.xor_mapped_address();
    const bool success = message.message_class() == stun::MessageClass::success;
    if (!message.unknown_required().empty() || (success && !mapped)) {
        fail_pair(asked);
        return;
    }
    // RFC 8445 §7.2.5.2.1: the answer must come from where the question went.
    if (path != asked.path && splits_.pair_of(path) != asked.path) {
        fail_pair(asked);
        if (success) {
            note_split(asked, path.remote, now);
        }
        return;
    }
    if (success) {
        consent_.refresh(asked.path, now);
        spare_consent_.refresh(asked.path, now);
        handle_success(asked, *mapped, now);
        return;
    }
    const auto error = message.error_code();
    if (error && error->code == kRoleConflict) {
        handle_conflict(asked, now);
    } else {
        fail_pair(asked);
    }
}

// RFC 8445 §7.2.5.3
void Agent::Impl::handle_success(const Transaction& asked, const net::Endpoint& mapped, TimePoint now) {
    auto* pair = checklist_.find(asked.path);
    if (pair == nullptr || asked.kind == Transaction::Kind::consent) {
        return;
    }
    // A nomination under way goes on: the answer to an earlier plain check does not stand for it.
    transactions_.cancel_plain(asked.path);
    pair->rtt = now - asked.sent_at;
    pair->local_type = checklist_.learn_local(mapped, asked.path, asked.priority);
    const bool already_valid = pair->valid();
    pair->state = PairState::succeeded;
    checklist_.thaw(pair->foundation);
    if (!already_valid) {
        give_up_at_.reset();
        if (!nominate_at_) {
            nominate_at_ = now + 100ms + pair->rtt;
        }
        events_.emplace_back(Validated{.pair = checklist_.describe(*pair)});
        choose_spare(now);
    }
    // RFC 8445 §7.2.5.3.4 and §7.3.1.5. A nomination that a better one has replaced still counts while nothing is
    // selected.
    const bool ours = role_ == Role::controlling && asked.nominating && (nominated_ == pair->path || !selected_);
    if (ours || (role_ == Role::controlled && pair->peer_nominated)) {
        pair->nominate = false;
        pair->peer_nominated = false;
        select(*pair, now);
    }
}

// RFC 8445 §7.2.5.1
void Agent::Impl::handle_conflict(const Transaction& asked, TimePoint now) {
    if (asked.role == role_) {
        switch_role(role_ == Role::controlling ? Role::controlled : Role::controlling);
        tie_breaker_ = rng_->u64();  // §7.1.3
    }
    auto* pair = checklist_.find(asked.path);
    if (pair != nullptr && asked.kind == Transaction::Kind::check && !pair->valid()) {
        checklist_.trigger(*pair);
        extend_checks(now);
    }
}

void Agent::Impl::switch_role(Role role) {
    role_ = role;
    checklist_.set_role(role);
    nominated_ = role == Role::controlling ? selected_ : std::nullopt;
}

void Agent::Impl::expire_transactions(TimePoint now) {
    while (const auto expired = transactions_.expire(now)) {
        fail_pair(*expired);
    }
}

void Agent::Impl::fail_pair(const Transaction& asked) {
    auto* pair = checklist_.find(asked.path);
    // The answer to a nomination decides about a valid pair; the remains of an earlier check do not.
    if (pair == nullptr || asked.kind == Transaction::Kind::consent || asked.cancelled ||
        (pair->valid() && !asked.nominating)) {
        return;
    }
    transactions_.cancel(asked.path);
    pair->state = PairState::failed;
    pair->nominate = false;
    if (spare_ == asked.path) {
        lose_spare();
    }
    if (nominated_ == asked.path) {
        nominated_ = selected_ == asked.path ? std::nullopt : selected_;
    }
}

// Deviation from RFC 8445 §7.2.5.2.1: if the other side has checked us from the very endpoint that we asked, then its
// answer left by another mapping because our question had come by another one than its check went to. Both NATs map by
// destination port, and so it goes on: whoever answers a new port does so from a new one. Such an answer has proven
// both directions all the same.
void Agent::Impl::note_split(const Transaction& asked, const net::Endpoint& source, TimePoint now) {
    const auto* pair = checklist_.find(asked.path);
    const auto* latest = splits_.latest();
    const auto* tried = latest == nullptr ? nullptr : checklist_.find(latest->pair);
    const bool busy = tried != nullptr && tried->state != PairState::failed;
    if (busy || pair == nullptr || !pair->heard || pair->valid() || asked.kind != Transaction::Kind::check ||
        source.address != asked.path.remote.address || checklist_.best_valid() != nullptr) {
        return;
    }
    // So long a pair takes that is the same both ways: our check to `source`, after the other side's from there.
    splits_.note({.pair = asked.path, .source = source}, now + 100ms + (now - asked.sent_at));
}

// The pair is checked again: the other side's NAT may have forgotten who was let in, and the answer to the other side's
// own check on this pair goes to where it can be expected from now on.
void Agent::Impl::adopt_split(TimePoint now) {
    const auto split = splits_.take_due(now);
    if (!split || checklist_.best_valid() != nullptr) {
        return;
    }
    const auto priority = net::candidate_priority(net::CandidateType::peer_reflexive, 0);
    auto* pair = checklist_.learn_remote(split->pair, priority) ? checklist_.find_or_add(split->pair) : nullptr;
    if (pair != nullptr) {
        splits_.adopt(*split);
        checklist_.mark_split(*pair);
        checklist_.trigger(*pair);
        extend_checks(now);
    }
}

}  // namespace pinhole::ice
