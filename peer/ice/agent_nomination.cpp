// Which valid pair carries data: RFC 8445 §8.1.1 (regular nomination), and consent for it (RFC 7675).
#include "peer/ice/agent_impl.hpp"

#include <utility>

namespace pinhole::ice {

namespace {

/// After a pair is selected, checks of better ones go on for so long.
constexpr Duration kImprovement = 2s;
/// As long as data takes a detour, a connection over TCP may still be made: so long SYNs are repeated.
constexpr Duration kTcpImprovement = 6s;

}  // namespace

// The best valid pair, as soon as nothing better is still being checked or 100 ms and a round trip have passed since
// the first one. Deviation from RFC 8445 §8.1.1: a better pair that becomes valid later is nominated too, so that data
// moves from a detour to the direct path.
void Agent::Impl::consider_nomination(TimePoint now) {
    if (role_ != Role::controlling || !nominate_at_) {
        return;
    }
    auto* best = checklist_.best_valid();
    if (best == nullptr) {
        return;
    }
    if (const auto* chosen = nominated_ ? checklist_.find(*nominated_) : nullptr) {
        if (chosen->valid() && chosen->priority < best->priority) {
            nominate(*best);
        }
        return;
    }
    if (now >= *nominate_at_ || !checklist_.has_unsettled_above(best->priority)) {
        nominate(*best);
    }
}

std::optional<TimePoint> Agent::Impl::nomination_due() const {
    const bool pending = role_ == Role::controlling && !nominated_ && checklist_.best_valid() != nullptr;
    return pending ? nominate_at_ : std::nullopt;
}

void Agent::Impl::nominate(Pair& pair) {
    if (nominated_) {
        transactions_.cancel(*nominated_);
        if (auto* before = checklist_.find(*nominated_)) {
            before->nominate = false;
        }
    }
    nominated_ = pair.path;
    pair.nominate = true;
    checklist_.trigger(pair);
}

void Agent::Impl::select(Pair& pair, TimePoint now) {
    if (selected_ == pair.path) {
        return;
    }
    selected_ = pair.path;
    consent_.start(pair.path, now, *rng_);
    events_.emplace_back(Selected{.pair = checklist_.describe(pair)});
    choose_spare(now);
    extend_checks(now);
}

void Agent::Impl::extend_checks(TimePoint now) {
    if (!selected_) {
        return;
    }
    checks_end_ = now + kImprovement;
    if (!has_direct_path() && checklist_.tcp_pairs() > 0) {
        checks_end_ = tcp_at_.value_or(now) + kTcpImprovement;
    }
}

void Agent::Impl::finish_checks(TimePoint now) {
    if (checks_end_ && now >= *checks_end_) {
        checks_end_.reset();
        transactions_.drop_plain_checks();
        checklist_.abandon_unsettled();
    }
}

void Agent::Impl::tend_consent(TimePoint now) {
    if (consent_.expired(now)) {
        lose_consent();
    }
    const auto* pair = selected_ ? checklist_.find(*selected_) : nullptr;
    if (consent_.ask(now, *rng_) && pair != nullptr && remote_) {
        // USE-CANDIDATE again: should nominations have overtaken each other, both sides agree after one interval.
        send_request({.path = pair->path,
                      .kind = Transaction::Kind::consent,
                      .nominating = role_ == Role::controlling,
                      .priority = reflexive_priority(pair->local_priority, pair->path.transport)},
                     now);
    }
}

// RFC 7675 §5.1: nothing more may be sent there. Another valid pair may take its place if its own check succeeds.
void Agent::Impl::lose_consent() {
    consent_.stop();
    const auto lost = std::exchange(selected_, std::nullopt);
    if (!lost) {
        return;
    }
    if (nominated_ == lost) {
        nominated_.reset();
    }
    transactions_.cancel(*lost);
    if (auto* pair = checklist_.find(*lost)) {
        pair->state = PairState::failed;
        pair->nominate = false;
    }
    events_.emplace_back(ConsentLost{.path = *lost});
}

}  // namespace pinhole::ice
