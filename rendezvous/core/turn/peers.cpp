// Permissions, channels and datagrams (RFC 8656 §9 to §12), and errors that the network reports of them.
#include "common/stun/channel_data.hpp"
#include "rendezvous/core/turn/turn_server.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::turn {

namespace {

using stun::AttributeType;
using stun::MessageClass;

constexpr std::uint16_t kBadRequest = 400;
constexpr std::uint16_t kForbidden = 403;
constexpr std::uint16_t kPeerFamilyMismatch = 443;
constexpr std::uint16_t kNoCapacity = 508;

// RFC 8656 §11.5: unreachable and time exceeded; unreachable, too big, time exceeded.
bool is_reported(net::Family family, std::uint8_t type) {
    return family == net::Family::v4 ? type == 3 || type == 11 : type >= 1 && type <= 3;
}

}  // namespace

TurnServer::Refusal TurnServer::judge(const Allocation& allocation, const net::Endpoint& peer) const {
    if (!allocation.relay(peer.address.family())) {
        return kPeerFamilyMismatch;
    }
    return policy_.permits(peer) ? Refusal{} : kForbidden;
}

// RFC 8656 §10.2: all of them or none.
TurnServer::Refusal TurnServer::handle_create_permission(const Request& request) {
    auto& allocation = *request.allocation;
    const auto peers = request.message.xor_peer_addresses();
    if (!peers || peers->empty()) {
        return kBadRequest;
    }
    for (const auto& peer : *peers) {
        if (!allocation.relay(peer.address.family())) {
            return kPeerFamilyMismatch;
        }
        if (!policy_.permits(peer.address)) {
            return kForbidden;
        }
    }
    if (!allocation.permissions.refresh(*peers, request.now + config_.lifetimes.permission,
                                        config_.limits.permissions)) {
        return kNoCapacity;
    }
    allocations_.reschedule(allocation);
    succeed(request);
    return {};
}

// RFC 8656 §12.2
TurnServer::Refusal TurnServer::handle_channel_bind(const Request& request) {
    auto& allocation = *request.allocation;
    const auto number = request.message.channel_number();
    const auto peer = request.message.xor_peer_address();
    if (allocation.kind != RelayKind::udp || !number || !peer || !stun::is_channel(*number)) {
        return kBadRequest;
    }
    if (const auto code = judge(allocation, *peer)) {
        return code;
    }
    const auto bound = allocation.channels.check(*number, *peer, config_.limits.channels);
    if (bound != Channels::Bound::yes) {
        return bound == Channels::Bound::taken ? kBadRequest : kNoCapacity;
    }
    if (!allocation.permissions.refresh(std::span{&*peer, 1}, request.now + config_.lifetimes.permission,
                                        config_.limits.permissions)) {
        return kNoCapacity;
    }
    const auto until = request.now + config_.lifetimes.channel;
    allocation.channels.bind(
        {.number = *number, .peer = *peer, .until = until, .free_at = until + config_.lifetimes.channel_rest});
    allocations_.reschedule(allocation);
    succeed(request);
    return {};
}

// RFC 8656 §11.2
void TurnServer::handle_send(const TurnClient& client, const stun::MessageView& indication, TimePoint now) {
    constexpr std::array kUnderstood{AttributeType::xor_peer_address, AttributeType::data,
                                     AttributeType::dont_fragment};
    const auto understood = std::span{kUnderstood}.first(config_.dont_fragment ? 3 : 2);
    const auto peer = indication.xor_peer_address();
    const auto payload = indication.data();
    if (!peer || !payload || !indication.unknown_required(understood).empty()) {
        ++stats_.malformed;
        return;
    }
    const auto* allocation = allocations_.find(client);
    if (allocation == nullptr || allocation->opening > 0 || allocation->kind != RelayKind::udp ||
        !allocation->permissions.allows(peer->address, now) || judge(*allocation, *peer)) {
        ++stats_.not_permitted;
        return;
    }
    if (!charge(*allocation, payload->size(), now)) {
        return;
    }
    ++stats_.to_peer;
    stats_.to_peer_bytes += payload->size();
    outputs_.emplace_back(ToPeer{.relay = *allocation->relay(peer->address.family()),
                                 .peer = *peer,
                                 .payload = to_bytes(*payload),
                                 .dont_fragment = indication.dont_fragment()});
}

// RFC 8656 §11.3, §12.7
void TurnServer::handle_peer(RelayId relay, const net::Endpoint& peer, ByteView payload, TimePoint now) {
    handle_timeout(now);
    const auto forward = forward_peer(relay, peer, payload.size(), now);
    if (forward.verdict == Forward::send) {
        outputs_.emplace_back(ToClient{
            .client = *forward.client,
            .message =
                stun::channel_message({.channel = forward.channel, .payload = payload}, forward.client->is_stream())});
        return;
    }
    if (forward.verdict == Forward::drop) {
        return;
    }
    const auto& allocation = *allocations_.relay(relay)->owner;
    if (!charge(allocation, payload.size(), now)) {
        return;
    }
    stun::MessageBuilder data{MessageClass::indication, stun::kData, stun::TransactionId::generate(rng_)};
    data.address(AttributeType::xor_peer_address, peer).attribute(AttributeType::data, payload);
    if (auto message = data.finish(); !message.empty()) {
        ++stats_.to_client;
        stats_.to_client_bytes += payload.size();
        outputs_.emplace_back(ToClient{.client = allocation.client, .message = std::move(message)});
    }
}

// RFC 8656 §11.5
void TurnServer::handle_icmp(RelayId relay, const net::Endpoint& peer, const stun::IcmpError& error, TimePoint now) {
    handle_timeout(now);
    const auto* entry = allocations_.relay(relay);
    const auto* allocation = entry == nullptr ? nullptr : entry->owner;
    if (allocation == nullptr || !is_reported(peer.address.family(), error.type) ||
        !allocation->permissions.allows(peer.address, now)) {
        return;
    }
    stun::MessageBuilder data{MessageClass::indication, stun::kData, stun::TransactionId::generate(rng_)};
    data.address(AttributeType::xor_peer_address, peer).icmp(error);
    outputs_.emplace_back(ToClient{.client = allocation->client, .message = data.finish()});
}

}  // namespace pinhole::turn
