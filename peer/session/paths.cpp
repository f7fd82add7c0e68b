// Session's part about paths: what ICE says of its pairs, what the transport says of its paths, and which of them is in
// use.
#include "peer/session/errors.hpp"
#include "peer/session/session.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::session {

namespace {

/// A nomination takes a round trip, and what is lost of it is repeated within two seconds.
constexpr Duration kSelecting = 5s;

std::optional<net::Strategy> strategy_named(std::string_view text) {
    using enum net::Strategy;
    for (const auto strategy : {host, reverse, udp, predict, birthday, tcp}) {
        if (net::name(strategy) == text) {
            return strategy;
        }
    }
    return std::nullopt;
}

}  // namespace

void Session::drain_agent(TimePoint now) {
    while (agent_ && state_ != State::over) {
        const auto event = agent_->poll_event();
        if (!event) {
            return;
        }
        handle_agent_event(*event, now);
    }
}

void Session::handle_agent_event(const ice::Event& event, TimePoint now) {
    if (handle_spare(event, now)) {
        return;
    }
    if (const auto* validated = std::get_if<ice::Validated>(&event)) {
        if (restarting_) {
            select_by_ = select_by_.value_or(now + kSelecting);
        }
        if (!path_ || (restarting_ && stalled_since_)) {
            use_pair(validated->pair, "first path that works", now);
        }
    } else if (const auto* selected = std::get_if<ice::Selected>(&event)) {
        use_pair(selected->pair, "best path that works", now);
        if (relayed(selected->pair.path)) {
            await_outcome(now);
        } else {
            tell_outcome(strategy_named(strategy_of(selected->pair)), now);
        }
        if (restarting_) {
            restart_succeeded(now);
        }
    } else if (std::holds_alternative<ice::ConsentLost>(event)) {
        // The transport's own probes decide whether anything is still heard.
        survival_.want_restart(Survival::Cause::consent_lost, now);
    } else if (const auto* failed = std::get_if<ice::Failed>(&event)) {
        if (restarting_) {
            restart_failed(std::nullopt, now);
        } else if (!connected_) {
            tell_outcome(std::nullopt, now);
            end(no_path(*failed));
        }
    }
}

void Session::use_pair(const ice::PairInfo& pair, const char* reason, TimePoint now) {
    if (!transport_ || (path_ && path_->second == pair.path)) {
        return;
    }
    const auto id = transport_->add_path(pair.path, now);
    if (path_) {
        transport_->use_path(id, reason, now);
    }
    path_.emplace(id, pair.path);
    last_strategy_ = strategy_of(pair);
    known_paths_.insert_or_assign(pair.path, KnownPath{.id = id, .strategy = last_strategy_});
    if (puncher_ && pair.path.transport == net::Transport::udp && !relayed(pair.path)) {
        puncher_->handle_success(pair.path, now);
        drain_puncher(now);
    }
    events_.emplace_back(
        PathInUse{.addresses = pair.path, .strategy = last_strategy_, .rtt = pair.rtt, .reason = reason});
}

// The transport keeps its path as long as there is no other: ICE tries once more to connect, and what is lost meanwhile
// is sent again.
void Session::handle_path_failed(const net::PathAddresses& path, TimePoint now) {
    if (!agent_ || state_ == State::over) {
        return;
    }
    if (previous_) {
        previous_->agent.handle_path_failed(path, now);
    }
    agent_->handle_path_failed(path, now);
    drain_agent(now);
    if (transport_) {
        transport_->handle_path_failed(path, now);
        drain_transport();
        tend_survival(now);
    }
}

bool Session::heard_on(const net::PathAddresses& path) const {
    const bool before = previous_ && previous_->agent.heard_on(path);
    return agent_ && state_ != State::over && (before || agent_->heard_on(path));
}

bool Session::uses(const net::PathAddresses& path) const {
    const bool before = previous_ && previous_->agent.uses(path);
    return agent_ && state_ != State::over && (before || agent_->uses(path) || (path_ && path_->second == path));
}

// The transport leaves a path that is silent for the spare one by itself.
bool Session::handle_spare(const ice::Event& event, TimePoint now) {
    if (const auto* spare = std::get_if<ice::Spare>(&event)) {
        if (transport_ && path_) {
            spare_ = spare->pair.path;
            const KnownPath known{.id = transport_->add_path(spare->pair.path, now),
                                  .strategy = strategy_of(spare->pair)};
            known_paths_.insert_or_assign(spare->pair.path, known);
        }
        return true;
    }
    if (const auto* lost = std::get_if<ice::SpareLost>(&event)) {
        if (spare_ == lost->path) {
            spare_.reset();
        }
        const auto known = known_paths_.find(lost->path);
        if (known != known_paths_.end() && !(path_ && path_->first == known->second.id)) {
            transport_->remove_path(known->second.id, now);
            known_paths_.erase(known);
        }
        return true;
    }
    return false;
}

/// Of a path that the peer turned up on. Either side may have a new allocation that nobody has told this session of:
/// what has a relay's address goes by the relay.
std::string Session::guessed_strategy(const net::PathAddresses& path) const {
    const bool theirs = std::ranges::any_of(
        remote_relayed_, [&](const auto& endpoint) { return endpoint.address == path.remote.address; });
    const bool ours = std::ranges::any_of(locals_, [&](const auto& candidate) {
        return candidate.type == net::CandidateType::relayed && candidate.base.address == path.local.address;
    });
    if (theirs || ours) {
        return "relay";
    }
    return last_strategy_.empty() || last_strategy_ == "relay" ? net::name(path.transport) : last_strategy_;
}

void Session::note_path(const transport::PathChanged& changed) {
    if (path_ && path_->second == changed.addresses) {
        return;
    }
    path_.emplace(changed.path, changed.addresses);
    auto strategy = guessed_strategy(changed.addresses);
    // A NAT has given the same path another port: its old name leads nowhere.
    std::erase_if(known_paths_, [&](const auto& known) {
        const bool renamed = known.second.id == changed.path && known.first != changed.addresses;
        strategy = renamed ? known.second.strategy : strategy;
        return renamed;
    });
    auto& known = known_paths_[changed.addresses];
    known.id = changed.path;
    if (known.strategy.empty()) {
        known.strategy = std::move(strategy);
    }
    last_strategy_ = known.strategy;
    left_path_ = left_path_ || changed.reason == transport::kPathSilent || changed.reason == transport::kPathRemoved;
    // Silent paths take turns: which of them is tried is no news.
    if (!silent_ && !stalled_since_) {
        report_path(changed.reason, /*stalled=*/false);
    }
}

/// The callee need not look for a better path as well: one restart serves both.
void Session::note_detour(TimePoint now) {
    const bool ours = config_.transport.role == transport::Role::initiator;
    const bool relayed = last_strategy_ == "relay";
    // Until ICE has chosen, each side may still follow the other to whatever pair worked there first: nothing has died.
    if (!survival_.knows_path(relayed, ours) && (previous_ || agent_->selected())) {
        survival_.handle_path(relayed, ours, now);
    }
}

/// All but the one in use and the spare one.
void Session::forget_paths(TimePoint now) {
    std::erase_if(known_paths_, [&](const auto& known) {
        const bool used = spare_ == known.first || (path_ && path_->first == known.second.id);
        if (!used) {
            transport_->remove_path(known.second.id, now);
        }
        return !used;
    });
}

void Session::report_path(std::string reason, bool stalled) {
    events_.emplace_back(PathInUse{.addresses = path_->second,
                                   .strategy = last_strategy_.empty() ? "udp" : last_strategy_,
                                   .rtt = transport_->path_stats().smoothed_rtt,
                                   .reason = std::move(reason),
                                   .stalled = stalled});
}

}  // namespace pinhole::session
