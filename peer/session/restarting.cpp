// Session's part that keeps a connection alive: another generation of ICE through another call, what becomes of the one
// before, and what is said and done while nothing is heard.
#include "common/base/limits.hpp"
#include "peer/session/errors.hpp"
#include "peer/session/session.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace pinhole::session {

namespace {

/// Calls that were placed within this time of each other may have crossed: longer than a message takes through the
/// server. What comes later comes from somebody who has not got ours.
constexpr Duration kCrossing = 2s;
/// RFC 8445 §8.3.1: packets for the generation before are still under way.
constexpr Duration kFarewell = 3s;
/// A timer that comes so late was not asked for in vain: the machine or this process slept.
constexpr Duration kSlept = 5s;

}  // namespace

bool Session::resumed_by(const IncomingCall& incoming) const {
    return transport_ && path_ && !closing() && incoming.offer.from == config_.remote &&
           incoming.offer.resume == config_.transport.local_connection_id &&
           incoming.offer.connection_id == config_.transport.remote_connection_id;
}

bool Session::handle_repeated(signaling::CallId call) {
    if (call != call_) {
        return glare_ && glare_->incoming.call == call;
    }
    if (answer_) {
        answer_->candidates = offered_candidates();
        signaling_.emplace_back(*answer_);
        locals_end_sent_ = false;
        send_end_of_candidates();
    }
    return true;
}

bool Session::restart_due(TimePoint now) const {
    return connected_ && path_ && !closing() && !restarting_ && survival_.due(now);
}

void Session::handle_server(bool online, TimePoint now) {
    survival_.handle_server(online, now);
    if (!online && restarting_ && (state_ == State::calling || state_ == State::waiting_go)) {
        restart_failed(signaling::EndReason::lost, now);
    }
}

void Session::handle_network_changed(TimePoint now) {
    survival_.want_restart(Survival::Cause::moved, now);
    if (transport_) {
        transport_->probe(now);
    }
}

void Session::restart(std::vector<net::Candidate> locals, WallTime wall, TimePoint now) {
    survival_.handle_started(now);
    begin_generation(ice::Role::controlling, std::move(locals), now);
    call_ = {rng_.u64()};
    called_at_ = now;
    corrected_clock_ = false;
    send_offer(wall, now);
    if (transport_) {
        transport_->probe(now);
    }
}

void Session::begin_generation(ice::Role role, std::vector<net::Candidate> locals, TimePoint now) {
    if (restarting_) {
        drop_current();
    } else {
        if (previous_) {
            drop(*std::exchange(previous_, std::nullopt));
        }
        previous_.emplace(
            Generation{.agent = *std::move(agent_), .puncher = std::move(puncher_), .until = std::nullopt});
        agent_.reset();
        puncher_.reset();
    }
    restarting_ = true;
    answer_.reset();
    select_by_.reset();
    previous_->until.reset();
    go_at_.reset();
    answer_deadline_.reset();
    went_at_.reset();
    plan_end_.reset();
    outcome_at_.reset();
    one_side_open_ = false;
    locals_ = std::move(locals);
    locals_complete_ = locals_end_sent_ = false;
    remote_reflexives_.clear();
    remote_hosts_.clear();
    remote_tcp_hosts_.clear();
    make_agent(role, now);
}

void Session::drop(Generation generation) {
    if (generation.puncher) {
        generation.puncher->close();
        while (const auto action = generation.puncher->poll_action()) {
            if (const auto* close = std::get_if<punch::CloseSocket>(&*action)) {
                socket_requests_.emplace_back(*close);
            }
        }
    }
}

void Session::drop_current() {
    drop({.agent = *std::move(agent_), .puncher = std::move(puncher_), .until = std::nullopt});
    agent_.reset();
    puncher_.reset();
    handshake_.reset();
    probes_.clear();
}

// Both may want a restart at once, and their calls cross: the lower ID's goes on, as with ordinary calls. But a call is
// not known to have arrived: when it has no answer in time, the other one is taken after all.
void Session::resume(IncomingCall incoming, std::vector<net::Candidate> locals, TimePoint now) {
    const bool calling = restarting_ && state_ == State::calling;
    if (calling && now < called_at_ + kCrossing && config_.identity->id() < config_.remote) {
        glare_.emplace(Glare{.incoming = std::move(incoming), .until = called_at_ + kCrossing});
        return;
    }
    if (calling) {
        signaling_.emplace_back(signaling::End{.call = call_, .reason = signaling::EndReason::hangup});
    }
    survival_.handle_started(now);
    begin_generation(ice::Role::controlled, std::move(locals), now);
    accept(std::move(incoming), now);
}

void Session::accept(IncomingCall incoming, TimePoint now) {
    glare_.reset();
    call_ = incoming.call;
    answer_offer(std::move(incoming), now);
}

void Session::restart_succeeded(TimePoint now) {
    restarting_ = false;
    select_by_.reset();
    previous_->until = now + kFarewell;
    survival_.handle_done(now);
    transport_->probe(now);
}

void Session::restart_failed(std::optional<signaling::EndReason> reason, TimePoint now) {
    tell_outcome(std::nullopt, now);
    drop_current();
    agent_.emplace(std::move(previous_->agent));
    puncher_ = std::move(previous_->puncher);
    previous_.reset();
    restarting_ = false;
    select_by_.reset();
    answer_deadline_.reset();
    answer_.reset();
    go_at_.reset();
    state_ = State::checking;
    survival_.handle_failed(reason, now);
    if (auto glare = std::exchange(glare_, std::nullopt)) {
        resume(std::move(glare->incoming), locals_, now);
    }
}

void Session::tend_previous(TimePoint now) {
    if (glare_ && glare_->until <= now) {
        auto incoming = std::move(std::exchange(glare_, std::nullopt)->incoming);
        if (restarting_ && state_ == State::calling) {
            auto locals = locals_;
            resume(std::move(incoming), std::move(locals), now);
        }
    }
    if (!previous_) {
        return;
    }
    if (previous_->until && *previous_->until <= now) {
        drop(*std::exchange(previous_, std::nullopt));
        forget_paths(now);
        return;
    }
    if (previous_->puncher) {
        previous_->puncher->handle_timeout(now);
        while (const auto action = previous_->puncher->poll_action()) {
            if (const auto* close = std::get_if<punch::CloseSocket>(&*action)) {
                socket_requests_.emplace_back(*close);
            }
        }
    }
    previous_->agent.handle_timeout(now);
    while (previous_) {
        const auto event = previous_->agent.poll_event();
        if (!event) {
            return;
        }
        // As long as the new generation has no path of its own.
        if (!restarting_ || handle_spare(*event, now)) {
            continue;
        }
        if (const auto* selected = std::get_if<ice::Selected>(&*event)) {
            use_pair(selected->pair, "best path that works", now);
        }
    }
}

void Session::note_sleep(TimePoint now) {
    const auto due = next_timeout();
    if (connected_ && due && now > *due + kSlept) {
        survival_.handle_woken(now);
        transport_->probe(now);
    }
}

std::optional<TimePoint> Session::survival_timeout() const {
    if (!transport_ || !path_ || closing()) {
        return std::nullopt;
    }
    if (connected_) {
        return survival_.next_timeout();
    }
    const auto since = transport_->last_heard();
    return since ? std::optional{*since + config_.survival.gone_after} : std::nullopt;
}

bool Session::in_trouble_before_connected(TimePoint now) const {
    const auto since = transport_->last_heard();
    return !connected_ && since && now - *since >= config_.survival.gone_after;
}

void Session::tend_survival(TimePoint now) {
    if (!transport_ || !path_ || closing()) {
        return;
    }
    if (in_trouble_before_connected(now)) {
        end({.code = make_error_code(Errc::peer_lost), .detail = {}});
        return;
    }
    const auto heard = *transport_->last_heard();
    if (std::exchange(silent_, false)) {
        survival_.handle_silent(heard, now);
        stalled_since_ = stalled_since_.value_or(heard);
    }
    if (stalled_since_ && heard > *stalled_since_) {
        const auto silence = heard - *std::exchange(stalled_since_, std::nullopt);
        survival_.handle_heard(now);
        if (std::exchange(stall_shown_, false)) {
            report_path(fmt::format("heard again after {:.1f} s", seconds(silence)), /*stalled=*/false);
        }
    }
    note_detour(now);
    if (std::exchange(left_path_, false)) {
        survival_.want_restart(Survival::Cause::path_died, now);
    }
    if (const auto trying = survival_.poll_notice(now)) {
        stall_shown_ = true;
        report_path("trying " + *trying, /*stalled=*/true);
    }
    if (survival_.lost(now)) {
        end({.code = make_error_code(Errc::peer_lost), .detail = {}});
    }
}

}  // namespace pinhole::session
