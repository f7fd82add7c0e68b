// Raw packets for tests, written byte by byte and apart from the code under test, and a check of every checksum.
#pragma once

#include "common/base/bytes.hpp"
#include "common/net/endpoint.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace pinhole::natbox::test {

inline void put16(Bytes& bytes, std::size_t at, std::size_t value) {
    bytes.at(at) = static_cast<std::uint8_t>(value >> 8U);
    bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}

inline std::uint32_t sum16(ByteView bytes, std::uint32_t sum = 0) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8U : bytes[i];
        sum = (sum & 0xffffU) + (sum >> 16U);
    }
    return sum;
}

inline std::size_t ip_size(ByteView raw) {
    return raw[0] >> 4U == 4 ? std::size_t{4} * (raw[0] & 15U) : 40;
}

inline std::uint8_t ip_protocol(ByteView raw) {
    return raw[0] >> 4U == 4 ? raw[9] : raw[6];
}

/// Sum of the pseudo header and all that follows the IP header; 0xffff if the checksum in there is right.
inline std::uint32_t transport_sum(ByteView raw) {
    const bool v4 = raw[0] >> 4U == 4;
    const auto body = raw.subspan(ip_size(raw));
    if (v4 && ip_protocol(raw) == 1) {
        return sum16(body);
    }
    const auto addresses = v4 ? raw.subspan(12, 8) : raw.subspan(8, 32);
    return sum16(body, sum16(addresses) + ip_protocol(raw) + static_cast<std::uint32_t>(body.size()));
}

inline bool checksums_right(ByteView raw) {
    return (raw[0] >> 4U != 4 || sum16(raw.first(ip_size(raw))) == 0xffff) && transport_sum(raw) == 0xffff;
}

inline std::size_t checksum_offset(std::uint8_t protocol) {
    return protocol == 6 ? 16 : protocol == 17 ? 6 : 2;
}

inline Bytes ip(std::string_view source, std::string_view destination, std::uint8_t protocol, const Bytes& body) {
    const auto from = *net::Address::parse(source);
    const auto to = *net::Address::parse(destination);
    const bool v4 = from.is_v4();
    Bytes raw(v4 ? 20 : 40);
    raw.insert(raw.end(), body.begin(), body.end());
    if (v4) {
        raw[0] = 0x45;
        put16(raw, 2, raw.size());
        raw[8] = 64;
        raw[9] = protocol;
        std::ranges::copy(from.bytes(), raw.begin() + 12);
        std::ranges::copy(to.bytes(), raw.begin() + 16);
        put16(raw, 10, static_cast<std::uint16_t>(~sum16(ByteView{raw}.first(20))));
    } else {
        raw[0] = 0x60;
        put16(raw, 4, body.size());
        raw[6] = protocol;
        raw[7] = 64;
        std::ranges::copy(from.bytes(), raw.begin() + 8);
        std::ranges::copy(to.bytes(), raw.begin() + 24);
    }
    const auto at = (v4 ? 20 : 40) + checksum_offset(protocol);
    if (at + 2 <= raw.size()) {
        put16(raw, at, static_cast<std::uint16_t>(~transport_sum(raw)));
    }
    return raw;
}

inline Bytes udp(std::string_view source, std::string_view destination, std::string_view payload = "hello, there") {
    const auto from = *net::Endpoint::parse(source);
    const auto to = *net::Endpoint::parse(destination);
    Bytes body(8);
    put16(body, 0, from.port);
    put16(body, 2, to.port);
    put16(body, 4, 8 + payload.size());
    body.insert(body.end(), payload.begin(), payload.end());
    return ip(from.address.text(), to.address.text(), 17, body);
}

inline constexpr std::uint8_t kSyn = 2;
inline constexpr std::uint8_t kAck = 16;

/// Sequence number 0x01020304, acknowledgement 0x0a0b0c0d.
inline Bytes tcp(std::string_view source, std::string_view destination, std::uint8_t flags,
                 std::string_view payload = {}) {
    const auto from = *net::Endpoint::parse(source);
    const auto to = *net::Endpoint::parse(destination);
    Bytes body{0, 0, 0, 0, 1, 2, 3, 4, 10, 11, 12, 13, 0x50, flags, 1, 0, 0, 0, 0, 0};
    put16(body, 0, from.port);
    put16(body, 2, to.port);
    body.insert(body.end(), payload.begin(), payload.end());
    return ip(from.address.text(), to.address.text(), 6, body);
}

inline Bytes icmp(std::string_view source, std::string_view destination, const Bytes& body) {
    const bool v4 = net::Address::parse(source)->is_v4();
    return ip(source, destination, v4 ? 1 : 58, body);
}

/// An ICMP error with all of `offending` quoted.
inline Bytes icmp_error(std::string_view source, std::string_view destination, std::uint8_t type, std::uint8_t code,
                        const Bytes& offending) {
    Bytes body{type, code, 0, 0, 0, 0, 0, 0};
    body.insert(body.end(), offending.begin(), offending.end());
    return icmp(source, destination, body);
}

}  // namespace pinhole::natbox::test
