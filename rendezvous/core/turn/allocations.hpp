// Everything that the TURN server keeps: allocations with their relayed addresses, permissions, channels and streams,
// reserved ports, and when each of them ends. What is destroyed takes along what belongs to it, says to the shell what
// is to be closed, and gives back its places; so nothing is left when all have gone. Knows no messages.
#pragma once

#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "common/stun/message.hpp"
#include "rendezvous/core/deadlines.hpp"
#include "rendezvous/core/turn/authenticator.hpp"
#include "rendezvous/core/turn/channels.hpp"
#include "rendezvous/core/turn/config.hpp"
#include "rendezvous/core/turn/permissions.hpp"
#include "rendezvous/core/turn/quotas.hpp"
#include "rendezvous/core/turn/slots.hpp"
#include "rendezvous/core/turn/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace pinhole::turn {

using AllocationId = StrongId<struct AllocationIdTag>;

/// A request whose answer comes later, or again.
struct Asked {
    stun::TransactionId transaction{};
    Protection protection{};
};

struct Allocation {
    AllocationId id{};
    TurnClient client{};
    std::string account{};
    std::string username{};
    Quotas::Place place{};
    RelayKind kind = RelayKind::udp;
    Asked asked{};
    /// One of a family at most.
    std::array<std::optional<RelayId>, 2> relays{};
    /// A family that was wanted and cannot be had, and why (RFC 8656 §7.2).
    std::optional<stun::AddressErrorCode> missing{};
    /// Reserved for this client; RFC 8656 §7.2.
    std::optional<std::uint64_t> token{};
    /// Relays that the shell has not opened yet; until it has, there is no answer to the client.
    std::size_t opening = 0;
    TimePoint expires{};
    Permissions permissions{};
    Channels channels{};
    std::vector<StreamId> streams{};

    [[nodiscard]] std::optional<RelayId>& relay(net::Family family) {
        return relays[family == net::Family::v4 ? 0 : 1];
    }

    [[nodiscard]] const std::optional<RelayId>& relay(net::Family family) const {
        return relays[family == net::Family::v4 ? 0 : 1];
    }
};

struct Relay {
    RelayId id{};
    /// Null: reserved.
    Allocation* owner = nullptr;
    net::Family family = net::Family::v4;
    std::optional<net::Endpoint> relayed{};
    /// The socket that is opened together with this one, and the place that it takes.
    std::optional<RelayId> next{};
    std::optional<Quotas::Place> next_place{};
};

struct Reservation {
    RelayId relay;
    std::string account;
    Quotas::Place place;
};

struct Stream {
    enum class State : std::uint8_t { connecting, waiting, paired };

    StreamId id{};
    Allocation* owner = nullptr;
    RelayId relay{};
    net::Endpoint peer{};
    State state = State::connecting;
    /// RFC 6062 §6.2.1, for the client.
    std::uint32_t connection = 0;
    /// The Connect, if it was one.
    Asked asked{};
};

class Allocations {
  public:
    /// What is to be closed goes to `outputs`; both outlive this.
    Allocations(const TurnConfig& config, Rng& rng, std::deque<TurnOutput>& outputs);

    // Null if there is none.
    [[nodiscard]] Allocation* find(const TurnClient& client);
    [[nodiscard]] const Allocation* find(const TurnClient& client) const;

    [[nodiscard]] Relay* relay(RelayId id) { return relays_.find(id); }

    [[nodiscard]] Stream* stream(StreamId id) { return streams_.find(id); }

    [[nodiscard]] Stream* waiting_stream(std::uint32_t connection);

    /// Whether there are as many places.
    [[nodiscard]] Quotas::Refusal check(const std::string& account, const net::Address& client,
                                        std::size_t places) const {
        return quotas_.check(account, client, places);
    }

    /// After `check`. Without relays yet; ends after `lifetime`.
    Allocation& create(const TurnClient& client, const Authenticated& owner, Duration lifetime, TimePoint now);
    Relay& add_relay(Allocation& allocation, net::Family family);
    /// The second one of a pair; takes a place of its own, also after `check`.
    void add_next(Relay& relay, TimePoint now);
    /// A pair is open: the second one waits for whoever has the token.
    [[nodiscard]] std::uint64_t reserve_next(Relay& relay, TimePoint now);
    /// Null if the token is not of this account, or of nobody.
    [[nodiscard]] Relay* reserved(std::uint64_t token, const std::string& account);
    /// The reserved relay and its place become an allocation's.
    Allocation& redeem(std::uint64_t token, const TurnClient& client, const Authenticated& owner, TimePoint expires);
    /// RFC 6062: one more connection to a peer; null if there are too many.
    [[nodiscard]] Stream* add_stream(Relay& relay, const net::Endpoint& peer, TimePoint deadline);
    /// It waits for its ConnectionBind.
    void await_bind(Stream& stream, TimePoint deadline);
    void pair(Stream& stream);

    /// After a change of its times.
    void reschedule(Allocation& allocation);
    void destroy(Allocation& allocation);
    /// The allocation keeps the other one.
    void close_relay(Allocation& allocation, net::Family family);
    /// The shell could not open it.
    void forget_relay(const Relay& relay);
    void forget_stream(Stream& stream);

    [[nodiscard]] bool allow_bytes(const Allocation& allocation, std::size_t bytes, TimePoint now) {
        return quotas_.allow_bytes(allocation.place, bytes, now);
    }

    /// Ends what is over. Streams that have waited in vain are not closed but handed out, one a call.
    [[nodiscard]] Stream* expire(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;
    [[nodiscard]] TurnCounts counts() const;

  private:
    /// Keyed, because clients choose their addresses and could choose them to collide.
    struct ClientHash {
        std::uint64_t key = 0;
        [[nodiscard]] std::size_t operator()(const TurnClient& client) const;
    };

    Allocation& insert(const TurnClient& client, const Authenticated& owner, const Quotas::Place& place);
    void erase(const Relay& relay);
    void end_reservation(RelayId relay);

    TurnConfig config_;
    Rng& rng_;
    std::deque<TurnOutput>& outputs_;
    Quotas quotas_;
    Slots<AllocationId, Allocation> allocations_;
    Slots<RelayId, Relay> relays_;
    Slots<StreamId, Stream> streams_;
    /// For finding only; nothing walks through it.
    std::unordered_map<TurnClient, Allocation*, ClientHash> by_client_;
    std::map<std::uint64_t, Reservation> reservations_;
    std::map<RelayId, std::uint64_t> tokens_;
    std::map<std::uint32_t, StreamId> waiting_;
    rendezvous::Deadlines<AllocationId> allocation_deadlines_;
    rendezvous::Deadlines<RelayId> reservation_deadlines_;
    rendezvous::Deadlines<StreamId> stream_deadlines_;
};

}  // namespace pinhole::turn
