// Timers, and the end of a connection (RFC 9000 §10).
#include "common/base/encoding.hpp"
#include "peer/transport/connection_impl.hpp"

#include <algorithm>

namespace pinhole::transport {

namespace {

// Repetitions of CLOSE that a side answers after the end.
constexpr int kMaxCloseAnswers = 8;
// Silence after data until a side that only receives asks whether it is still heard, at least: a pause of the other
// application costs one small packet.
constexpr Duration kQuietAfterData = 1s;
// Silence of the peer until it is asked, where no idle timeout says so.
constexpr Duration kSilence = 15s;
// Silence after which memory that a flow needed is given back. Keepalives need none, so packets have to make it worth
// it.
constexpr Duration kRestAfter = 3s;
constexpr std::uint64_t kPacketsWorthARest = 16;

}  // namespace

Connection::Impl::Impl(Config config, const crypto::SecretKey& send_key, const crypto::SecretKey& receive_key, Rng& rng)
    : config_(config),
      rng_(&rng),
      keys_(config.cipher, send_key, receive_key, config.key_update_packets),
      streams_(config_, sent_, events_) {}

Duration Connection::Impl::probe_timeout() const {
    const auto* path = active();
    return path != nullptr ? path->rtt.probe_timeout() : Rtt{}.probe_timeout();
}

std::optional<Event> Connection::Impl::poll_event() {
    if (events_.empty()) {
        return std::nullopt;
    }
    auto event = events_.pop_front();
    streams_.on_event_taken(event);
    return event;
}

const Stats& Connection::Impl::stats() const {
    stats_.key_updates = keys_.updates();
    stats_.buffered = streams_.buffered();
    return stats_;
}

void Connection::Impl::rearm(TimePoint now) {
    if (state_ != State::open) {
        timers_.stop_all();
        if (state_ != State::closed) {
            timers_.set(Timer::closing,
                        state_ == State::closing ? std::min(close_deadline_, close_repeat_) : close_deadline_);
        }
        return;
    }
    const auto arm = [this](Timer timer, std::optional<TimePoint> when) {
        if (when) {
            timers_.set(timer, *when);
        } else {
            timers_.stop(timer);
        }
    };
    const auto* path = active();
    arm(Timer::loss, loss_deadline());
    arm(Timer::acknowledgement, path != nullptr ? acks_.deadline() : std::nullopt);
    arm(Timer::keepalive, keepalive_deadline());
    const bool ends_when_idle = last_heard_ && config_.idle_timeout > 0s;
    arm(Timer::idle, ends_when_idle ? std::optional{*last_heard_ + config_.idle_timeout} : std::nullopt);
    arm(Timer::repeat, repeater_.deadline());
    arm(Timer::rest, rest_deadline());
    std::optional<TimePoint> candidates;
    for (const auto& candidate : candidates_) {
        candidates = earliest(candidates, candidate.next_action);
    }
    arm(Timer::candidates, candidates);
    const auto probe = path != nullptr ? path->mtu.next_probe() : std::nullopt;
    arm(Timer::mtu, probe && *probe > now ? probe : std::nullopt);
}

std::optional<TimePoint> Connection::Impl::keepalive_deadline() const {
    const auto* path = active();
    // What is in flight keeps the path alive by its own probes.
    if (path == nullptr || path->in_flight > 0 || ping_pending_ || !last_sent_ || !last_heard_) {
        return std::nullopt;
    }
    const auto silence = config_.idle_timeout > 0s ? config_.idle_timeout / 2 : kSilence;
    auto next = std::max(*last_heard_, *last_sent_) + silence;
    if (config_.keepalive > 0s) {
        next = std::min(next, *last_sent_ + config_.keepalive);
    }
    // Data that stops may have stopped at a NAT that forgot us. Who only receives has nothing in flight that would
    // tell, and the sender does not know where to reach us until we speak.
    if (last_data_) {
        next = std::min(next, *last_data_ + std::max<Duration>(kQuietAfterData, 3 * probe_timeout()));
    }
    return next;
}

std::optional<TimePoint> Connection::Impl::rest_deadline() const {
    const auto packets = stats_.packets_sent + stats_.packets_received;
    if (!last_sent_ || !last_heard_ || (packets_at_rest_ && packets < *packets_at_rest_ + kPacketsWorthARest)) {
        return std::nullopt;
    }
    return std::max(*last_sent_, *last_heard_) + kRestAfter;
}

void Connection::Impl::rest(TimePoint now) {
    packets_at_rest_ = stats_.packets_sent + stats_.packets_received;
    forget_settled(now);
    sent_.rest();
    acks_.rest();
    streams_.rest();
    keys_.rest(now);
    events_.shrink();
    answers_.shrink();
}

std::optional<TimePoint> Connection::Impl::next_receive(TimePoint now) const {
    const auto* path = active();
    if (path == nullptr || state_ != State::open || !path->rtt.sampled()) {
        return std::nullopt;
    }
    const auto patience = arrivals_.patience(now, path->rtt.min());
    if (patience == 0s) {
        return std::nullopt;
    }
    // Who sends wakes up for the next batch anyway.
    if (const auto batch = timers_.at(Timer::pacing); batch && *batch <= now + patience) {
        return std::max(*batch, now);
    }
    return arrivals_.dense(now, patience) ? std::optional{now + patience} : std::nullopt;
}

void Connection::Impl::handle_timeout(TimePoint now) {
    while (const auto timer = timers_.expire(now)) {
        on_timer(*timer, now);
    }
    rearm(now);
}

void Connection::Impl::on_timer(Timer timer, TimePoint now) {
    switch (timer) {
        case Timer::loss:
            on_loss_timer(now);
            break;
        case Timer::keepalive:
            ping_pending_ = true;
            last_data_.reset();
            break;
        case Timer::idle:
            end({.reason = CloseReason::idle, .detail = "nothing heard from the peer"});
            break;
        case Timer::candidates:
            age_candidates(now);
            break;
        case Timer::repeat:
            while (const auto number = repeater_.take(now)) {
                repeat_messages(*number);
            }
            break;
        case Timer::rest:
            rest(now);
            break;
        case Timer::closing:
            on_closing_timer(now);
            break;
        case Timer::acknowledgement:
        case Timer::pacing:
        case Timer::mtu:
        case Timer::count:
            break;  // poll_transmit looks at the clock itself
    }
}

void Connection::Impl::close(CloseReason reason, std::string detail, TimePoint now) {
    if (state_ != State::open) {
        return;
    }
    close_reason_ = reason;
    close_detail_ = std::move(detail);
    close_detail_.resize(std::min(close_detail_.size(), kMaxCloseDetail));
    closed_by_us_ = true;
    streams_.clear();
    if (active() == nullptr || reason == CloseReason::idle) {
        end({.reason = reason, .detail = close_detail_});
    } else {
        state_ = State::closing;
        close_pending_ = true;
        close_deadline_ = now + 3 * probe_timeout();
        close_repeat_ = now + probe_timeout();
    }
    rearm(now);
}

void Connection::Impl::on_closing_timer(TimePoint now) {
    if (now < close_deadline_) {
        // Nobody answered: CLOSE itself may be lost.
        close_pending_ = true;
        close_repeat_ = now + probe_timeout();
    } else if (state_ == State::closing) {
        end({.reason = close_reason_, .detail = close_detail_});
    } else {
        state_ = State::closed;
    }
}

void Connection::Impl::handle_close(const CloseFrame& frame, TimePoint now) {
    if (state_ == State::closing) {
        end({.reason = close_reason_, .detail = close_detail_});
        return;
    }
    if (state_ == State::open) {
        end({.reason = static_cast<CloseReason>(frame.code), .by_peer = true, .detail = printable(frame.detail)});
        state_ = State::draining;
        close_reason_ = CloseReason::done;
        close_detail_.clear();
        close_deadline_ = now + 3 * probe_timeout();
    }
    // RFC 9000 §10.2.2: one CLOSE in return for each, so that the other side need not wait.
    close_pending_ = close_answers_++ < kMaxCloseAnswers;
}

void Connection::Impl::end(Closed event) {
    state_ = State::closed;
    streams_.stop_sending();
    events_.push_back(std::move(event));
}

}  // namespace pinhole::transport
