#include "peer/relay/turn_client.hpp"

#include "common/stun/builder.hpp"
#include "common/stun/channel_data.hpp"
#include "peer/relay/errors.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pinhole::relay {

namespace {

using stun::AttributeType;
using stun::MessageBuilder;
using stun::MessageClass;

/// RFC 8656 §3.2, where a server does not say it.
constexpr Duration kDefaultLifetime = 10min;
constexpr Duration kMaxLifetime = 1h;
constexpr Duration kRefreshInterval = 15s;
/// Without an answer to what we send.
constexpr Duration kSuspicion = 1s;
/// Nonces that one request may be refused for: the first one, and one that has just grown stale.
constexpr int kMaxChallenges = 2;
/// Before a peer is asked for again that the relay had no room for.
constexpr Duration kRetryPeer = 10s;
/// Messages that wait for a caller who does not poll.
constexpr std::size_t kMaxTransmits = 2 * kMaxRequests;

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

template <class T>
std::optional<T> take(std::deque<T>& queue) {
    if (queue.empty()) {
        return std::nullopt;
    }
    T front = std::move(queue.front());
    queue.pop_front();
    return front;
}

}  // namespace

TurnClient::TurnClient(Config config, Rng& rng)
    : config_(std::move(config)),
      rng_(rng),
      authenticator_(config_.credentials, config_.challenge),
      requests_(config_.stream),
      peers_(config_.permission_lifetime, config_.channel_lifetime) {}

void TurnClient::measure(TimePoint now) {
    if (state_ == State::idle) {
        state_ = State::measuring;
        send_allocate(0, now);
    }
}

void TurnClient::allocate(TimePoint now) {
    const bool asking = state_ == State::measuring;
    if (asking || state_ == State::idle || state_ == State::challenged) {
        state_ = State::allocating;
        if (!asking) {
            send_allocate(0, now);
        }
    }
}

void TurnClient::release(TimePoint now) {
    const bool held = state_ == State::allocated;
    transmits_.clear();
    requests_.clear();
    if (held) {
        const auto id = stun::TransactionId::generate(rng_);
        MessageBuilder builder{MessageClass::request, stun::kRefresh, id};
        builder.lifetime(std::chrono::seconds{0});
        send(std::move(builder), id, {.kind = Request::Kind::refresh}, now);
        requests_.clear();
    }
    state_ = State::over;
    events_.clear();
    refresh_at_.reset();
}

void TurnClient::verify(TimePoint now) {
    if (state_ == State::allocated && !requests_.waiting(Request::Kind::refresh)) {
        send_refresh(0, now);
    }
}

// RFC 8656 §7.2: who made the allocation must ask under the same name, so that what is there goes on with the old ones
// as long as the server takes them.
void TurnClient::replace(Credentials credentials) {
    if (credentials == authenticator_.credentials()) {
        return;
    }
    if (state_ == State::allocated) {
        next_credentials_ = std::move(credentials);
    } else {
        authenticator_.replace(std::move(credentials));
    }
}

void TurnClient::permit(const net::Endpoint& peer, TimePoint now) {
    if (state_ == State::allocated && relayed_of(peer.address.family()) != nullptr && peers_.use(peer, now)) {
        ask_for_peers(now);
    }
}

// RFC 8656 §7.1
void TurnClient::send_allocate(int challenges, TimePoint now) {
    const auto id = stun::TransactionId::generate(rng_);
    MessageBuilder builder{MessageClass::request, stun::kAllocate, id};
    builder.requested_transport(stun::kTransportUdp);
    if (config_.families == Families::v6) {
        builder.address_family(AttributeType::requested_address_family, net::Family::v6);
    } else if (config_.families == Families::both) {
        builder.address_family(AttributeType::additional_address_family, net::Family::v6);
    }
    send(std::move(builder), id, {.kind = Request::Kind::allocate, .challenges = challenges}, now);
}

void TurnClient::send_refresh(int challenges, TimePoint now) {
    refreshed_at_ = now;
    const auto id = stun::TransactionId::generate(rng_);
    send(MessageBuilder{MessageClass::request, stun::kRefresh, id}, id,
         {.kind = Request::Kind::refresh, .challenges = challenges}, now);
}

void TurnClient::ask_for_peers(TimePoint now) {
    while (state_ == State::allocated && !requests_.full()) {
        const auto wish = peers_.poll_wish();
        if (!wish) {
            return;
        }
        send_peer_request(*wish, 0, now);
    }
}

// RFC 8656 §9, §12. One peer a request: a server that refuses one of several refuses all of them.
void TurnClient::send_peer_request(const Peers::Wish& wish, int challenges, TimePoint now) {
    const bool channel = wish.channel != 0;
    const auto id = stun::TransactionId::generate(rng_);
    MessageBuilder builder{MessageClass::request, channel ? stun::kChannelBind : stun::kCreatePermission, id};
    if (channel) {
        builder.channel_number(wish.channel);
    }
    builder.address(AttributeType::xor_peer_address, wish.peer);
    send(std::move(builder), id,
         {.kind = channel ? Request::Kind::channel : Request::Kind::permission,
          .peer = wish.peer,
          .channel = wish.channel,
          .challenges = challenges},
         now);
}

void TurnClient::send(MessageBuilder builder, const stun::TransactionId& id, Request request, TimePoint now) {
    // What measures must not become an allocation, even if we know how to ask for one.
    if (state_ != State::measuring) {
        request.authenticated = authenticator_.challenged();
        authenticator_.sign(builder);
    }
    request.message = builder.fingerprint().finish();
    if (transmits_.size() < kMaxTransmits) {
        transmits_.push_back(request.message);
    }
    requests_.add(id, std::move(request), rtt_, now);
}

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

void TurnClient::handle_timeout(TimePoint now) {
    while (const auto* request = requests_.repeat(now)) {
        transmits_.push_back(request->message);
    }
    while (const auto expired = requests_.expire(now)) {
        // A relay that data comes from is there, whatever becomes of our question.
        if (expired->kind == Request::Kind::refresh && heard_at_ > expired->began_at) {
            send_refresh(0, now);
            continue;
        }
        if (expired->kind == Request::Kind::allocate || expired->kind == Request::Kind::refresh) {
            fail(Errc::no_answer);
            return;
        }
        peers_.handle_refused({.peer = expired->peer, .channel = expired->channel}, now);
    }
    if (state_ != State::allocated) {
        return;
    }
    if (refresh_at_ && *refresh_at_ <= now) {
        refresh_at_.reset();
        verify(now);
    }
    peers_.handle_timeout(now);
    ask_for_peers(now);
}

ByteView TurnClient::wrap(const net::PathAddresses& path, ByteView payload, ByteSpan out, TimePoint now) {
    const auto* local = relayed_of(path.remote.address.family());
    if (state_ != State::allocated || local == nullptr || *local != path.local) {
        return {};
    }
    // STUN is a check: most are of pairs that never carry anything else.
    const bool check = !payload.empty() && payload.front() <= 3;
    const bool permitted = check ? peers_.use(path.remote, now) : peers_.use_channel(path.remote, now);
    ask_for_peers(now);
    if (now - heard_at_ > kSuspicion && now - refreshed_at_ > kSuspicion) {
        verify(now);
    }
    if (!permitted) {
        return {};
    }
    const auto channel = peers_.channel(path.remote);
    return channel ? wrap_in_channel(*channel, payload, out) : wrap_in_indication(path.remote, payload, out);
}

ByteView TurnClient::wrap_in_channel(std::uint16_t channel, ByteView payload, ByteSpan out) const {
    const auto padding = config_.stream ? stun::channel_padding(payload.size()) : 0;
    const auto size = stun::kChannelHeaderSize + payload.size() + padding;
    if (size > out.size() || payload.size() > 0xffff) {
        return {};
    }
    const auto header = stun::channel_header(channel, payload.size());
    std::ranges::copy(header, out.begin());
    std::ranges::copy(payload, out.begin() + static_cast<std::ptrdiff_t>(header.size()));
    std::ranges::fill(out.subspan(header.size() + payload.size(), padding), std::uint8_t{0});
    return out.first(size);
}

// RFC 8656 §11.1: indications are not authenticated.
ByteView TurnClient::wrap_in_indication(const net::Endpoint& peer, ByteView payload, ByteSpan out) {
    MessageBuilder builder{MessageClass::indication, stun::kSend, stun::TransactionId::generate(rng_)};
    const auto message =
        builder.address(AttributeType::xor_peer_address, peer).attribute(AttributeType::data, payload).finish();
    if (message.empty() || message.size() > out.size()) {
        return {};
    }
    std::ranges::copy(message, out.begin());
    return out.first(message.size());
}

void TurnClient::fail(Errc code, std::string_view detail, std::optional<net::Endpoint> alternate) {
    state_ = State::over;
    requests_.clear();
    transmits_.clear();
    refresh_at_.reset();
    events_.emplace_back(
        Failed{.error = {.code = make_error_code(code), .detail = std::string{detail}}, .alternate = alternate});
}

const net::Endpoint* TurnClient::relayed_of(net::Family family) const {
    const auto found = std::ranges::find(relayed_, family, [](const auto& one) { return one.address.family(); });
    return found == relayed_.end() ? nullptr : &*found;
}

std::optional<Bytes> TurnClient::poll_transmit() {
    return take(transmits_);
}

std::optional<Event> TurnClient::poll_event() {
    return take(events_);
}

std::optional<TimePoint> TurnClient::next_timeout() const {
    auto next = requests_.next_timeout();
    if (state_ == State::allocated) {
        next = earliest(next, earliest(refresh_at_, peers_.next_timeout()));
    }
    return next;
}

}  // namespace pinhole::relay
