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

/// Without an answer to what we send.
constexpr Duration kSuspicion = 1s;
/// Messages that wait for a caller who does not poll.
constexpr std::size_t kMaxTransmits = 2 * kMaxRequests;

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
