#include "rendezvous/core/turn/turn_server.hpp"

#include "common/stun/channel_data.hpp"
#include "common/stun/integrity.hpp"

#include <array>
#include <utility>

namespace pinhole::turn {

namespace {

using stun::AttributeType;
using stun::MessageClass;

/// IP and UDP headers of the larger family.
constexpr std::size_t kHeaders = 48;

constexpr std::array kMethods{stun::kAllocate, stun::kRefresh,          stun::kSend,
                              stun::kData,     stun::kCreatePermission, stun::kChannelBind,
                              stun::kConnect,  stun::kConnectionBind,   stun::kConnectionAttempt};

/// Required attributes that a request or an indication may bring.
constexpr std::array kUnderstood{AttributeType::username,
                                 AttributeType::userhash,
                                 AttributeType::realm,
                                 AttributeType::nonce,
                                 AttributeType::password_algorithm,
                                 AttributeType::channel_number,
                                 AttributeType::lifetime,
                                 AttributeType::xor_peer_address,
                                 AttributeType::data,
                                 AttributeType::requested_address_family,
                                 AttributeType::even_port,
                                 AttributeType::requested_transport,
                                 AttributeType::reservation_token,
                                 AttributeType::connection_id,
                                 AttributeType::dont_fragment};

}  // namespace

bool is_turn(ByteView message) {
    if (stun::is_channel_data(message)) {
        return true;
    }
    if (!stun::is_stun(message)) {
        return false;
    }
    const unsigned type = static_cast<unsigned>(message[0]) << 8 | message[1];
    const stun::Method method{
        static_cast<std::uint16_t>((type & 0x000fU) | (type >> 1 & 0x0070U) | (type >> 2 & 0x0f80U))};
    return std::ranges::find(kMethods, method) != kMethods.end();
}

TurnServer::TurnServer(const TurnConfig& config, Authenticator authenticator, AddressPolicy policy, Rng& rng)
    : config_(config),
      authenticator_(std::move(authenticator)),
      policy_(std::move(policy)),
      rng_(rng),
      strangers_(config.strangers),
      allocations_(config, rng, outputs_) {}

void TurnServer::handle_client(const TurnClient& client, ByteView bytes, TimePoint now) {
    handle_timeout(now);
    if (stun::is_channel_data(bytes)) {
        const auto forward = forward_client(client, bytes, now);
        if (forward.verdict == Forward::send) {
            outputs_.emplace_back(
                ToPeer{.relay = forward.relay, .peer = *forward.peer, .payload = to_bytes(forward.payload)});
        } else if (forward.verdict == Forward::slow) {
            ++stats_.malformed;
        }
        return;
    }
    const auto message = stun::MessageView::parse(bytes);
    if (!message || (message->fingerprint() && !stun::verify_fingerprint(*message))) {
        ++stats_.malformed;
        return;
    }
    if (message->message_class() == MessageClass::request) {
        handle_request(client, *message, now);
    } else if (message->message_class() == MessageClass::indication && message->method() == stun::kSend) {
        handle_send(client, *message, now);
    } else {
        ++stats_.malformed;
    }
}

void TurnServer::handle_client_closed(const TurnClient& client, TimePoint now) {
    handle_timeout(now);
    if (auto* allocation = allocations_.find(client)) {
        allocations_.destroy(*allocation);
    }
}

void TurnServer::handle_request(const TurnClient& client, const stun::MessageView& message, TimePoint now) {
    const auto sender = authenticator_.authenticate(message, client.path.remote.address, now);
    if (!sender) {
        turn_away(client, message, sender.error(), now);
        return;
    }
    auto* allocation = allocations_.find(client);
    const Request request{
        .client = client, .message = message, .sender = *sender, .now = now, .allocation = allocation};
    // Time-limited credentials limit when something is made, not how long it may be used by who made it: clients of
    // others have one set for a call, however long.
    const auto* connection = message.method() == stun::kConnectionBind
                                 ? allocations_.waiting_stream(message.connection_id().value_or(0))
                                 : nullptr;
    const auto* used = connection != nullptr ? connection->owner : allocation;
    if (sender->expired && (used == nullptr || used->username != sender->username)) {
        turn_away(client, message, 401, now);
        return;
    }
    if (const auto code = dispatch(request)) {
        refuse(request, *code);
    }
}

/// RFC 8489 §9.2.4: without integrity, because nobody has shown a key.
void TurnServer::turn_away(const TurnClient& client, const stun::MessageView& request, std::uint16_t code,
                           TimePoint now) {
    stun::MessageBuilder refusal{MessageClass::error, request.method(), request.transaction_id()};
    refusal.error_code(code, {});
    if (code != 400) {
        authenticator_.challenge(refusal, client.path.remote, now);
    }
    if (request.fingerprint()) {
        refusal.fingerprint();
    }
    auto bytes = refusal.finish();
    if (!strangers_.allow(client.path.remote.address, now, static_cast<double>(bytes.size() + kHeaders))) {
        ++stats_.limited;
        return;
    }
    ++stats_.challenged;
    outputs_.emplace_back(ToClient{.client = client, .message = std::move(bytes)});
}

TurnServer::Refusal TurnServer::dispatch(const Request& request) {
    const auto understood = std::span{kUnderstood}.first(kUnderstood.size() - (config_.dont_fragment ? 0 : 1));
    if (!request.message.unknown_required(understood).empty()) {
        return 420;
    }
    const auto method = request.message.method();
    if (method == stun::kAllocate) {
        return handle_allocate(request);
    }
    if (method == stun::kConnectionBind && config_.tcp_relays) {
        return handle_connection_bind(request);
    }
    return use_allocation(request);
}

TurnServer::Refusal TurnServer::use_allocation(const Request& request) {
    // RFC 8656 §5: no allocation, or one that is still being made; then, whose it is.
    if (request.allocation == nullptr || request.allocation->opening > 0) {
        return 437;
    }
    if (request.allocation->account != request.sender.account) {
        return 441;
    }
    // Whoever has fresh credentials goes on with them.
    if (!request.sender.expired) {
        request.allocation->username = request.sender.username;
    }
    const auto method = request.message.method();
    if (method == stun::kRefresh) {
        return handle_refresh(request);
    }
    if (method == stun::kCreatePermission) {
        return handle_create_permission(request);
    }
    if (method == stun::kChannelBind) {
        return handle_channel_bind(request);
    }
    return method == stun::kConnect && config_.tcp_relays ? handle_connect(request) : 400;
}

void TurnServer::refuse(const Request& request, std::uint16_t code) {
    ++stats_.refused;
    stun::MessageBuilder refusal{MessageClass::error, request.message.method(), request.message.transaction_id()};
    refusal.error_code(code, {});
    if (code == 420) {
        const auto understood = std::span{kUnderstood}.first(kUnderstood.size() - (config_.dont_fragment ? 0 : 1));
        refusal.unknown_attributes(request.message.unknown_required(understood));
    }
    answer(request.client, refusal, request.sender.protection);
}

void TurnServer::succeed(const Request& request) {
    stun::MessageBuilder success{MessageClass::success, request.message.method(), request.message.transaction_id()};
    answer(request.client, success, request.sender.protection);
}

void TurnServer::answer(const TurnClient& client, stun::MessageBuilder& builder, const Protection& protection) {
    if (protection.kind == IntegrityKind::sha256) {
        builder.integrity_sha256(protection.key.view());
    } else {
        builder.integrity(protection.key.view());
    }
    if (protection.fingerprint) {
        builder.fingerprint();
    }
    outputs_.emplace_back(ToClient{.client = client, .message = builder.finish()});
}

bool TurnServer::charge(const Allocation& allocation, std::size_t bytes, TimePoint now) {
    if (allocations_.allow_bytes(allocation, bytes, now)) {
        return true;
    }
    ++stats_.over_bandwidth;
    return false;
}

// RFC 8656 §12.6. A channel needs no permission on this way: its peer was judged when it was bound.
ForwardToPeer TurnServer::forward_client(const TurnClient& client, ByteView message, TimePoint now) {
    const auto data = stun::parse_channel_data(message);
    if (!data) {
        return {.verdict = Forward::slow};
    }
    const auto* allocation = allocations_.find(client);
    const auto* peer =
        allocation != nullptr && now < allocation->expires ? allocation->channels.peer_of(data->channel, now) : nullptr;
    if (peer == nullptr || !allocation->relay(peer->address.family())) {
        ++stats_.not_permitted;
        return {.verdict = Forward::drop};
    }
    if (!charge(*allocation, data->payload.size(), now)) {
        return {.verdict = Forward::drop};
    }
    ++stats_.to_peer;
    stats_.to_peer_bytes += data->payload.size();
    return {.verdict = Forward::send,
            .relay = *allocation->relay(peer->address.family()),
            .peer = peer,
            .payload = data->payload};
}

// RFC 8656 §12.7
ForwardToClient TurnServer::forward_peer(RelayId relay, const net::Endpoint& peer, std::size_t payload, TimePoint now) {
    const auto* entry = allocations_.relay(relay);
    const auto* allocation = entry == nullptr ? nullptr : entry->owner;
    if (allocation == nullptr || allocation->kind != RelayKind::udp || now >= allocation->expires ||
        !allocation->permissions.allows(peer.address, now)) {
        ++stats_.not_permitted;
        return {.verdict = Forward::drop};
    }
    const auto channel = allocation->channels.number_of(peer, now);
    if (!channel) {
        return {.verdict = Forward::slow};
    }
    if (!charge(*allocation, payload, now)) {
        return {.verdict = Forward::drop};
    }
    ++stats_.to_client;
    stats_.to_client_bytes += payload;
    return {.verdict = Forward::send, .client = &allocation->client, .channel = *channel};
}

void TurnServer::handle_timeout(TimePoint now) {
    while (auto* stream = allocations_.expire(now)) {
        if (stream->state == Stream::State::connecting) {
            refuse_connect(*stream, 447);
        }
        outputs_.emplace_back(CloseStream{stream->id});
        allocations_.forget_stream(*stream);
    }
}

std::optional<TimePoint> TurnServer::next_timeout() const {
    return allocations_.next_timeout();
}

std::optional<TurnOutput> TurnServer::poll_output() {
    if (outputs_.empty()) {
        return std::nullopt;
    }
    std::optional output{std::move(outputs_.front())};
    outputs_.pop_front();
    return output;
}

bool TurnServer::has_allocation(const TurnClient& client) const {
    return allocations_.find(client) != nullptr;
}

}  // namespace pinhole::turn
