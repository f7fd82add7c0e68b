// Whom the relay sends to (RFC 8656 §21.1.5): every peer address passes here, whatever message names it. The relay
// stands in its operator's network, so loopback, private, link-local, multicast and reserved addresses are refused
// unless the operator opens them, and so are all spellings of them that IPv6 has. The server's own listeners are always
// refused; its own relayed addresses never are, because two peers that both need the relay meet there.
#pragma once

#include "common/net/endpoint.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace pinhole::turn {

/// "192.0.2.0/24", "2001:db8::/32", or an address alone.
struct AddressRange {
    net::Address address;
    std::uint8_t bits = 0;

    /// nullopt also for bits behind the prefix that are not zero: whoever wrote them meant something else.
    [[nodiscard]] static std::optional<AddressRange> parse(std::string_view text);
    [[nodiscard]] bool contains(const net::Address& candidate) const;
};

/// The IPv4 address that an IPv6 address is a spelling of, where packets to the one reach the other: IPv4-mapped,
/// IPv4-compatible, IPv4-translated, NAT64 with the well-known prefix, 6to4. Any other address unchanged, without
/// scope.
[[nodiscard]] net::Address canonical(const net::Address& address);

class AddressPolicy {
  public:
    struct Config {
        /// Opened by the operator.
        std::vector<AddressRange> allow{};
        /// Where the server itself listens; concrete addresses, all of them.
        std::vector<net::Endpoint> listeners{};
        /// Addresses that relays may have, and what the outside takes for them. Loopback is among them only if the
        /// server listens on nothing else: what waits there in the range of relays is somebody else's.
        std::vector<net::Address> own{};
        /// Ports of relays, on the server's own addresses.
        std::uint16_t first_relay_port = 49152;
        std::uint16_t last_relay_port = 65535;
    };

    explicit AddressPolicy(const Config& config);

    /// For permissions, which name no port (RFC 8656 §9).
    [[nodiscard]] bool permits(const net::Address& peer) const;
    /// For channels, datagrams and connections.
    [[nodiscard]] bool permits(const net::Endpoint& peer) const;

  private:
    [[nodiscard]] bool is_own(const net::Address& plain) const;
    [[nodiscard]] bool is_open(const net::Address& peer, const net::Address& plain) const;

    Config config_;
};

}  // namespace pinhole::turn
