#include "peer/ice/agent.hpp"

#include "peer/ice/agent_impl.hpp"
#include "peer/ice/messages.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::ice {

namespace {

/// Packets that wait for a caller who does not poll; far more than one input produces.
constexpr std::size_t kMaxTransmits = 256;
/// For connections, from their instant on: several SYNs, and a check.
constexpr Duration kTcpPatience = 7s;
/// Connections that begin at one instant.
constexpr std::size_t kMaxTcpAtOnce = 8;

template <class T>
std::optional<T> take(std::deque<T>& queue) {
    if (queue.empty()) {
        return std::nullopt;
    }
    T front = std::move(queue.front());
    queue.pop_front();
    return front;
}

// RFC 8839 §5.4
bool well_formed(const Credentials& credentials) {
    const auto& [ufrag, pwd] = credentials;
    return ufrag.size() >= 4 && ufrag.size() <= 256 && pwd.size() >= 22 && pwd.size() <= 256;
}

}  // namespace

Agent::Impl::Impl(Config config, Rng& rng)
    : config_(std::move(config)), rng_(&rng), role_(config_.role), tie_breaker_(rng.u64()), checklist_(config_.role) {}

void Agent::Impl::set_remote_credentials(Credentials remote) {
    if (well_formed(remote)) {
        remote_ = std::move(remote);
    }
}

void Agent::Impl::add_local_candidate(const net::Candidate& candidate, TimePoint now) {
    if (phase_ != Phase::over && checklist_.add_local(candidate)) {
        new_pairs(now);
    }
}

void Agent::Impl::add_remote_candidate(const net::Candidate& candidate, TimePoint now) {
    if (phase_ != Phase::over && checklist_.add_remote(candidate)) {
        new_pairs(now);
    }
}

void Agent::Impl::new_pairs(TimePoint now) {
    extend_checks(now);
    advance(now);
}

void Agent::Impl::end_of_remote_candidates(TimePoint now) {
    remote_complete_ = true;
    advance(now);
}

void Agent::Impl::start(TimePoint now, int at_once) {
    if (phase_ != Phase::idle) {
        return;
    }
    phase_ = Phase::running;
    next_slot_ = now;
    at_once_ = at_once;
    give_up_at_ = now + config_.patience;
    for (const auto& wanted : {keep_until_, tcp_end()}) {
        give_up_at_ = std::max(*give_up_at_, wanted.value_or(*give_up_at_));
    }
    advance(now);
}

void Agent::Impl::check(const net::PathAddresses& path, TimePoint now) {
    if (phase_ == Phase::over || path.local.address.family() != path.remote.address.family() ||
        !checklist_.add_base(path.local)) {
        return;
    }
    const auto seen = checklist_.canonical(path);
    const auto ours = seen ? std::optional{splits_.pair_of(*seen)} : std::nullopt;
    const auto priority = net::candidate_priority(net::CandidateType::peer_reflexive, 0);
    auto* pair = ours && checklist_.learn_remote(*ours, priority) ? checklist_.find_or_add(*ours) : nullptr;
    if (pair != nullptr && !pair->valid() && pair->state != PairState::in_progress) {
        checklist_.trigger(*pair);
        new_pairs(now);
    }
}

void Agent::Impl::keep_until(TimePoint when) {
    keep_until_ = keep_until_ ? std::max(*keep_until_, when) : when;
    if (give_up_at_) {
        give_up_at_ = std::max(*give_up_at_, when);
    }
}

void Agent::Impl::admit_tcp(TimePoint when) {
    tcp_at_ = when;
    if (give_up_at_) {
        give_up_at_ = std::max(*give_up_at_, *tcp_end());
    }
}

std::optional<TimePoint> Agent::Impl::tcp_end() const {
    return tcp_at_ ? std::optional{*tcp_at_ + kTcpPatience} : std::nullopt;
}

// Both sides connect at one instant: the packets of either cross on the way only if neither waits for slots.
void Agent::Impl::begin_tcp(TimePoint now) {
    if (!tcp_at_ || now < *tcp_at_) {
        return;
    }
    tcp_at_.reset();
    if (has_direct_path()) {
        return;
    }
    checklist_.admit_tcp();
    at_once_ = static_cast<int>(std::min(checklist_.tcp_pairs(), kMaxTcpAtOnce));
    next_slot_ = now;
    extend_checks(now);
}

bool Agent::Impl::has_direct_path() const {
    const auto* best = checklist_.best_valid();
    const auto pair = best == nullptr ? PairInfo{} : checklist_.describe(*best);
    return best != nullptr && pair.local_type != net::CandidateType::relayed &&
           pair.remote_type != net::CandidateType::relayed;
}

void Agent::Impl::handle_path_failed(const net::PathAddresses& path, TimePoint now) {
    const auto ours = checklist_.canonical(path);
    auto* pair = ours ? checklist_.find(*ours) : nullptr;
    if (phase_ == Phase::over || pair == nullptr) {
        return;
    }
    const bool worked = pair->valid();
    transactions_.cancel(pair->path);
    pair->state = PairState::failed;
    pair->nominate = false;
    pair->heard = false;
    if (spare_ == pair->path) {
        lose_spare();
    }
    if (selected_ == pair->path) {
        lose_consent();
    } else if (nominated_ == pair->path) {
        nominated_ = selected_;
    }
    if (worked) {
        checklist_.trigger(*pair);
        extend_checks(now);
    }
    choose_spare(now);
    advance(now);
}

bool Agent::Impl::heard_on(const net::PathAddresses& path) const {
    const auto ours = checklist_.canonical(path);
    const auto* pair = ours ? checklist_.find(*ours) : nullptr;
    return phase_ != Phase::over && pair != nullptr && (pair->heard || pair->valid());
}

bool Agent::Impl::uses(const net::PathAddresses& path) const {
    const auto ours = checklist_.canonical(path);
    const auto* pair = ours ? checklist_.find(*ours) : nullptr;
    return phase_ != Phase::over && pair != nullptr && pair->state != PairState::failed;
}

void Agent::Impl::close() {
    phase_ = Phase::over;
    transmits_.clear();
    events_.clear();
}

bool Agent::Impl::handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now) {
    if (!stun::is_stun(payload)) {
        return false;
    }
    if (phase_ == Phase::over) {
        return true;
    }
    const auto message = parse_binding(payload);
    const auto ours = checklist_.canonical(path);
    if (!message || !ours) {
        return true;
    }
    switch (message->message_class()) {
        case stun::MessageClass::request:
            handle_request(*ours, *message, now);
            break;
        case stun::MessageClass::success:
        case stun::MessageClass::error:
            handle_response(*ours, *message, now);
            break;
        case stun::MessageClass::indication:
            break;  // RFC 8445 §11: a keepalive asks for nothing
    }
    advance(now);
    return true;
}

void Agent::Impl::advance(TimePoint now) {
    if (phase_ != Phase::running) {
        return;
    }
    expire_transactions(now);
    begin_tcp(now);
    adopt_split(now);
    tend_consent(now);
    tend_spare(now);
    finish_checks(now);
    consider_nomination(now);
    fail_if_hopeless(now);
    if (give_up_at_ && now >= *give_up_at_) {
        give_up();
    }
    if (phase_ == Phase::running && now >= next_slot_ && send_one(now)) {
        send_relayed(now);
        at_once_ = std::max(at_once_ - 1, 0);
        next_slot_ = at_once_ > 0 ? now : now + config_.pacing;
    }
}

void Agent::Impl::fail_if_hopeless(TimePoint now) {
    if (keep_until_ && now < *keep_until_) {
        return;
    }
    // RFC 8445 §8.2: Failed at once when nothing is left to try and nothing more is to come. Without any pair the other
    // side's checks may still reveal one, so then the patience is waited out (RFC 8863 §4).
    const bool nothing_left =
        !checklist_.has_triggered() && !splits_.next_timeout() && !tcp_at_ && checklist_.all_failed();
    if (give_up_at_ && remote_complete_ && nothing_left) {
        give_up();
    }
}

void Agent::Impl::give_up() {
    phase_ = Phase::over;
    transmits_.clear();
    give_up_at_.reset();
    events_.emplace_back(Failed{.pairs = pairs_checked_,
                                .tcp_pairs = tcp_pairs_checked_,
                                .remote_candidates = checklist_.remotes(),
                                .heard_anything = heard_anything_});
}

void Agent::Impl::transmit(const net::PathAddresses& path, Bytes payload) {
    if (transmits_.size() < kMaxTransmits) {
        transmits_.push_back({.path = path, .payload = std::move(payload)});
    }
}

std::optional<net::Transmit> Agent::Impl::poll_transmit() {
    return take(transmits_);
}

std::optional<Event> Agent::Impl::poll_event() {
    return take(events_);
}

std::optional<TimePoint> Agent::Impl::next_timeout() const {
    if (phase_ != Phase::running) {
        return std::nullopt;
    }
    auto next = earliest(give_up_at_, checks_end_);
    next = earliest(next, earliest(consent_.next_timeout(), spare_consent_.next_timeout()));
    next = earliest(next, nomination_due());
    next = earliest(next, transactions_.next_expiry());
    next = earliest(next, splits_.next_timeout());
    next = earliest(next, tcp_at_);
    if (remote_ && (checklist_.has_triggered() || checklist_.has_ordinary())) {
        next = earliest(next, next_slot_);
    }
    if (const auto due = transactions_.next_due()) {
        next = earliest(next, std::max(*due, next_slot_));
    }
    return next;
}

std::optional<PairInfo> Agent::Impl::selected() const {
    const auto* pair = selected_ ? checklist_.find(*selected_) : nullptr;
    return pair == nullptr ? std::nullopt : std::optional{checklist_.describe(*pair)};
}

Agent::Agent(Config config, Rng& rng) : impl_(std::make_unique<Impl>(std::move(config), rng)) {}

Agent::Agent(Agent&&) noexcept = default;
Agent& Agent::operator=(Agent&&) noexcept = default;
Agent::~Agent() = default;

const Credentials& Agent::local_credentials() const {
    return impl_->local_credentials();
}

void Agent::set_remote_credentials(Credentials remote) {
    impl_->set_remote_credentials(std::move(remote));
}

void Agent::add_local_candidate(const net::Candidate& candidate, TimePoint now) {
    impl_->add_local_candidate(candidate, now);
}

void Agent::add_remote_candidate(const net::Candidate& candidate, TimePoint now) {
    impl_->add_remote_candidate(candidate, now);
}

void Agent::end_of_remote_candidates(TimePoint now) {
    impl_->end_of_remote_candidates(now);
}

void Agent::start(TimePoint now, int at_once) {
    impl_->start(now, at_once);
}

void Agent::check(const net::PathAddresses& path, TimePoint now) {
    impl_->check(path, now);
}

void Agent::keep_until(TimePoint when) {
    impl_->keep_until(when);
}

void Agent::admit_tcp(TimePoint when) {
    impl_->admit_tcp(when);
}

void Agent::handle_path_failed(const net::PathAddresses& path, TimePoint now) {
    impl_->handle_path_failed(path, now);
}

bool Agent::heard_on(const net::PathAddresses& path) const {
    return impl_->heard_on(path);
}

bool Agent::uses(const net::PathAddresses& path) const {
    return impl_->uses(path);
}

void Agent::close() {
    impl_->close();
}

net::PathAddresses Agent::pair_of(const net::PathAddresses& path) const {
    return impl_->pair_of(path);
}

bool Agent::handle_datagram(const net::PathAddresses& path, ByteView payload, TimePoint now) {
    return impl_->handle_datagram(path, payload, now);
}

void Agent::handle_timeout(TimePoint now) {
    impl_->handle_timeout(now);
}

std::optional<net::Transmit> Agent::poll_transmit() {
    return impl_->poll_transmit();
}

std::optional<Event> Agent::poll_event() {
    return impl_->poll_event();
}

std::optional<TimePoint> Agent::next_timeout() const {
    return impl_->next_timeout();
}

Role Agent::role() const {
    return impl_->role();
}

std::optional<PairInfo> Agent::selected() const {
    return impl_->selected();
}

}  // namespace pinhole::ice
