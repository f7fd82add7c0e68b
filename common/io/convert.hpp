// Addresses between our values and Asio's. From Asio, IPv4-mapped IPv6 becomes IPv4.
#pragma once

#include "common/io/tokens.hpp"
#include "common/net/endpoint.hpp"

#include <algorithm>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

namespace pinhole::io {

[[nodiscard]] inline asio::ip::address to_asio(const net::Address& address) {
    const auto bytes = address.bytes();
    if (address.is_v4()) {
        asio::ip::address_v4::bytes_type raw{};
        std::ranges::copy(bytes, raw.begin());
        return asio::ip::address_v4{raw};
    }
    asio::ip::address_v6::bytes_type raw{};
    std::ranges::copy(bytes, raw.begin());
    return asio::ip::address_v6{raw, address.scope()};
}

[[nodiscard]] inline net::Address from_asio(const asio::ip::address& address) {
    if (address.is_v4()) {
        return net::Address::v4(address.to_v4().to_bytes());
    }
    const auto v6 = address.to_v6();
    return net::Address::v6(v6.to_bytes(), static_cast<std::uint32_t>(v6.scope_id())).unmapped();
}

[[nodiscard]] inline asio::ip::udp::endpoint to_udp(const net::Endpoint& endpoint) {
    return {to_asio(endpoint.address), endpoint.port};
}

[[nodiscard]] inline asio::ip::tcp::endpoint to_tcp(const net::Endpoint& endpoint) {
    return {to_asio(endpoint.address), endpoint.port};
}

template <class Protocol>
[[nodiscard]] net::Endpoint from_asio(const asio::ip::basic_endpoint<Protocol>& endpoint) {
    return {.address = from_asio(endpoint.address()), .port = endpoint.port()};
}

}  // namespace pinhole::io
