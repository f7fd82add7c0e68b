// TurnClient's part that reads what the relay says: data of peers, and answers to what was asked.
#include "common/stun/channel_data.hpp"
#include "peer/relay/errors.hpp"
#include "peer/relay/turn_client.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::relay {

namespace {

using stun::MessageClass;

/// RFC 8656 §3.2, where a server does not say it.
constexpr Duration kDefaultLifetime = 10min;
constexpr Duration kMaxLifetime = 1h;
constexpr Duration kRefreshInterval = 15s;
/// Nonces that one request may be refused for: the first one, and one that has just grown stale.
constexpr int kMaxChallenges = 2;
/// Before a peer is asked for again that the relay had no room for.
constexpr Duration kRetryPeer = 10s;

// RFC 8656 §19, RFC 8489 §14.8
constexpr std::uint16_t kTryAlternate = 300;
constexpr std::uint16_t kBadRequest = 400;
constexpr std::uint16_t kUnauthenticated = 401;
constexpr std::uint16_t kForbidden = 403;
constexpr std::uint16_t kUnknownAttribute = 420;
constexpr std::uint16_t kAllocationMismatch = 437;
constexpr std::uint16_t kStaleNonce = 438;
constexpr std::uint16_t kFamilyNotSupported = 440;
constexpr std::uint16_t kWrongCredentials = 441;
constexpr std::uint16_t kTransportNotSupported = 442;
constexpr std::uint16_t kQuotaReached = 486;
constexpr std::uint16_t kInsufficientCapacity = 508;

bool plausible(const net::Endpoint& endpoint) {
    return endpoint.port != 0 && !endpoint.address.is_unspecified() && !endpoint.address.is_multicast();
}

/// One of each family.
std::vector<net::Endpoint> relayed_addresses(const stun::MessageView& message) {
    std::vector<net::Endpoint> found;
    for (const auto& endpoint : message.xor_relayed_addresses()) {
        const bool known = std::ranges::any_of(
            found, [&](const auto& other) { return other.address.family() == endpoint.address.family(); });
        if (plausible(endpoint) && !known) {
            found.push_back(endpoint);
        }
    }
    return found;
}

}  // namespace

std::optional<Relayed> TurnClient::handle_message(ByteSpan message, TimePoint now) {
    if (state_ == State::over) {
        return std::nullopt;
    }
    if (stun::is_channel_data(message)) {
        return handle_channel_data(message, now);
    }
    const auto view = stun::MessageView::parse(message);
    if (!view) {
        return std::nullopt;
    }
    if (view->message_class() == MessageClass::indication) {
        return handle_indication(*view, message, now);
    }
    if (view->message_class() != MessageClass::request) {
        handle_response(*view, now);
    }
    return std::nullopt;
}

std::optional<Relayed> TurnClient::handle_channel_data(ByteSpan message, TimePoint now) {
    const auto data = stun::parse_channel_data(message);
    const auto* peer = data && state_ == State::allocated ? peers_.peer(data->channel) : nullptr;
    const auto* local = peer == nullptr ? nullptr : relayed_of(peer->address.family());
    if (local == nullptr) {
        return std::nullopt;
    }
    heard_at_ = now;
    return Relayed{.path = {.local = *local, .remote = *peer},
                   .payload = message.subspan(stun::kChannelHeaderSize, data->payload.size())};
}

// RFC 8656 §11.4
std::optional<Relayed> TurnClient::handle_indication(const stun::MessageView& view, ByteSpan message, TimePoint now) {
    const auto peer = view.method() == stun::kData ? view.xor_peer_address() : std::nullopt;
    const auto data = view.data();
    const auto* local = peer && data && state_ == State::allocated ? relayed_of(peer->address.family()) : nullptr;
    if (local == nullptr || !plausible(*peer)) {
        return std::nullopt;
    }
    heard_at_ = now;
    const auto offset = static_cast<std::size_t>(data->data() - message.data());
    return Relayed{.path = {.local = *local, .remote = *peer}, .payload = message.subspan(offset, data->size())};
}

void TurnClient::handle_response(const stun::MessageView& message, TimePoint now) {
    const auto* known = requests_.find(message.transaction_id());
    if (known == nullptr) {
        return;
    }
    const bool success = message.message_class() == MessageClass::success;
    const auto error = message.error_code();
    if (!success && !error) {
        return;
    }
    // RFC 8489 §9.2.5: only these two can be without integrity; what cannot be trusted was never received.
    const bool challenge = !success && (error->code == kUnauthenticated || error->code == kStaleNonce);
    if (challenge ? is_forged(message) : known->authenticated && !authenticator_.authentic(message)) {
        return;
    }
    heard_at_ = now;
    const auto request = *requests_.take(message.transaction_id());
    if (request.sends == 1) {
        rtt_ = now - request.asked_at;
    }
    if (success) {
        handle_success(request, message, now);
    } else {
        handle_refusal(request, message, now);
    }
    ask_for_peers(now);
}

void TurnClient::handle_success(const Request& request, const stun::MessageView& message, TimePoint now) {
    switch (request.kind) {
        case Request::Kind::allocate:
            handle_allocated(request, message, now);
            break;
        case Request::Kind::refresh:
            note_lifetime(message, now);
            break;
        case Request::Kind::permission:
        case Request::Kind::channel:
            peers_.handle_granted({.peer = request.peer, .channel = request.channel}, now);
            break;
    }
}

// RFC 8656 §7.3. A server that asks for no credentials has allocated already when it was only to be measured.
void TurnClient::handle_allocated(const Request& request, const stun::MessageView& message, TimePoint now) {
    relayed_ = relayed_addresses(message);
    if (relayed_.empty()) {
        fail(Errc::nonsense);
        return;
    }
    state_ = State::allocated;
    refreshed_at_ = now;
    note_lifetime(message, now);
    events_.emplace_back(Allocated{.relayed = relayed_,
                                   .reflexive = message.xor_mapped_address().value_or(net::Endpoint{}),
                                   .rtt = now - request.asked_at});
}

void TurnClient::note_lifetime(const stun::MessageView& message, TimePoint now) {
    const Duration granted =
        message.lifetime().value_or(std::chrono::duration_cast<std::chrono::seconds>(kDefaultLifetime));
    const auto lifetime = std::clamp<Duration>(granted, 1s, kMaxLifetime);
    refresh_at_ = now + std::min(kRefreshInterval, lifetime / 3);
}

void TurnClient::handle_refusal(const Request& request, const stun::MessageView& message, TimePoint now) {
    if (answer_challenge(request, message, now)) {
        return;
    }
    const auto code = message.error_code()->code;
    if (request.kind == Request::Kind::allocate) {
        handle_allocate_error(code, message, now);
    } else if (code == kAllocationMismatch) {
        fail(Errc::gone);
    } else if (code == kUnauthenticated || code == kStaleNonce || code == kWrongCredentials) {
        fail(Errc::refused_credentials, message.error_code()->reason);
    } else if (request.kind == Request::Kind::refresh) {
        fail(Errc::refused, message.error_code()->reason);
    } else {
        handle_peer_error(request, code, now);
    }
}

bool TurnClient::is_forged(const stun::MessageView& message) const {
    const auto challenge = challenge_of(message);
    return challenge ? authenticator_.weakened_by(*challenge) : challenge.error() == Unusable::tampered;
}

// RFC 8489 §9.2.5. True if there is nothing further to do about this answer.
bool TurnClient::answer_challenge(const Request& request, const stun::MessageView& message, TimePoint now) {
    const auto code = message.error_code()->code;
    if ((code != kUnauthenticated && code != kStaleNonce) || request.challenges >= kMaxChallenges) {
        return false;
    }
    auto challenge = challenge_of(message);
    if (!challenge) {
        if (challenge.error() == Unusable::unknown) {
            fail(Errc::unsupported, "none of its password algorithms is known");
        }
        return challenge.error() == Unusable::unknown;
    }
    authenticator_.handle_challenge(*std::move(challenge));
    if (request.authenticated && code == kUnauthenticated && next_credentials_) {
        authenticator_.replace(*std::exchange(next_credentials_, std::nullopt));
    }
    if (state_ == State::measuring) {
        state_ = State::challenged;
        events_.emplace_back(Challenged{.rtt = now - request.asked_at});
        return true;
    }
    const auto challenges = request.challenges + 1;
    switch (request.kind) {
        case Request::Kind::allocate:
            send_allocate(challenges, now);
            break;
        case Request::Kind::refresh:
            send_refresh(challenges, now);
            break;
        case Request::Kind::permission:
        case Request::Kind::channel:
            send_peer_request({.peer = request.peer, .channel = request.channel}, challenges, now);
            break;
    }
    return true;
}

// RFC 8656 §7.4
void TurnClient::handle_allocate_error(std::uint16_t code, const stun::MessageView& message, TimePoint now) {
    const auto reason = message.error_code()->reason;
    switch (code) {
        case kTryAlternate:
            fail(Errc::elsewhere, reason, message.alternate_server());
            return;
        case kBadRequest:
        case kUnknownAttribute:
        case kFamilyNotSupported:
            if (config_.families == Families::both) {
                config_.families = Families::v4;
                send_allocate(0, now);
                return;
            }
            fail(Errc::unsupported, reason);
            return;
        case kUnauthenticated:
        case kStaleNonce:
        case kWrongCredentials:
            fail(Errc::refused_credentials, reason);
            return;
        case kAllocationMismatch:
            fail(Errc::port_in_use, reason);
            return;
        case kTransportNotSupported:
            fail(Errc::unsupported, reason);
            return;
        case kQuotaReached:
            fail(Errc::quota, reason);
            return;
        case kInsufficientCapacity:
            fail(Errc::full, reason);
            return;
        default:
            fail(Errc::refused, reason);
    }
}

void TurnClient::handle_peer_error(const Request& request, std::uint16_t code, TimePoint now) {
    const auto until = now + (code == kForbidden ? config_.permission_lifetime : kRetryPeer);
    if (code == kForbidden) {
        peers_.handle_refused({.peer = request.peer}, until);
    }
    peers_.handle_refused({.peer = request.peer, .channel = request.channel}, until);
}

}  // namespace pinhole::relay
