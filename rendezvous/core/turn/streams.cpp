// TCP between relayed addresses and peers (RFC 6062 §5): connections that a client asks for, that peers make, and the
// client's own connections that carry them.
#include "rendezvous/core/turn/turn_server.hpp"

#include <algorithm>

namespace pinhole::turn {

namespace {

using stun::AttributeType;
using stun::MessageClass;

constexpr std::uint16_t kBadRequest = 400;
constexpr std::uint16_t kMismatch = 437;
constexpr std::uint16_t kWrongCredentials = 441;
constexpr std::uint16_t kAlreadyExists = 446;
constexpr std::uint16_t kFailure = 447;
constexpr std::uint16_t kNoCapacity = 508;
/// What passes at once when the bandwidth is short: little enough to be fair, enough to be worth a system call.
constexpr std::size_t kSmallShare = 16 * 1024;

}  // namespace

// RFC 6062 §5.2
TurnServer::Refusal TurnServer::handle_connect(const Request& request) {
    auto& allocation = *request.allocation;
    const auto peer = request.message.xor_peer_address();
    if (allocation.kind != RelayKind::tcp || !peer) {
        return kBadRequest;
    }
    if (const auto code = judge(allocation, *peer)) {
        return code;
    }
    const auto same = [&](StreamId id) { return allocations_.stream(id)->peer == *peer; };
    if (std::ranges::any_of(allocation.streams, same)) {
        return kAlreadyExists;
    }
    auto& relay = *allocations_.relay(*allocation.relay(peer->address.family()));
    auto* stream = allocations_.add_stream(relay, *peer, request.now + config_.lifetimes.connect);
    if (stream == nullptr) {
        return kNoCapacity;
    }
    stream->asked = {.transaction = request.message.transaction_id(), .protection = request.sender.protection};
    outputs_.emplace_back(ConnectPeer{.stream = stream->id, .relay = relay.id, .peer = *peer});
    return {};
}

void TurnServer::refuse_connect(const Stream& stream, std::uint16_t code) {
    ++stats_.refused;
    stun::MessageBuilder refusal{MessageClass::error, stun::kConnect, stream.asked.transaction};
    refusal.error_code(code, {});
    answer(stream.owner->client, refusal, stream.asked.protection);
}

void TurnServer::handle_peer_connected(StreamId id, TimePoint now) {
    handle_timeout(now);
    auto* stream = allocations_.stream(id);
    if (stream == nullptr || stream->state != Stream::State::connecting) {
        return;
    }
    allocations_.await_bind(*stream, now + config_.lifetimes.bind);
    stun::MessageBuilder success{MessageClass::success, stun::kConnect, stream->asked.transaction};
    success.u32(AttributeType::connection_id, stream->connection);
    answer(stream->owner->client, success, stream->asked.protection);
}

void TurnServer::handle_peer_failed(StreamId id, TimePoint now) {
    handle_timeout(now);
    auto* stream = allocations_.stream(id);
    if (stream != nullptr && stream->state == Stream::State::connecting) {
        refuse_connect(*stream, kFailure);
        allocations_.forget_stream(*stream);
    }
}

// RFC 6062 §5.3
std::optional<StreamId> TurnServer::handle_peer_accepted(RelayId relay, const net::Endpoint& peer, TimePoint now) {
    handle_timeout(now);
    auto* entry = allocations_.relay(relay);
    auto* allocation = entry == nullptr ? nullptr : entry->owner;
    if (allocation == nullptr || allocation->kind != RelayKind::tcp || allocation->opening > 0 ||
        !allocation->permissions.allows(peer.address, now)) {
        ++stats_.not_permitted;
        return std::nullopt;
    }
    auto* stream = allocations_.add_stream(*entry, peer, now + config_.lifetimes.bind);
    if (stream == nullptr) {
        ++stats_.refused;
        return std::nullopt;
    }
    allocations_.await_bind(*stream, now + config_.lifetimes.bind);
    stun::MessageBuilder attempt{MessageClass::indication, stun::kConnectionAttempt,
                                 stun::TransactionId::generate(rng_)};
    attempt.u32(AttributeType::connection_id, stream->connection).address(AttributeType::xor_peer_address, peer);
    outputs_.emplace_back(ToClient{.client = allocation->client, .message = attempt.finish()});
    return stream->id;
}

// RFC 6062 §5.4
TurnServer::Refusal TurnServer::handle_connection_bind(const Request& request) {
    if (request.allocation != nullptr) {
        return kMismatch;
    }
    const auto connection = request.message.connection_id();
    auto* stream = connection ? allocations_.waiting_stream(*connection) : nullptr;
    if (!request.client.is_stream() || stream == nullptr) {
        return kBadRequest;
    }
    if (stream->owner->account != request.sender.account) {
        return kWrongCredentials;
    }
    allocations_.pair(*stream);
    stun::MessageBuilder success{MessageClass::success, stun::kConnectionBind, request.message.transaction_id()};
    success.u32(AttributeType::connection_id, *connection);
    answer(request.client, success, request.sender.protection);
    outputs_.emplace_back(PairStreams{.stream = stream->id, .client = request.client});
    return {};
}

void TurnServer::handle_stream_closed(StreamId id, TimePoint now) {
    handle_timeout(now);
    if (auto* stream = allocations_.stream(id)) {
        if (stream->state == Stream::State::connecting) {
            refuse_connect(*stream, kFailure);
        }
        allocations_.forget_stream(*stream);
    }
}

std::size_t TurnServer::allow_stream_bytes(StreamId id, std::size_t wanted, TimePoint now) {
    const auto* stream = allocations_.stream(id);
    if (stream == nullptr || stream->state != Stream::State::paired) {
        return 0;
    }
    for (const auto share : {wanted, std::min(wanted, kSmallShare)}) {
        if (allocations_.allow_bytes(*stream->owner, share, now)) {
            stats_.stream_bytes += share;
            return share;
        }
    }
    return 0;
}

}  // namespace pinhole::turn
