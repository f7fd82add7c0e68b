// Addresses as they stand in signaling messages, for the codecs of this room. An IPv4 address has one form on the wire,
// so that no rule about IPv4 is passed by in an IPv6 coat.
#pragma once

#include "common/net/endpoint.hpp"

#include <optional>
#include <string>

namespace pinhole::signaling {

/// 4 or 16 bytes of address, 2 of port, network order.
[[nodiscard]] std::string endpoint_blob(const net::Endpoint& endpoint);
[[nodiscard]] std::optional<net::Endpoint> to_endpoint(const std::string& blob);

/// 4 or 16 bytes.
[[nodiscard]] std::string address_blob(const net::Address& address);
[[nodiscard]] std::optional<net::Address> to_address(const std::string& blob);

/// One machine's address: neither unspecified, multicast nor broadcast.
[[nodiscard]] bool is_unicast(const net::Address& address);

/// A place that datagrams may be sent to because a stranger said so.
[[nodiscard]] bool is_destination(const net::Endpoint& endpoint);

}  // namespace pinhole::signaling
