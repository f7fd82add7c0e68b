#include "peer/session/session.hpp"

#include "common/base/limits.hpp"
#include "peer/session/errors.hpp"

#include <algorithm>

namespace pinhole::session {

namespace {

/// proto/README.md §3: the CLOSE code of a conversation that is broken off on purpose.
constexpr auto kCancelled = transport::CloseReason::application;

/// With one open side the first check of each kind of pair tells all: between the hosts, and from NAT to NAT.
constexpr int kOpenAtOnce = 2;

/// Of a restart, instead of the time that a call may ring: who is online answers in a round trip. Who is behind a NAT
/// that rebooted, too, comes back by another connection within a second or two, which only another call reaches.
constexpr Duration kRestartPatience = 4s;

/// RFC 6544 §4.5: one that only connects tells the other side nothing that it could use: it makes no pair of it, and
/// its connections come from the port of the passive one.
bool stays_here(const net::Candidate& candidate) {
    return candidate.tcp_type == net::TcpType::active;
}

std::unexpected<RejectedCall> reject(signaling::CallId call, signaling::EndReason reason, Error error,
                                     std::int64_t detail = 0) {
    return std::unexpected(
        RejectedCall{.end = {.call = call, .reason = reason, .detail_ms = detail}, .error = std::move(error)});
}

}  // namespace

std::expected<IncomingCall, RejectedCall> read_call(const signaling::Incoming& incoming, const crypto::Identity& self,
                                                    Rng& rng) {
    using enum signaling::EndReason;
    auto handshake = answer_handshake(self, rng);
    const auto payload = handshake.read(incoming.handshake);
    if (!payload) {
        return reject(incoming.call, bad, payload.error());
    }
    auto offer = parse_offer(*payload);
    if (!offer) {
        return reject(incoming.call, bad, offer.error());
    }
    const auto key = crypto::noise_key(offer->from);
    if (offer->from != incoming.from || !key || handshake.remote_static() != key) {
        return reject(incoming.call, bad, {.code = make_error_code(Errc::peer_identity), .detail = {}});
    }
    return IncomingCall{.call = incoming.call,
                        .offer = *std::move(offer),
                        .handshake = std::move(handshake),
                        .candidates = incoming.candidates};
}

std::expected<void, RejectedCall> check_age(const signaling::Incoming& incoming, const IncomingCall& call,
                                            ReplayGuard& guard, WallTime now) {
    if (guard.check(incoming.handshake, call.offer.sent_at, now) == ReplayGuard::Verdict::fresh) {
        return {};
    }
    return reject(incoming.call, signaling::EndReason::stale,
                  {.code = make_error_code(Errc::clock_wrong), .detail = {}}, now.unix_ms);
}

Session::Session(SessionConfig config, signaling::CallId call, std::vector<net::Candidate> locals, Rng& rng)
    : config_(config), rng_(rng), call_(call), locals_(std::move(locals)), survival_(config.survival) {
    config_.transport.local_connection_id = rng_.u64();
    config_.transport.idle_timeout = Duration{0};  // what silence means is for Survival
}

Session::~Session() = default;

void Session::make_agent(ice::Role role, TimePoint now) {
    role_ = role;
    agent_.emplace(ice::Config{.role = role_,
                               .local = ice::Credentials::generate(rng_),
                               .pacing = kCheckPacing,
                               .patience = config_.path_patience},
                   rng_);
    for (const auto& candidate : locals_) {
        agent_->add_local_candidate(candidate, now);
    }
}

void Session::call(WallTime wall, TimePoint now) {
    config_.transport.role = transport::Role::initiator;
    make_agent(ice::Role::controlling, now);
    send_offer(wall, now);
}

void Session::send_offer(WallTime wall, TimePoint now) {
    const auto key = crypto::noise_key(config_.remote);
    if (!key) {
        end({.code = make_error_code(Errc::peer_identity), .detail = "not a valid ID"});
        return;
    }
    handshake_.emplace(start_handshake(*config_.identity, *key, rng_));
    const OfferPayload payload{.from = config_.identity->id(),
                               .sent_at = {wall.unix_ms + clock_correction_ms_},
                               .services = restarting_ ? std::uint8_t{0} : config_.services,
                               .ciphers = available_ciphers(),
                               .connection_id = config_.transport.local_connection_id,
                               .ice = agent_->local_credentials(),
                               .resume = restarting_ ? config_.transport.remote_connection_id : 0};
    auto message = handshake_->write(serialize(payload));
    if (!message) {
        if (restarting_) {
            restart_failed(signaling::EndReason::bad, now);
        } else {
            end(message.error());
        }
        return;
    }
    state_ = State::calling;
    answer_deadline_ = now + (restarting_ ? kRestartPatience : config_.answer_patience);
    signaling_.emplace_back(signaling::Connect{
        .call = call_, .to = config_.remote, .handshake = *std::move(message), .candidates = offered_candidates()});
    send_end_of_candidates();
}

void Session::answer(IncomingCall incoming, TimePoint now) {
    config_.transport.role = transport::Role::responder;
    config_.services = static_cast<std::uint8_t>(config_.services & incoming.offer.services);
    config_.transport.cipher = choose_cipher(incoming.offer.ciphers);
    config_.transport.remote_connection_id = incoming.offer.connection_id;
    make_agent(ice::Role::controlled, now);
    answer_offer(std::move(incoming), now);
}

void Session::answer_offer(IncomingCall incoming, TimePoint now) {
    const AnswerPayload payload{.services = config_.services,
                                .cipher = config_.transport.cipher,
                                .connection_id = config_.transport.local_connection_id,
                                .ice = agent_->local_credentials()};
    auto message = incoming.handshake.write(serialize(payload));
    if (!message) {
        if (restarting_) {
            restart_failed(signaling::EndReason::bad, now);
        } else {
            end(message.error());
        }
        return;
    }
    answer_.emplace(
        signaling::Answer{.call = call_, .handshake = *std::move(message), .candidates = offered_candidates()});
    signaling_.emplace_back(*answer_);
    agree(incoming.handshake, incoming.offer.ice, now);
    add_remote(incoming.candidates, now);
    answer_deadline_ = now + (restarting_ ? kRestartPatience : config_.answer_patience);
    send_end_of_candidates();
}

void Session::agree(crypto::NoiseHandshake& handshake, const ice::Credentials& remote, TimePoint now) {
    if (!transport_) {
        const auto keys = handshake.split();
        transport_.emplace(config_.transport, keys.send, keys.receive, rng_, now);
    }
    agent_->set_remote_credentials(remote);
    state_ = State::waiting_go;
}

std::vector<net::Candidate> Session::offered_candidates() {
    auto candidates = locals_;
    std::erase_if(candidates, stays_here);
    candidates.resize(std::min(candidates.size(), limits::kMaxCandidates));
    return candidates;
}

void Session::add_local_candidate(const net::Candidate& candidate, TimePoint now) {
    if (state_ == State::over || std::ranges::find(locals_, candidate) != locals_.end() ||
        locals_.size() >= limits::kMaxCandidates) {
        return;
    }
    locals_.push_back(candidate);
    if (agent_) {
        agent_->add_local_candidate(candidate, now);
        if (!stays_here(candidate)) {
            signaling_.emplace_back(signaling::Trickle{.call = call_, .candidates = {candidate}});
        }
    }
}

void Session::end_of_local_candidates() {
    locals_complete_ = true;
    send_end_of_candidates();
}

void Session::send_end_of_candidates() {
    if (agent_ && locals_complete_ && !locals_end_sent_) {
        locals_end_sent_ = true;
        signaling_.emplace_back(signaling::Trickle{.call = call_, .candidates = {}, .last = true});
    }
}

void Session::handle_signaling(const signaling::ToPeer& message, WallTime wall, TimePoint now) {
    if (state_ == State::over) {
        return;
    }
    if (const auto* answered = std::get_if<signaling::Answered>(&message)) {
        handle_answered(*answered, now);
    } else if (const auto* trickle = std::get_if<signaling::Trickle>(&message)) {
        handle_trickle(*trickle, now);
    } else if (const auto* go = std::get_if<signaling::Go>(&message)) {
        handle_go(*go, now);
    } else if (const auto* scan = std::get_if<signaling::PunchScan>(&message)) {
        if (puncher_) {
            puncher_->handle_scan(scan->step, scan->ranges, now);
            drain_puncher(now);
        }
    } else if (const auto* over = std::get_if<signaling::End>(&message)) {
        handle_end(*over, wall, now);
    }
    handle_timeout(now);
}

void Session::handle_answered(const signaling::Answered& answered, TimePoint now) {
    if (state_ != State::calling || !handshake_) {
        return;
    }
    const auto payload = handshake_->read(answered.handshake);
    const auto answer = payload ? parse_answer(*payload) : std::unexpected(payload.error());
    if (restarting_ && !(answer && answer->connection_id == config_.transport.remote_connection_id)) {
        signaling_.emplace_back(signaling::End{.call = call_, .reason = signaling::EndReason::bad});
        restart_failed(signaling::EndReason::bad, now);
        return;
    }
    if (!answer) {
        signaling_.emplace_back(signaling::End{.call = call_, .reason = signaling::EndReason::bad});
        end({.code = make_error_code(Errc::peer_identity), .detail = answer.error().message()});
        return;
    }
    if (!restarting_) {
        config_.services = static_cast<std::uint8_t>(config_.services & answer->services);
        config_.transport.cipher = answer->cipher;
        config_.transport.remote_connection_id = answer->connection_id;
    }
    glare_.reset();
    agree(*handshake_, answer->ice, now);
    handshake_.reset();
    add_remote(answered.candidates, now);
}

void Session::handle_trickle(const signaling::Trickle& trickle, TimePoint now) {
    add_remote(trickle.candidates, now);
    if (trickle.last && agent_) {
        agent_->end_of_remote_candidates(now);
    }
}

void Session::add_remote(const std::vector<net::Candidate>& candidates, TimePoint now) {
    const auto known = remote_reflexives_.size();
    for (const auto& candidate : candidates) {
        agent_->add_remote_candidate(candidate, now);
        if (candidate.type == net::CandidateType::relayed) {
            note_remote_relayed(candidate.endpoint);
        }
        const bool tcp = candidate.transport == net::Transport::tcp;
        auto& hosts = tcp ? remote_tcp_hosts_ : remote_hosts_;
        if (candidate.type == net::CandidateType::host && hosts.size() < limits::kMaxCandidates) {
            hosts.push_back(candidate.endpoint);
        }
        if (tcp || candidate.type != net::CandidateType::server_reflexive ||
            remote_reflexives_.size() >= limits::kMaxCandidates) {
            continue;
        }
        remote_reflexives_.push_back(candidate.endpoint);
        if (puncher_) {
            puncher_->handle_candidate(candidate.endpoint);
        }
    }
    open_own_nats(known);
}

void Session::handle_end(const signaling::End& over, WallTime wall, TimePoint now) {
    const bool retry = over.reason == signaling::EndReason::stale && state_ == State::calling && !corrected_clock_;
    if (retry) {
        corrected_clock_ = true;
        clock_correction_ms_ = over.detail_ms - wall.unix_ms;
        call_ = {call_.value + 1};
        locals_end_sent_ = false;
        send_offer(wall, now);
        return;
    }
    if (restarting_) {
        if (state_ != State::checking || over.reason == signaling::EndReason::hangup) {
            restart_failed(over.reason, now);
        }
        return;
    }
    if (state_ == State::calling || state_ == State::waiting_go ||
        (state_ == State::checking && !connected_ && over.reason != signaling::EndReason::lost)) {
        end({.code = make_error_code(from_reason(over.reason)), .detail = {}});
    }
    // Once connected the peers need no server: the transport says when it is over.
}

std::optional<signaling::ToServer> Session::poll_signaling() {
    if (signaling_.empty()) {
        return std::nullopt;
    }
    auto message = std::move(signaling_.front());
    signaling_.pop_front();
    return message;
}

void Session::handle_stun(const net::PathAddresses& path, ByteView payload, TimePoint now) {
    if (!agent_ || state_ == State::over) {
        return;
    }
    if (puncher_) {
        const bool sample = puncher_->handle_datagram(path, payload, now);
        drain_puncher(now);
        if (sample) {
            return;
        }
    }
    if (previous_) {
        previous_->agent.handle_datagram(path, payload, now);
        tend_previous(now);
    }
    if (!usable(path)) {
        return;
    }
    agent_->handle_datagram(path, payload, now);
    drain_agent(now);
}

void Session::handle_packet(const net::Received& datagram, TimePoint now) {
    if (transport_) {
        auto arrived = datagram;
        arrived.path = agent_->pair_of(datagram.path);
        if (previous_ && arrived.path == datagram.path) {
            arrived.path = previous_->agent.pair_of(datagram.path);
        }
        transport_->handle_datagram(arrived, now);
        drain_transport();
        tend_survival(now);
    }
}

void Session::handle_timeout(TimePoint now) {
    note_sleep(now);
    if (answer_deadline_ && *answer_deadline_ <= now) {
        answer_deadline_.reset();
        signaling_.emplace_back(signaling::End{.call = call_, .reason = signaling::EndReason::timeout});
        if (restarting_) {
            restart_failed(signaling::EndReason::timeout, now);
            return;
        }
        end({.code = make_error_code(Errc::no_answer), .detail = {}});
        return;
    }
    if (select_by_ && *select_by_ <= now) {
        restart_failed(std::nullopt, now);
    }
    if (go_at_ && *go_at_ <= now) {
        go_at_.reset();
        state_ = State::checking;
        agent_->start(now, one_side_open_ ? kOpenAtOnce : 1);
    }
    if (outcome_at_ && *outcome_at_ <= now) {
        tell_outcome(std::nullopt, now);
    }
    if (puncher_) {
        puncher_->handle_timeout(now);
        drain_puncher(now);
    }
    if (agent_ && state_ != State::over) {
        agent_->handle_timeout(now);
        drain_agent(now);
    }
    tend_previous(now);
    if (transport_) {
        transport_->handle_timeout(now);
        drain_transport();
        tend_survival(now);
    }
}

void Session::drain_transport() {
    while (auto event = transport_->poll_event()) {
        // A peer that opens a stream has heard us, though the packet that confirms it may have been lost.
        const bool confirmed = std::holds_alternative<transport::Confirmed>(*event);
        if (!connected_ && (confirmed || std::holds_alternative<transport::Opened>(*event))) {
            connected_ = true;
            events_.emplace_back(Connected{});
        }
        if (confirmed) {
            continue;
        }
        if (const auto* changed = std::get_if<transport::PathChanged>(&*event)) {
            note_path(*changed);
        } else if (std::holds_alternative<transport::Silent>(*event)) {
            silent_ = true;
        } else if (const auto* closed = std::get_if<transport::Closed>(&*event)) {
            if (closed->reason == transport::CloseReason::idle) {
                end({.code = make_error_code(Errc::peer_lost), .detail = {}});
            } else if (closed->by_peer) {
                const auto code = closed->reason == kCancelled ? Errc::peer_cancelled : Errc::peer_closed;
                end({.code = make_error_code(code), .detail = closed->detail});
            } else if (state_ == State::closing) {
                end({.code = {}, .detail = closed->detail});
            } else {
                end({.code = make_error_code(Errc::peer_closed), .detail = closed->detail});
            }
            return;
        } else if (!announces_again(*event)) {
            events_.emplace_back(*std::move(event));
        }
    }
}

/// Whoever has not yet heard that a stream is readable need not hear it of every packet.
bool Session::announces_again(const transport::Event& event) const {
    const auto* readable = std::get_if<transport::Readable>(&event);
    const auto* last = events_.empty() ? nullptr : std::get_if<transport::Event>(&events_.back());
    const auto* before = last != nullptr ? std::get_if<transport::Readable>(last) : nullptr;
    return readable != nullptr && before != nullptr && readable->stream == before->stream;
}

std::optional<transport::TransmitBatch> Session::poll_packets(ByteSpan buffer, TimePoint now) {
    return transport_ && path_ ? transport_->poll_transmit(buffer, now) : std::nullopt;
}

std::optional<TimePoint> Session::next_timeout() const {
    if (state_ == State::over) {
        return std::nullopt;
    }
    auto next = earliest(earliest(answer_deadline_, go_at_), outcome_at_);
    if (previous_) {
        next = earliest(next, earliest(previous_->until, previous_->agent.next_timeout()));
        next = earliest(next, previous_->puncher ? previous_->puncher->next_timeout() : std::nullopt);
    }
    if (glare_) {
        next = earliest(next, glare_->until);
    }
    next = earliest(next, earliest(select_by_, survival_timeout()));
    if (puncher_) {
        next = earliest(next, puncher_->next_timeout());
    }
    if (agent_) {
        next = earliest(next, agent_->next_timeout());
    }
    if (transport_ && path_) {
        next = earliest(next, transport_->next_timeout());
    }
    return next;
}

std::optional<Event> Session::poll_event() {
    if (transport_ && state_ != State::over) {
        drain_transport();
    }
    if (events_.empty()) {
        return std::nullopt;
    }
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
}

void Session::close(Goodbye goodbye, TimePoint now) {
    if (state_ == State::over || state_ == State::closing) {
        return;
    }
    if (transport_ && path_) {
        if (restarting_ && state_ == State::calling) {
            signaling_.emplace_back(signaling::End{.call = call_, .reason = signaling::EndReason::hangup});
        }
        state_ = State::closing;
        answer_deadline_.reset();
        go_at_.reset();
        transport_->close(goodbye == Goodbye::done ? transport::CloseReason::done : kCancelled, {}, now);
        return;
    }
    tell_outcome(std::nullopt, now);
    signaling_.emplace_back(signaling::End{.call = call_, .reason = signaling::EndReason::hangup});
    end({});
}

void Session::end(Error error) {
    if (state_ == State::over) {
        return;
    }
    state_ = State::over;
    answer_deadline_.reset();
    go_at_.reset();
    outcome_at_.reset();
    select_by_.reset();
    if (agent_) {
        agent_->close();
    }
    if (puncher_) {
        puncher_->close();
        drain_puncher({});
    }
    if (previous_) {
        drop(*std::exchange(previous_, std::nullopt));
    }
    events_.emplace_back(Ended{.error = std::move(error)});
}

}  // namespace pinhole::session
