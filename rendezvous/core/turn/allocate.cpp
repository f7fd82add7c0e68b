// Allocate and Refresh (RFC 8656 §7, §8), and what the shell says of relayed addresses.
#include "rendezvous/core/turn/turn_server.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::turn {

namespace {

using net::Family;
using stun::AttributeType;
using stun::MessageClass;

constexpr std::uint16_t kBadRequest = 400;
constexpr std::uint16_t kFamilyNotSupported = 440;
constexpr std::uint16_t kTransportNotSupported = 442;
constexpr std::uint16_t kQuotaReached = 486;
constexpr std::uint16_t kNoCapacity = 508;

/// Present, and not of the form that it should have.
template <class Value>
bool is_broken(const stun::MessageView& message, AttributeType type, const std::optional<Value>& value) {
    return !value && message.has(type);
}

std::uint16_t error_of(Quotas::Refusal refusal) {
    return refusal == Quotas::Refusal::total ? kNoCapacity : kQuotaReached;
}

}  // namespace

struct TurnServer::Wishes {
    RelayKind kind = RelayKind::udp;
    bool v4 = false;
    bool v6 = false;
    std::optional<stun::AddressErrorCode> missing{};
    PortWish port = PortWish::any;
    std::optional<std::uint64_t> token{};
    Duration lifetime{};
};

Duration TurnServer::granted(std::optional<std::chrono::seconds> wanted) const {
    const auto& lifetimes = config_.lifetimes;
    return std::clamp<Duration>(wanted.value_or(std::chrono::seconds{0}), lifetimes.allocation,
                                std::max(lifetimes.allocation, lifetimes.max_allocation));
}

// RFC 8656 §7.2, steps 3 to 9; RFC 6062 §5.1.
std::expected<TurnServer::Wishes, std::uint16_t> TurnServer::read_wishes(const Request& request) const {
    const auto& message = request.message;
    const auto protocol = message.requested_transport();
    const auto lifetime = message.lifetime();
    const auto even_port = message.even_port();
    Wishes wishes{.token = message.reservation_token(), .lifetime = granted(lifetime)};
    if (!protocol || is_broken(message, AttributeType::lifetime, lifetime) ||
        is_broken(message, AttributeType::even_port, even_port) ||
        is_broken(message, AttributeType::reservation_token, wishes.token)) {
        return std::unexpected{kBadRequest};
    }
    const bool tcp = *protocol == stun::kTransportTcp && config_.tcp_relays;
    if (!tcp && *protocol != stun::kTransportUdp) {
        return std::unexpected{kTransportNotSupported};
    }
    wishes.kind = tcp ? RelayKind::tcp : RelayKind::udp;
    if (tcp &&
        (!request.client.is_stream() || even_port || wishes.token || message.has(AttributeType::dont_fragment))) {
        return std::unexpected{kBadRequest};
    }
    const bool families = message.has(AttributeType::requested_address_family) ||
                          message.has(AttributeType::additional_address_family) || message.additional_address_family();
    if (wishes.token && (even_port || families)) {
        return std::unexpected{kBadRequest};
    }
    if (even_port) {
        wishes.port = *even_port ? PortWish::even_and_next : PortWish::even;
    }
    if (const auto code = choose_families(message, wishes)) {
        return std::unexpected{*code};
    }
    return wishes;
}

TurnServer::Refusal TurnServer::choose_families(const stun::MessageView& message, Wishes& wishes) const {
    const auto requested = message.requested_address_family();
    const auto additional = message.additional_address_family();
    if (is_broken(message, AttributeType::requested_address_family, requested)) {
        return kFamilyNotSupported;
    }
    if (!message.has(AttributeType::additional_address_family) && !additional) {
        wishes.v4 = requested.value_or(Family::v4) == Family::v4;
        wishes.v6 = !wishes.v4;
        const bool served = wishes.v4 ? config_.v4 : config_.v6;
        return served || wishes.token ? Refusal{} : kFamilyNotSupported;
    }
    // RFC 8656 §7.2: the additional one is IPv6; a reserved port cannot be one of two addresses.
    if (requested || additional != Family::v6 || wishes.port == PortWish::even_and_next) {
        return kBadRequest;
    }
    wishes.v4 = config_.v4;
    wishes.v6 = config_.v6;
    if (!wishes.v4 && !wishes.v6) {
        return kFamilyNotSupported;
    }
    if (!wishes.v4 || !wishes.v6) {
        wishes.missing = {.family = wishes.v4 ? Family::v6 : Family::v4,
                          .error = {.code = kFamilyNotSupported, .reason = {}}};
    }
    return {};
}

TurnServer::Refusal TurnServer::handle_allocate(const Request& request) {
    if (const auto* existing = request.allocation) {
        // RFC 8656 §7.2: an Allocate sent again is answered as the first time.
        if (existing->asked.transaction != request.message.transaction_id() ||
            existing->account != request.sender.account) {
            return 437;
        }
        if (existing->opening == 0) {
            answer_allocate(*existing, request.now);
        }
        return {};
    }
    const auto wishes = read_wishes(request);
    if (!wishes) {
        return wishes.error();
    }
    return wishes->token ? take_reservation(request, *wishes) : open_relays(request, *wishes);
}

TurnServer::Refusal TurnServer::take_reservation(const Request& request, const Wishes& wishes) {
    if (allocations_.reserved(*wishes.token, request.sender.account) == nullptr) {
        return kNoCapacity;
    }
    auto& allocation =
        allocations_.redeem(*wishes.token, request.client, request.sender, request.now + wishes.lifetime);
    allocation.asked.transaction = request.message.transaction_id();
    ++stats_.allocated;
    answer_allocate(allocation, request.now);
    return {};
}

TurnServer::Refusal TurnServer::open_relays(const Request& request, const Wishes& wishes) {
    const bool pair = wishes.port == PortWish::even_and_next;
    const auto refusal = allocations_.check(request.sender.account, request.client.path.remote.address, pair ? 2 : 1);
    if (refusal != Quotas::Refusal::none) {
        return error_of(refusal);
    }
    auto& allocation = allocations_.create(request.client, request.sender, wishes.lifetime, request.now);
    allocation.kind = wishes.kind;
    allocation.asked.transaction = request.message.transaction_id();
    allocation.missing = wishes.missing;
    for (const auto family : {Family::v4, Family::v6}) {
        if (!(family == Family::v4 ? wishes.v4 : wishes.v6)) {
            continue;
        }
        auto& relay = allocations_.add_relay(allocation, family);
        if (pair) {
            allocations_.add_next(relay, request.now);
        }
        outputs_.emplace_back(OpenRelay{.relay = relay.id,
                                        .kind = wishes.kind,
                                        .family = family,
                                        .port = wishes.port,
                                        .next = relay.next,
                                        .client = request.client});
    }
    return {};
}

void TurnServer::handle_relay_opened(RelayId id, const net::Endpoint& relayed, TimePoint now) {
    handle_timeout(now);
    auto* relay = allocations_.relay(id);
    if (relay == nullptr || relay->owner == nullptr || relay->relayed) {
        return;
    }
    relay->relayed = relayed;
    if (relay->next) {
        relay->owner->token = allocations_.reserve_next(*relay, now);
    }
    relay_answered(*relay->owner, now);
}

void TurnServer::handle_relay_failed(RelayId id, TimePoint now) {
    handle_timeout(now);
    auto* relay = allocations_.relay(id);
    if (relay == nullptr || relay->owner == nullptr || relay->relayed) {
        return;
    }
    auto& allocation = *relay->owner;
    allocation.missing = {.family = relay->family, .error = {.code = kNoCapacity, .reason = {}}};
    allocations_.forget_relay(*relay);
    relay_answered(allocation, now);
}

void TurnServer::relay_answered(Allocation& allocation, TimePoint now) {
    if (--allocation.opening > 0) {
        return;
    }
    if (allocation.relays[0] || allocation.relays[1]) {
        ++stats_.allocated;
        answer_allocate(allocation, now);
        return;
    }
    ++stats_.refused;
    stun::MessageBuilder refusal{MessageClass::error, stun::kAllocate, allocation.asked.transaction};
    refusal.error_code(kNoCapacity, {});
    answer(allocation.client, refusal, allocation.asked.protection);
    allocations_.destroy(allocation);
}

// RFC 8656 §7.2
void TurnServer::answer_allocate(const Allocation& allocation, TimePoint now) {
    stun::MessageBuilder success{MessageClass::success, stun::kAllocate, allocation.asked.transaction};
    for (const auto& id : allocation.relays) {
        if (id) {
            success.address(AttributeType::xor_relayed_address, *allocations_.relay(*id)->relayed);
        }
    }
    // Rounded, so that the moment in which the port was opened does not cost a second.
    success.lifetime(std::chrono::round<std::chrono::seconds>(allocation.expires - now));
    if (allocation.token) {
        success.u64(AttributeType::reservation_token, *allocation.token);
    }
    const auto& remote = allocation.client.path.remote;
    success.address(AttributeType::xor_mapped_address,
                    net::Endpoint{.address = remote.address.unmapped(), .port = remote.port});
    if (allocation.missing) {
        success.address_error_code(allocation.missing->family, allocation.missing->error.code, {});
    }
    answer(allocation.client, success, allocation.asked.protection);
}

// RFC 8656 §8.2
TurnServer::Refusal TurnServer::handle_refresh(const Request& request) {
    auto& allocation = *request.allocation;
    const auto lifetime = request.message.lifetime();
    const auto family = request.message.requested_address_family();
    if (is_broken(request.message, AttributeType::lifetime, lifetime)) {
        return kBadRequest;
    }
    if (request.message.has(AttributeType::requested_address_family) && (!family || !allocation.relay(*family))) {
        return 443;
    }
    const bool ends = lifetime == std::chrono::seconds{0};
    const auto granted_now = ends ? Duration{} : granted(lifetime);
    stun::MessageBuilder success{MessageClass::success, stun::kRefresh, request.message.transaction_id()};
    success.lifetime(std::chrono::duration_cast<std::chrono::seconds>(granted_now));
    answer(request.client, success, request.sender.protection);
    if (!ends) {
        allocation.expires = request.now + granted_now;
        allocations_.reschedule(allocation);
    } else if (family && allocation.relays[0] && allocation.relays[1]) {
        allocations_.close_relay(allocation, *family);
    } else {
        allocations_.destroy(allocation);
    }
    return {};
}

}  // namespace pinhole::turn
