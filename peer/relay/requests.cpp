#include "peer/relay/requests.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::relay {

namespace {

/// Deviation from RFC 8489 §6.2.1, which starts at 500 ms and asks 7 times within 39.5 s: a peer that is to be
/// connected cannot wait so long to learn that a relay is dead, and there may be another one.
constexpr Duration kMinRto = 250ms;
constexpr int kMaxSends = 5;
/// Of a Refresh, which asks a relay that is known to answer: 3.75 s.
constexpr int kMaxRefreshes = 4;
/// Over a stream, for everything: no more than UDP takes (250 ms times 1 + 2 + 4 + 8 + 16).
constexpr Duration kStreamPatience = 7750ms;

int max_sends(const Request& request) {
    return request.kind == Request::Kind::refresh ? kMaxRefreshes : kMaxSends;
}

}  // namespace

void Requests::add(const stun::TransactionId& id, Request request, Duration rtt, TimePoint now) {
    request.rto = std::max(kMinRto, 2 * rtt);
    request.sends = 1;
    request.began_at = request.asked_at = now;
    request.deadline = now + (stream_ ? kStreamPatience : request.rto);
    waiting_.insert_or_assign(id, std::move(request));
}

const Request* Requests::find(const stun::TransactionId& id) const {
    const auto found = waiting_.find(id);
    return found == waiting_.end() ? nullptr : &found->second;
}

std::optional<Request> Requests::take(const stun::TransactionId& id) {
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) {
        return std::nullopt;
    }
    auto request = std::move(found->second);
    waiting_.erase(found);
    return request;
}

const Request* Requests::repeat(TimePoint now) {
    if (stream_) {
        return nullptr;
    }
    for (auto& [id, request] : waiting_) {
        if (request.deadline <= now && request.sends < max_sends(request)) {
            ++request.sends;
            request.rto *= 2;
            request.asked_at = now;
            request.deadline = now + request.rto;
            return &request;
        }
    }
    return nullptr;
}

std::optional<Request> Requests::expire(TimePoint now) {
    for (const auto& [id, request] : waiting_) {
        if (request.deadline <= now && (stream_ || request.sends >= max_sends(request))) {
            return take(id);
        }
    }
    return std::nullopt;
}

std::optional<TimePoint> Requests::next_timeout() const {
    std::optional<TimePoint> next;
    for (const auto& [id, request] : waiting_) {
        next = earliest(next, request.deadline);
    }
    return next;
}

bool Requests::waiting(Request::Kind kind) const {
    return std::ranges::any_of(waiting_, [kind](const auto& entry) { return entry.second.kind == kind; });
}

}  // namespace pinhole::relay
