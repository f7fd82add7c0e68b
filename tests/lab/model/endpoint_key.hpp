// Endpoints as integers, so that the tables on a packet's way compare in a few instructions. IPv4 is kept as its
// IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2), which no packet carries.
#pragma once

#include "common/net/endpoint.hpp"

#include <array>
#include <compare>
#include <cstdint>

namespace pinhole::lab {

struct AddressKey {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    friend constexpr auto operator<=>(const AddressKey&, const AddressKey&) = default;

    [[nodiscard]] constexpr bool is_v4() const { return high == 0 && low >> 32U == 0xffff; }
};

struct EndpointKey {
    AddressKey address;
    std::uint16_t port = 0;

    friend constexpr auto operator<=>(const EndpointKey&, const EndpointKey&) = default;
};

[[nodiscard]] inline AddressKey key_of(const net::Address& address) {
    std::uint64_t high = 0;
    std::uint64_t low = address.is_v4() ? 0xffff : 0;
    const auto bytes = address.bytes();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        auto& half = !address.is_v4() && i < 8 ? high : low;
        half = half << 8U | bytes[i];
    }
    return {.high = high, .low = low};
}

[[nodiscard]] inline EndpointKey key_of(const net::Endpoint& endpoint) {
    return {.address = key_of(endpoint.address), .port = endpoint.port};
}

[[nodiscard]] inline net::Address address_of(AddressKey key) {
    const auto byte = [](std::uint64_t half, std::size_t index) {
        return static_cast<std::uint8_t>(half >> (56 - 8 * index));
    };
    if (key.is_v4()) {
        return net::Address::v4({byte(key.low, 4), byte(key.low, 5), byte(key.low, 6), byte(key.low, 7)});
    }
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes.at(i) = byte(i < 8 ? key.high : key.low, i % 8);
    }
    return net::Address::v6(bytes);
}

[[nodiscard]] inline net::Endpoint endpoint_of(EndpointKey key) {
    return {.address = address_of(key.address), .port = key.port};
}

}  // namespace pinhole::lab
