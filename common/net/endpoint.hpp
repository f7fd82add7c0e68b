// IP addresses and transport addresses as plain ordered values, without Asio. Shells convert at the edge.
#pragma once

#include "common/base/bytes.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pinhole::net {

enum class Family : std::uint8_t { v4 = 4, v6 = 6 };

/// An IPv4 or IPv6 address. IPv4-mapped IPv6 (RFC 4291 §2.5.5.2) is a different value until `unmapped`.
class Address {
  public:
    Address() = default;
    [[nodiscard]] static Address v4(std::array<std::uint8_t, 4> bytes);
    [[nodiscard]] static Address v6(std::array<std::uint8_t, 16> bytes, std::uint32_t scope = 0);
    /// Dotted IPv4 or RFC 4291 text, with "%N" for a numeric scope.
    [[nodiscard]] static std::optional<Address> parse(std::string_view text);
    /// 4 or 16 bytes in network order.
    [[nodiscard]] static std::optional<Address> from_bytes(ByteView bytes);
    [[nodiscard]] static Address any(Family family);

    [[nodiscard]] Family family() const { return family_; }

    [[nodiscard]] bool is_v4() const { return family_ == Family::v4; }

    /// Network order; 4 or 16 bytes.
    [[nodiscard]] ByteView bytes() const { return ByteView{bytes_}.first(is_v4() ? 4 : 16); }

    /// Interface index of a link-local IPv6 address, 0 otherwise.
    [[nodiscard]] std::uint32_t scope() const { return scope_; }

    [[nodiscard]] std::string text() const;

    [[nodiscard]] bool is_unspecified() const;
    [[nodiscard]] bool is_loopback() const;
    [[nodiscard]] bool is_multicast() const;
    /// 169.254/16 and fe80::/10.
    [[nodiscard]] bool is_link_local() const;
    /// RFC 1918, RFC 6598 (100.64/10), fc00::/7.
    [[nodiscard]] bool is_private() const;
    [[nodiscard]] Address unmapped() const;

    friend auto operator<=>(const Address&, const Address&) = default;

  private:
    Family family_ = Family::v4;
    std::array<std::uint8_t, 16> bytes_{};
    std::uint32_t scope_ = 0;
};

/// A transport address: IP address and port.
struct Endpoint {
    Address address;
    std::uint16_t port = 0;

    /// "192.0.2.1:3478" or "[2001:db8::1]:3478".
    [[nodiscard]] static std::optional<Endpoint> parse(std::string_view text);
    [[nodiscard]] std::string text() const;

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// "HOST", "HOST:PORT" or "[V6]:PORT" split, for names that are still to be resolved.
struct HostPort {
    std::string host;
    std::uint16_t port = 0;
};

[[nodiscard]] std::optional<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port);

}  // namespace pinhole::net
