// Session's part that carries out the server's plan: what is used of it, the sockets and probes that it wants, and what
// became of it.
#include "common/base/limits.hpp"
#include "peer/session/errors.hpp"
#include "peer/session/session.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace pinhole::session {

namespace {

/// Where nobody has measured it: enough for one NAT of our own, and too little to reach the other side's even if there
/// is nothing but one router between. There it would do what it is to prevent.
constexpr std::uint8_t kOpeningTtl = 2;
/// Between the packets that only open our own NATs and the first check that reaches the other side's: so much later may
/// the other side start before its NATs take our checks for those of a stranger.
constexpr Duration kOpeningGap = 10ms;
/// Where it was lost, NATs may map the other side's check in a way that ends ours; a second packet of 60 bytes is
/// cheaper than a second call.
constexpr int kOpenings = 2;
/// For the check on what the last step has found.
constexpr Duration kLastCheck = 2s;
/// Bounds the queue of whoever does not poll; a plan's probes are fewer.
constexpr std::size_t kMaxWaitingProbes = 2 * net::kMaxScanProbes;

/// Whoever comes too early is let in at one side, and found by that side's answers at the other.
bool one_side_open(const net::PunchPlan& plan) {
    return std::ranges::any_of(plan.steps, [](const auto& step) { return step.strategy == net::Strategy::reverse; });
}

bool is_udp(const net::Candidate& candidate) {
    return candidate.transport == net::Transport::udp;
}

bool is_public(const net::Endpoint& endpoint) {
    const auto& address = endpoint.address;
    return !address.is_private() && !address.is_link_local() && !address.is_loopback();
}

}  // namespace

void Session::handle_go(const signaling::Go& go, TimePoint now) {
    if (state_ != State::waiting_go || go_at_) {
        return;
    }
    net::PunchPlan used{.topology = go.plan.topology, .steps = {}};
    net::PunchPlan off;
    for (const auto& step : go.plan.steps) {
        (allowed(step.strategy) ? used : off).steps.push_back(step);
    }
    handle_own_class(go.plan.ours);
    facts_.theirs = go.plan.theirs;
    facts_.switched_off = net::strategy_names(off);
    std::erase(facts_.switched_off, net::name(net::Strategy::host));  // two networks do not need it
    events_.emplace_back(Planned{.topology = used.topology, .steps = net::strategy_names(used)});
    went_at_ = now + std::chrono::microseconds{go.delay_us};
    one_side_open_ = one_side_open(used);
    const auto gap = behind_nats() && !one_side_open_ ? opening_gap() : Duration{0};
    go_at_ = *went_at_ + gap + config_.head_start;
    answer_deadline_.reset();
    answer_.reset();
    admit_tcp(go.plan);
    for (int copy = 0; copy < kOpenings; ++copy) {
        open_own_nats(0);
    }
    start_puncher(go.plan, now);
}

void Session::admit_tcp(const net::PunchPlan& plan) {
    using enum net::Strategy;
    const auto step = std::ranges::find(plan.steps, tcp, &net::PunchStep::strategy);
    if (step != plan.steps.end() && (allowed(host) || allowed(reverse) || allowed(tcp))) {
        agent_->admit_tcp(*went_at_ + std::min(step->start, net::kMaxPunchStart) + config_.head_start);
    }
}

void Session::handle_own_class(net::NatClass ours) {
    facts_.ours = ours == net::NatClass::unknown ? facts_.ours : ours;
}

bool Session::allowed(net::Strategy strategy) const {
    return std::ranges::find(config_.without, strategy) == config_.without.end();
}

void Session::start_puncher(net::PunchPlan plan, TimePoint now) {
    const auto base = main_base();
    if (!base) {
        return;
    }
    std::optional<TimePoint> last;
    for (auto& step : plan.steps) {
        if (!allowed(step.strategy)) {
            step.act = net::PunchAct::check;  // and not erased: the server names steps by their place
        } else if (step.act != net::PunchAct::check) {
            const auto start = std::min(step.start, net::kMaxPunchStart);
            const auto end = *went_at_ + start + std::min(step.budget, net::kMaxPunchBudget);
            last = last ? std::max(*last, end) : end;
        }
    }
    if (!last) {
        return;
    }
    plan_end_ = *last + kLastCheck;
    agent_->keep_until(*plan_end_);
    puncher_.emplace(punch::Config{.stun = config_.stun, .main = *base, .budget = config_.probe_budget}, rng_);
    puncher_->start(std::move(plan), *went_at_);
    for (const auto& remote : remote_reflexives_) {
        puncher_->handle_candidate(remote);
    }
    puncher_->handle_timeout(now);
    drain_puncher(now);
}

// The base of the reflexive candidate is what the other side's filter will see scans come from.
std::optional<net::Endpoint> Session::main_base() const {
    const net::Candidate* best = nullptr;
    for (const auto& candidate : locals_) {
        const bool reflexive = candidate.type == net::CandidateType::server_reflexive;
        const bool better =
            best == nullptr || (reflexive && best->type != net::CandidateType::server_reflexive) ||
            (reflexive == (best->type == net::CandidateType::server_reflexive) && candidate.priority > best->priority);
        const bool own = candidate.type != net::CandidateType::relayed;
        if (own && is_udp(candidate) && candidate.base.address.is_v4() && better) {
            best = &candidate;
        }
    }
    return best == nullptr ? std::nullopt : std::optional{best->base};
}

/// Neither side can be reached without having spoken first.
bool Session::behind_nats() const {
    const bool reflexive = std::ranges::any_of(locals_, [](const auto& candidate) {
        return is_udp(candidate) && candidate.type == net::CandidateType::server_reflexive;
    });
    return reflexive && !remote_reflexives_.empty();
}

/// Until the first check: one between host candidates goes before those that the gap is for.
Duration Session::opening_gap() const {
    static_assert(kCheckPacing <= kOpeningGap);
    return hosts_go_first() ? kOpeningGap - kCheckPacing : kOpeningGap;
}

/// Two host candidates may meet, so that their check is the first one: of all pairs they have the highest priority
/// (RFC 8445 §6.1.2.3).
bool Session::hosts_go_first() const {
    return std::ranges::any_of(locals_, [&](const auto& local) {
        return is_udp(local) && local.type == net::CandidateType::host &&
               std::ranges::any_of(remote_hosts_, [&](const auto& remote) {
                   return remote.address.family() == local.endpoint.address.family();
               });
    });
}

// As strategy_of, but before anything was answered: what a NAT does to our own end is known from our candidates.
bool Session::usable(const net::PathAddresses& path) const {
    if (config_.without.empty()) {
        return true;
    }
    if (relayed(path)) {
        return allowed(net::Strategy::relay);
    }
    const bool tcp = path.transport == net::Transport::tcp;
    if (const auto found = puncher_ && !tcp ? puncher_->found(path) : std::nullopt) {
        return allowed(*found);
    }
    const auto& remote = path.remote.address;
    const bool near = remote.is_private() || remote.is_link_local() || remote.is_loopback();
    // Over TCP the reflexive candidate comes late, and a NAT in front of an address is there for both.
    const bool local_host = near || std::ranges::none_of(locals_, [&](const auto& candidate) {
                                return candidate.type == net::CandidateType::server_reflexive &&
                                       (tcp ? candidate.base.address == path.local.address
                                            : candidate.base == path.local && candidate.transport == path.transport);
                            });
    const auto& hosts = tcp ? remote_tcp_hosts_ : remote_hosts_;
    const bool remote_host = near || std::ranges::find(hosts, path.remote) != hosts.end();
    if (local_host && remote_host) {
        return allowed(net::Strategy::host);
    }
    const auto between = tcp ? net::Strategy::tcp : net::Strategy::udp;
    return allowed(local_host || remote_host ? net::Strategy::reverse : between);
}

void Session::open_own_nats(std::size_t first) {
    const bool early = state_ == State::calling || state_ == State::waiting_go;
    const auto base = main_base();
    if (!early || !base) {
        return;
    }
    for (const auto& remote : std::span{remote_reflexives_}.subspan(first)) {
        if (remote.address.family() == base->address.family() && is_public(remote)) {
            probes_.push_back({.path = {.local = *base, .remote = remote},
                               .payload = punch::make_probe(rng_),
                               .ttl = config_.opening_ttl.value_or(kOpeningTtl)});
        }
    }
}

void Session::drain_puncher(TimePoint now) {
    while (const auto action = puncher_->poll_action()) {
        if (const auto* open = std::get_if<punch::OpenSocket>(&*action)) {
            socket_requests_.emplace_back(*open);
        } else if (const auto* close = std::get_if<punch::CloseSocket>(&*action)) {
            socket_requests_.emplace_back(*close);
        } else if (const auto* probe = std::get_if<punch::SendProbe>(&*action)) {
            if (probes_.size() < kMaxWaitingProbes) {
                probes_.push_back({.path = probe->path, .payload = probe->payload, .ttl = probe->ttl});
            }
        } else if (const auto* promote = std::get_if<punch::Promote>(&*action)) {
            agent_->check(promote->path, now);
        } else if (const auto* samples = std::get_if<punch::Samples>(&*action)) {
            signaling_.emplace_back(signaling::PunchSamples{.call = call_,
                                                            .step = static_cast<std::uint32_t>(samples->step),
                                                            .external = samples->external,
                                                            .before = samples->before,
                                                            .after = samples->after});
        }
    }
}

std::optional<SocketRequest> Session::poll_socket_request() {
    if (socket_requests_.empty()) {
        return std::nullopt;
    }
    auto request = socket_requests_.front();
    socket_requests_.pop_front();
    return request;
}

void Session::handle_socket(punch::SocketToken token, const net::Endpoint& local, TimePoint now) {
    if (!puncher_) {
        return;
    }
    auto named = local;
    const auto base = main_base();
    if (named.address.is_unspecified() && base && base->address.family() == named.address.family()) {
        named.address = base->address;
    }
    puncher_->handle_socket(token, named, now);
    drain_puncher(now);
}

void Session::handle_socket_failed(punch::SocketToken token, TimePoint now) {
    if (puncher_) {
        puncher_->handle_socket_failed(token, now);
        drain_puncher(now);
    }
}

std::optional<net::Transmit> Session::poll_stun() {
    if (!agent_ || state_ == State::over) {
        return std::nullopt;
    }
    if (probes_.empty()) {
        auto check = agent_->poll_transmit();
        while (check && !usable(check->path)) {
            check = agent_->poll_transmit();
        }
        return check || !previous_ ? check : previous_->agent.poll_transmit();
    }
    auto probe = std::move(probes_.front());
    probes_.pop_front();
    return probe;
}

/// That nothing but the relay works is known when the plan is over.
void Session::await_outcome(TimePoint now) {
    if (went_at_ && !outcome_at_) {
        outcome_at_ = std::max(plan_end_.value_or(now), *went_at_ + config_.path_patience);
    }
}

void Session::tell_outcome(std::optional<net::Strategy> strategy, TimePoint now) {
    outcome_at_.reset();
    if (!went_at_) {
        return;
    }
    const auto elapsed = std::max(now - *std::exchange(went_at_, std::nullopt), Duration{0});
    signaling_.emplace_back(signaling::PunchOutcome{
        .call = call_,
        .strategy = strategy,
        .elapsed_ms =
            static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count())});
}

bool Session::behind_one_nat() const {
    return std::ranges::any_of(locals_, [&](const auto& local) {
        return local.type == net::CandidateType::server_reflexive &&
               std::ranges::find(remote_reflexives_, local.endpoint.address, &net::Endpoint::address) !=
                   remote_reflexives_.end();
    });
}

Error Session::no_path(const ice::Failed& failed) const {
    auto facts = facts_;
    facts.same_nat = behind_one_nat();
    facts.remote_candidates = failed.remote_candidates;
    facts.pairs = failed.pairs;
    facts.tcp_tried = failed.tcp_pairs > 0;
    facts.heard_anything = failed.heard_anything;
    return {.code = make_error_code(Errc::no_path), .detail = why_no_path(facts)};
}

void Session::note_remote_relayed(const net::Endpoint& endpoint) {
    if (std::ranges::find(remote_relayed_, endpoint) != remote_relayed_.end()) {
        return;
    }
    remote_relayed_.push_back(endpoint);
    if (remote_relayed_.size() > limits::kMaxCandidates) {
        remote_relayed_.erase(remote_relayed_.begin());
    }
}

/// Either end is an address that a relay has given: ours to us, or theirs to the other side.
bool Session::relayed(const net::PathAddresses& path) const {
    const bool ours = std::ranges::any_of(locals_, [&](const auto& candidate) {
        return candidate.type == net::CandidateType::relayed && candidate.base == path.local;
    });
    return ours || std::ranges::find(remote_relayed_, path.remote) != remote_relayed_.end();
}

// The names of the command line's contract.
std::string Session::strategy_of(const ice::PairInfo& pair) const {
    const bool local_host = pair.local_type == net::CandidateType::host;
    const bool remote_host = pair.remote_type == net::CandidateType::host;
    if (relayed(pair.path)) {
        return "relay";
    }
    const bool tcp = pair.path.transport == net::Transport::tcp;
    if (const auto found = puncher_ && !tcp ? puncher_->found(pair.path) : std::nullopt) {
        return net::name(*found);
    }
    if (local_host && remote_host) {
        return "host";
    }
    if (local_host || remote_host) {
        return "reverse";
    }
    return tcp ? "tcp" : "udp";
}

}  // namespace pinhole::session
