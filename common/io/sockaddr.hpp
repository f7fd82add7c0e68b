// Our endpoints as the system's socket addresses and back, for calls that Asio does not wrap.
#pragma once

#include "common/net/endpoint.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include <netinet/in.h>
#include <sys/socket.h>

namespace pinhole::io {

[[nodiscard]] inline net::Address from_in_addr(const in_addr& address) {
    return net::Address::v4(std::bit_cast<std::array<std::uint8_t, 4>>(address.s_addr));
}

[[nodiscard]] inline net::Address from_in6_addr(const in6_addr& address, std::uint32_t scope) {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &address, bytes.size());
    const auto result = net::Address::v6(bytes);
    // A scope names an interface of a link-local address; on others it would make equal addresses differ.
    return result.is_link_local() ? net::Address::v6(bytes, scope) : result;
}

/// nullopt for families other than IPv4 and IPv6.
[[nodiscard]] inline std::optional<net::Endpoint> from_sockaddr(const sockaddr* address) {
    if (address == nullptr) {
        return std::nullopt;
    }
    if (address->sa_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, address, sizeof v4);
        return net::Endpoint{.address = from_in_addr(v4.sin_addr), .port = ntohs(v4.sin_port)};
    }
    if (address->sa_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, address, sizeof v6);
        return net::Endpoint{.address = from_in6_addr(v6.sin6_addr, v6.sin6_scope_id).unmapped(),
                             .port = ntohs(v6.sin6_port)};
    }
    return std::nullopt;
}

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

[[nodiscard]] inline SocketAddress to_sockaddr(const net::Endpoint& endpoint) {
    SocketAddress result;
    const auto bytes = endpoint.address.bytes();
    if (endpoint.address.is_v4()) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(endpoint.port);
        std::memcpy(&v4.sin_addr, bytes.data(), bytes.size());
        std::memcpy(&result.storage, &v4, sizeof v4);
        result.size = sizeof v4;
        return result;
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    v6.sin6_scope_id = endpoint.address.scope();
    std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&result.storage, &v6, sizeof v6);
    result.size = sizeof v6;
    return result;
}

}  // namespace pinhole::io
