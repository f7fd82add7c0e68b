#include "rendezvous/core/turn/allocations.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace pinhole::turn {

namespace {

/// The finalizer of SplitMix64: every bit of the input changes half of the output.
std::uint64_t mix(std::uint64_t value) {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
    value = (value ^ value >> 27) * 0x94d049bb133111ebU;
    return value ^ value >> 31;
}

std::uint64_t absorb(std::uint64_t hash, const net::Endpoint& endpoint) {
    ByteReader reader{endpoint.address.bytes()};
    while (const auto word = reader.u32()) {
        hash = mix(hash ^ *word) + std::rotl(hash, 23);
    }
    return mix(hash ^ (static_cast<std::uint64_t>(endpoint.port) << 32 | endpoint.address.scope()));
}

Quotas::Config quota_config(const TurnConfig::Limits& limits) {
    return {.places = limits.allocations,
            .places_per_account = limits.allocations_per_account,
            .places_per_source = limits.allocations_per_source,
            .bytes_per_second = limits.bytes_per_second,
            .account_bytes_per_second = limits.account_bytes_per_second};
}

}  // namespace

std::size_t Allocations::ClientHash::operator()(const TurnClient& client) const {
    const auto remote = absorb(key, client.path.remote);
    return absorb(remote + static_cast<std::uint64_t>(client.transport), client.path.local);
}

Allocations::Allocations(const TurnConfig& config, Rng& rng, std::deque<TurnOutput>& outputs)
    : config_(config),
      rng_(rng),
      outputs_(outputs),
      quotas_(quota_config(config.limits)),
      by_client_(0, ClientHash{.key = rng.u64()}) {}

Allocation* Allocations::find(const TurnClient& client) {
    return const_cast<Allocation*>(std::as_const(*this).find(client));
}

const Allocation* Allocations::find(const TurnClient& client) const {
    const auto found = by_client_.find(client);
    return found == by_client_.end() ? nullptr : found->second;
}

Stream* Allocations::waiting_stream(std::uint32_t connection) {
    const auto found = waiting_.find(connection);
    return found == waiting_.end() ? nullptr : streams_.find(found->second);
}

Allocation& Allocations::insert(const TurnClient& client, const Authenticated& owner, const Quotas::Place& place) {
    auto& allocation = allocations_.insert({.client = client,
                                            .account = owner.account,
                                            .username = owner.username,
                                            .place = place,
                                            .asked = {.protection = owner.protection}});
    by_client_.emplace(client, &allocation);
    return allocation;
}

Allocation& Allocations::create(const TurnClient& client, const Authenticated& owner, Duration lifetime,
                                TimePoint now) {
    auto& allocation = insert(client, owner, quotas_.take(owner.account, client.path.remote.address, now));
    allocation.expires = now + lifetime;
    reschedule(allocation);
    return allocation;
}

Relay& Allocations::add_relay(Allocation& allocation, net::Family family) {
    auto& relay = relays_.insert({.owner = &allocation, .family = family});
    allocation.relay(family) = relay.id;
    ++allocation.opening;
    return relay;
}

void Allocations::add_next(Relay& relay, TimePoint now) {
    relay.next = relays_.insert({.family = relay.family}).id;
    relay.next_place = quotas_.take(relay.owner->account, relay.owner->client.path.remote.address, now);
}

std::uint64_t Allocations::reserve_next(Relay& relay, TimePoint now) {
    auto token = rng_.u64();
    while (reservations_.contains(token)) {
        token = rng_.u64();
    }
    const auto next = *std::exchange(relay.next, std::nullopt);
    auto& reserved = *relays_.find(next);
    reserved.relayed =
        net::Endpoint{.address = relay.relayed->address, .port = static_cast<std::uint16_t>(relay.relayed->port + 1)};
    reservations_.emplace(token, Reservation{.relay = next,
                                             .account = relay.owner->account,
                                             .place = *std::exchange(relay.next_place, std::nullopt)});
    tokens_.emplace(next, token);
    reservation_deadlines_.set(next, now + config_.lifetimes.reservation);
    return token;
}

Relay* Allocations::reserved(std::uint64_t token, const std::string& account) {
    const auto found = reservations_.find(token);
    return found == reservations_.end() || found->second.account != account ? nullptr
                                                                            : relays_.find(found->second.relay);
}

Allocation& Allocations::redeem(std::uint64_t token, const TurnClient& client, const Authenticated& owner,
                                TimePoint expires) {
    auto reservation = reservations_.extract(token);
    auto& relay = *relays_.find(reservation.mapped().relay);
    tokens_.erase(relay.id);
    reservation_deadlines_.set(relay.id, std::nullopt);
    auto& allocation = insert(client, owner, reservation.mapped().place);
    relay.owner = &allocation;
    allocation.relay(relay.family) = relay.id;
    allocation.expires = expires;
    reschedule(allocation);
    return allocation;
}

Stream* Allocations::add_stream(Relay& relay, const net::Endpoint& peer, TimePoint deadline) {
    auto& owner = *relay.owner;
    if (owner.streams.size() >= config_.limits.streams) {
        return nullptr;
    }
    auto& stream = streams_.insert({.owner = &owner, .relay = relay.id, .peer = peer});
    owner.streams.push_back(stream.id);
    stream_deadlines_.set(stream.id, deadline);
    return &stream;
}

void Allocations::await_bind(Stream& stream, TimePoint deadline) {
    do {
        stream.connection = rng_.u32();
    } while (waiting_.contains(stream.connection));
    waiting_.emplace(stream.connection, stream.id);
    stream.state = Stream::State::waiting;
    stream_deadlines_.set(stream.id, deadline);
}

void Allocations::pair(Stream& stream) {
    waiting_.erase(stream.connection);
    stream.state = Stream::State::paired;
    stream_deadlines_.set(stream.id, std::nullopt);
}

void Allocations::reschedule(Allocation& allocation) {
    auto next = earliest(allocation.expires, allocation.permissions.next_timeout());
    next = earliest(next, allocation.channels.next_timeout());
    allocation_deadlines_.set(allocation.id, next);
}

void Allocations::erase(const Relay& relay) {
    if (relay.next) {
        quotas_.release(*relay.next_place);
        relays_.erase(*relay.next);
    }
    relays_.erase(relay.id);
}

void Allocations::close_relay(Allocation& allocation, net::Family family) {
    auto& id = allocation.relay(family);
    if (const auto* relay = id ? relays_.find(*id) : nullptr) {
        outputs_.emplace_back(CloseRelay{relay->id});
        erase(*relay);
    }
    id.reset();
}

void Allocations::forget_relay(const Relay& relay) {
    relay.owner->relay(relay.family).reset();
    erase(relay);
}

void Allocations::forget_stream(Stream& stream) {
    if (stream.state == Stream::State::waiting) {
        waiting_.erase(stream.connection);
    }
    stream_deadlines_.set(stream.id, std::nullopt);
    std::erase(stream.owner->streams, stream.id);
    streams_.erase(stream.id);
}

void Allocations::destroy(Allocation& allocation) {
    while (!allocation.streams.empty()) {
        const auto id = allocation.streams.back();
        outputs_.emplace_back(CloseStream{id});
        forget_stream(*streams_.find(id));
    }
    close_relay(allocation, net::Family::v4);
    close_relay(allocation, net::Family::v6);
    quotas_.release(allocation.place);
    by_client_.erase(allocation.client);
    allocation_deadlines_.set(allocation.id, std::nullopt);
    allocations_.erase(allocation.id);
}

void Allocations::end_reservation(RelayId relay) {
    const auto token = tokens_.extract(relay);
    const auto reservation = reservations_.extract(token.mapped());
    quotas_.release(reservation.mapped().place);
    outputs_.emplace_back(CloseRelay{relay});
    relays_.erase(relay);
}

Stream* Allocations::expire(TimePoint now) {
    while (const auto id = allocation_deadlines_.expire(now)) {
        auto& allocation = *allocations_.find(*id);
        if (allocation.expires <= now) {
            destroy(allocation);
            continue;
        }
        allocation.permissions.expire(now);
        allocation.channels.expire(now);
        reschedule(allocation);
    }
    while (const auto relay = reservation_deadlines_.expire(now)) {
        end_reservation(*relay);
    }
    const auto stream = stream_deadlines_.expire(now);
    return stream ? streams_.find(*stream) : nullptr;
}

std::optional<TimePoint> Allocations::next_timeout() const {
    return earliest(earliest(allocation_deadlines_.next(), reservation_deadlines_.next()), stream_deadlines_.next());
}

TurnCounts Allocations::counts() const {
    TurnCounts counts{.allocations = allocations_.size(),
                      .relays = relays_.size(),
                      .reservations = reservations_.size(),
                      .streams = streams_.size(),
                      .accounts = quotas_.accounts(),
                      .sources = quotas_.sources()};
    allocations_.for_each([&](const Allocation& allocation) {
        counts.permissions += allocation.permissions.size();
        counts.channels += allocation.channels.size();
    });
    return counts;
}

}  // namespace pinhole::turn
