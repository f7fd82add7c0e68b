#include "peer/session/signaling_client.hpp"

#include "common/base/encoding.hpp"
#include "common/base/limits.hpp"
#include "common/signaling/codec.hpp"
#include "peer/session/errors.hpp"

#include <algorithm>

namespace pinhole::session {

namespace {

constexpr Duration kFirstBackoff = 500ms;
constexpr Duration kMaxBackoff = 30s;

Duration backoff(unsigned failures, Rng& rng) {
    const auto shift = std::min(failures == 0 ? 0U : failures - 1, 10U);
    const auto base = std::min<Duration>(kFirstBackoff * (1U << shift), kMaxBackoff);
    return Duration{static_cast<Duration::rep>(static_cast<double>(base.count()) * (0.5 + rng.unit()))};
}

}  // namespace

SignalingClient::SignalingClient(Config config, Rng& rng) : config_(std::move(config)), rng_(rng) {}

void SignalingClient::start(TimePoint now) {
    timers_.set(Timer::retry, now);
    handle_timeout(now);
}

void SignalingClient::handle_connected(TimePoint now) {
    if (state_ != State::connecting) {
        return;
    }
    state_ = State::login;
    key_checked_ = false;
    const signaling::Hello hello{.id = config_.identity->id(), .version = signaling::kVersion, .agent = config_.agent};
    link_.emplace(signaling::SecureLink::client(config_.identity->noise_keys(), signaling::serialize(hello), rng_));
    timers_.set(Timer::login, now + limits::kHandshakeTimeout);
}

void SignalingClient::handle_bytes(ByteView bytes, TimePoint now) {
    if (!link_) {
        return;
    }
    heard(now);
    const auto status = link_->handle_bytes(bytes);
    check_server_key(now);
    while (link_) {
        const auto frame = link_->poll_frame();
        if (!frame) {
            break;
        }
        handle_frame(*frame, now);
    }
    if (!status && link_) {
        lose(status.error(), now);
    }
}

void SignalingClient::check_server_key(TimePoint now) {
    if (!link_ || key_checked_ || !link_->remote_static()) {
        return;
    }
    key_checked_ = true;
    if (config_.pinned && *config_.pinned != *link_->remote_static()) {
        lose({.code = make_error_code(Errc::server_key_changed), .detail = to_base32(*link_->remote_static())}, now);
        state_ = State::ended;  // trying again would not change the key
        timers_.stop_all();
        return;
    }
    config_.pinned = *link_->remote_static();
}

void SignalingClient::handle_frame(ByteView frame, TimePoint now) {
    auto message = signaling::parse_to_peer(frame);
    if (!message && message.error().code == make_error_code(pinhole::Errc::not_supported)) {
        return;  // a newer server says something that this version need not know
    }
    if (!message) {
        lose(message.error(), now);
        return;
    }
    if (const auto* ping = std::get_if<signaling::Ping>(&*message)) {
        send(signaling::Pong{.token = ping->token}, now);
    } else if (const auto* welcome = std::get_if<signaling::Welcome>(&*message)) {
        if (state_ == State::login) {
            state_ = State::online;
            failures_ = 0;
            timers_.stop(Timer::login);
            heard(now);
            events_.emplace_back(Online{.observed = welcome->observed,
                                        .server_key = *link_->remote_static(),
                                        .second_stun_port = welcome->second_stun_port});
        }
    } else if (!std::holds_alternative<signaling::Pong>(*message)) {
        events_.emplace_back(*std::move(message));
    }
}

void SignalingClient::handle_closed(Error error, TimePoint now) {
    if (state_ == State::connecting || state_ == State::login || state_ == State::online) {
        lose(std::move(error), now);
    }
}

void SignalingClient::handle_timeout(TimePoint now) {
    while (const auto timer = timers_.expire(now)) {
        switch (*timer) {
            case Timer::login:
                lose({.code = make_error_code(Errc::server_refused), .detail = "no welcome in time"}, now);
                break;
            case Timer::ping:
                send(signaling::Ping{.token = rng_.u64()}, now);
                timers_.set(Timer::ping, now + limits::kSignalingPing);
                break;
            case Timer::dead:
                lose({.code = make_error_code(Errc::server_unreachable), .detail = "the server went silent"}, now);
                break;
            case Timer::retry:
                state_ = State::connecting;
                events_.emplace_back(ConnectNow{});
                break;
            case Timer::count:
                break;
        }
    }
}

void SignalingClient::reconnect(TimePoint now) {
    if (state_ == State::ended) {
        return;
    }
    if (state_ == State::online) {
        lose({.code = make_error_code(Errc::server_unreachable), .detail = "the network changed"}, now);
    }
    // An attempt that had not come to an end failed for no fault of the server's: nobody need hear of it.
    link_.reset();
    timers_.stop_all();
    failures_ = 0;
    state_ = State::connecting;
    events_.emplace_back(ConnectNow{});
}

void SignalingClient::doubt(TimePoint now) {
    if (state_ != State::online) {
        return;
    }
    send(signaling::Ping{.token = rng_.u64()}, now);
    if (state_ == State::online && !doubted_) {
        doubted_ = true;
        timers_.set(Timer::ping, now + limits::kSignalingPing);
        timers_.set(Timer::dead, now + kDoubt);
    }
}

void SignalingClient::send(const signaling::ToServer& message, TimePoint now) {
    if (state_ != State::online || !link_) {
        return;
    }
    if (const auto status = link_->send(signaling::serialize(message)); !status) {
        lose(status.error(), now);
    }
}

Bytes SignalingClient::poll_output() {
    return link_ ? link_->poll_output() : Bytes{};
}

std::optional<SignalingClient::Event> SignalingClient::poll_event() {
    if (events_.empty()) {
        return std::nullopt;
    }
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
}

void SignalingClient::heard(TimePoint now) {
    if (state_ == State::online) {
        doubted_ = false;
        timers_.set(Timer::ping, now + limits::kSignalingPing);
        timers_.set(Timer::dead, now + limits::kSignalingDead);
    }
}

void SignalingClient::lose(Error error, TimePoint now) {
    const bool was_online = state_ == State::online;
    state_ = State::idle;
    doubted_ = false;
    link_.reset();
    timers_.stop_all();
    timers_.set(Timer::retry, now + backoff(++failures_, rng_));
    events_.emplace_back(Lost{.error = std::move(error), .was_online = was_online});
}

}  // namespace pinhole::session
