#include "common/net/endpoint.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

namespace pinhole::net {

namespace {

template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

Address Address::v4(std::array<std::uint8_t, 4> bytes) {
    Address address;
    std::ranges::copy(bytes, address.bytes_.begin());
    return address;
}

Address Address::v6(std::array<std::uint8_t, 16> bytes, std::uint32_t scope) {
    Address address;
    address.family_ = Family::v6;
    address.bytes_ = bytes;
    address.scope_ = scope;
    return address;
}

std::optional<Address> Address::parse(std::string_view text) {
    std::uint32_t scope = 0;
    if (const auto percent = text.find('%'); percent != std::string_view::npos) {
        const auto number = parse_number<std::uint32_t>(text.substr(percent + 1));
        if (!number) {
            return std::nullopt;
        }
        scope = *number;
        text = text.substr(0, percent);
    }
    const std::string terminated{text};
    std::array<std::uint8_t, 4> four{};
    if (scope == 0 && ::inet_pton(AF_INET, terminated.c_str(), four.data()) == 1) {
        return v4(four);
    }
    std::array<std::uint8_t, 16> sixteen{};
    if (::inet_pton(AF_INET6, terminated.c_str(), sixteen.data()) == 1) {
        return v6(sixteen, scope);
    }
    return std::nullopt;
}

std::optional<Address> Address::from_bytes(ByteView bytes) {
    if (bytes.size() == 4) {
        std::array<std::uint8_t, 4> four{};
        std::ranges::copy(bytes, four.begin());
        return v4(four);
    }
    if (bytes.size() == 16) {
        std::array<std::uint8_t, 16> sixteen{};
        std::ranges::copy(bytes, sixteen.begin());
        return v6(sixteen);
    }
    return std::nullopt;
}

Address Address::any(Family family) {
    return family == Family::v4 ? v4({}) : v6({});
}

std::string Address::text() const {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    ::inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), buffer.data(), buffer.size());
    std::string text{buffer.data()};
    if (scope_ != 0) {
        text += '%' + std::to_string(scope_);
    }
    return text;
}

bool Address::is_unspecified() const {
    return std::ranges::all_of(bytes(), [](std::uint8_t byte) { return byte == 0; });
}

bool Address::is_loopback() const {
    if (is_v4()) {
        return bytes_[0] == 127;
    }
    return bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.begin() + 15, [](auto byte) { return byte == 0; });
}

bool Address::is_multicast() const {
    return is_v4() ? bytes_[0] >> 4 == 14 : bytes_[0] == 0xff;
}

bool Address::is_link_local() const {
    return is_v4() ? bytes_[0] == 169 && bytes_[1] == 254 : bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool Address::is_private() const {
    if (!is_v4()) {
        return (bytes_[0] & 0xfe) == 0xfc;
    }
    return bytes_[0] == 10 || (bytes_[0] == 172 && bytes_[1] >> 4 == 1) || (bytes_[0] == 192 && bytes_[1] == 168) ||
           (bytes_[0] == 100 && bytes_[1] >> 6 == 1);
}

Address Address::unmapped() const {
    if (is_v4() || !std::ranges::equal(kMappedPrefix, ByteView{bytes_}.first(12))) {
        return *this;
    }
    return v4({bytes_[12], bytes_[13], bytes_[14], bytes_[15]});
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
    const auto split = parse_host_port(text, 0);
    if (!split) {
        return std::nullopt;
    }
    const auto address = Address::parse(split->host);
    if (!address || split->port == 0) {
        return std::nullopt;
    }
    return Endpoint{.address = *address, .port = split->port};
}

std::string Endpoint::text() const {
    const auto host = address.is_v4() ? address.text() : '[' + address.text() + ']';
    return host + ':' + std::to_string(port);
}

std::optional<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port) {
    std::string_view host = text;
    std::string_view port;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) {
            return std::nullopt;
        }
        host = text.substr(1, close - 1);
        const auto rest = text.substr(close + 1);
        if (!rest.empty() && (rest.size() < 2 || rest[0] != ':')) {
            return std::nullopt;
        }
        port = rest.empty() ? rest : rest.substr(1);
    } else if (const auto colon = text.find(':'); colon != std::string_view::npos && text.rfind(':') == colon) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
        if (port.empty()) {
            return std::nullopt;
        }
    }
    if (host.empty()) {
        return std::nullopt;
    }
    const auto number = port.empty() ? std::optional{default_port} : parse_number<std::uint16_t>(port);
    if (!number || (!port.empty() && *number == 0)) {
        return std::nullopt;
    }
    return HostPort{.host = std::string{host}, .port = *number};
}

}  // namespace pinhole::net
