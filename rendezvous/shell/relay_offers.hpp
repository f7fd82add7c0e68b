// The relays that peers are told of, each with credentials made for the peer that asks: good for a while, and for that
// peer's account alone. Knows no clock and no sockets.
#pragma once

#include "common/crypto/keys.hpp"
#include "common/signaling/messages.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::rendezvous {

/// How long credentials are good for: a session of a day's work begins with fresh ones, and what is stolen is worth
/// little the day after.
inline constexpr Duration kCredentialLifetime = 12h;
/// Peers get new ones when half of the time is over: a server that is away for hours costs nobody the relay.
inline constexpr Duration kCredentialRenewal = kCredentialLifetime / 2;

struct RelayOffer {
    /// Empty with port 0: the server itself.
    std::string host{};
    std::uint16_t port = 0;
    bool udp = false;
    bool tcp = false;
    bool tls = false;
    /// Shared with that relay.
    std::string secret{};
    std::optional<std::array<std::uint8_t, 32>> certificate{};
};

/// `turn:HOST[:PORT][?transport=udp|tcp]` or `turns:HOST[:PORT]` (RFC 7065), IPv6 addresses in brackets; turn without a
/// transport is UDP and TCP. Without the secret. nullopt for anything else.
[[nodiscard]] std::optional<RelayOffer> parse_turn_url(std::string_view url);

/// The server's own secret for credentials, the same after a restart with the same key.
[[nodiscard]] std::string relay_secret(const crypto::KeyPair& keys);

[[nodiscard]] signaling::Relays relays_for(const std::vector<RelayOffer>& offers, const crypto::PeerId& peer,
                                           std::chrono::seconds unix_time);

}  // namespace pinhole::rendezvous
