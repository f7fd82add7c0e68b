#include "common/stun/builder.hpp"

#include "common/stun/digest.hpp"

#include <algorithm>
#include <utility>

namespace pinhole::stun {

namespace {

constexpr std::size_t kMaxLength = 0xfffc;
constexpr std::int64_t kU32 = 0xffffffff;

/// RFC 8489 §14.1
constexpr std::uint32_t family_number(net::Family family) {
    return family == net::Family::v4 ? 1 : 2;
}

void append_u16(Bytes& buffer, std::size_t value) {
    buffer.push_back(static_cast<std::uint8_t>(value >> 8));
    buffer.push_back(static_cast<std::uint8_t>(value));
}

template <class T>
std::array<std::uint8_t, sizeof(T)> big_endian(T value) {
    std::array<std::uint8_t, sizeof(T)> bytes{};
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        bytes[i] = static_cast<std::uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
    }
    return bytes;
}

}  // namespace

MessageBuilder::MessageBuilder(MessageClass message_class, Method method, const TransactionId& id, std::uint8_t padding)
    : padding_(padding) {
    const unsigned bits = method.value;
    const auto kind = static_cast<unsigned>(message_class);
    // RFC 8489 §5, figure 3
    append_u16(buffer_,
               (bits & 0x000fU) | (bits & 0x0070U) << 1 | (bits & 0x0f80U) << 2 | (kind & 1U) << 4 | (kind & 2U) << 7);
    append_u16(buffer_, 0);
    append_u16(buffer_, kMagicCookie >> 16);
    append_u16(buffer_, kMagicCookie & 0xffffU);
    buffer_.insert(buffer_.end(), id.bytes.begin(), id.bytes.end());
}

MessageBuilder& MessageBuilder::attribute(AttributeType type, ByteView value) {
    if (failed_ || buffer_.size() - kHeaderSize + kAttributeHeaderSize + value.size() + 3 > kMaxLength) {
        failed_ = true;
        return *this;
    }
    append_u16(buffer_, static_cast<std::uint16_t>(type));
    append_u16(buffer_, value.size());
    buffer_.insert(buffer_.end(), value.begin(), value.end());
    while (buffer_.size() % 4 != 0) {
        buffer_.push_back(padding_);
    }
    return *this;
}

MessageBuilder& MessageBuilder::u32(AttributeType type, std::uint32_t value) {
    return attribute(type, big_endian(value));
}

MessageBuilder& MessageBuilder::u64(AttributeType type, std::uint64_t value) {
    return attribute(type, big_endian(value));
}

MessageBuilder& MessageBuilder::address(AttributeType type, const net::Endpoint& endpoint) {
    const bool xored = type == AttributeType::xor_mapped_address || type == AttributeType::xor_peer_address ||
                       type == AttributeType::xor_relayed_address;
    const auto family = static_cast<std::uint8_t>(family_number(endpoint.address.family()));
    const auto port = xored ? endpoint.port ^ (kMagicCookie >> 16) : endpoint.port;
    Bytes value{0, family};
    append_u16(value, port);
    const auto bytes = endpoint.address.bytes();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        value.push_back(static_cast<std::uint8_t>(xored ? bytes[i] ^ buffer_[4 + i] : bytes[i]));
    }
    return attribute(type, value);
}

MessageBuilder& MessageBuilder::error_code(std::uint16_t code, std::string_view reason) {
    Bytes value{0, 0, static_cast<std::uint8_t>(code / 100), static_cast<std::uint8_t>(code % 100)};
    const auto text = as_bytes(reason);
    value.insert(value.end(), text.begin(), text.end());
    return attribute(AttributeType::error_code, value);
}

MessageBuilder& MessageBuilder::unknown_attributes(std::span<const std::uint16_t> types) {
    Bytes value;
    for (const auto type : types) {
        append_u16(value, type);
    }
    return attribute(AttributeType::unknown_attributes, value);
}

MessageBuilder& MessageBuilder::change_request(const ChangeRequest& request) {
    return u32(AttributeType::change_request, (request.change_ip ? 4U : 0U) | (request.change_port ? 2U : 0U));
}

MessageBuilder& MessageBuilder::response_port(std::uint16_t port) {
    // RFC 5780 §7.5: the port in front of two bytes of padding.
    return u32(AttributeType::response_port, static_cast<std::uint32_t>(port) << 16);
}

MessageBuilder& MessageBuilder::channel_number(std::uint16_t channel) {
    return u32(AttributeType::channel_number, static_cast<std::uint32_t>(channel) << 16);
}

MessageBuilder& MessageBuilder::lifetime(std::chrono::seconds lifetime) {
    return u32(AttributeType::lifetime,
               static_cast<std::uint32_t>(std::clamp<std::int64_t>(lifetime.count(), 0, kU32)));
}

MessageBuilder& MessageBuilder::address_family(AttributeType type, net::Family family) {
    return u32(type, family_number(family) << 24);
}

MessageBuilder& MessageBuilder::even_port(bool reserve_next) {
    return attribute(AttributeType::even_port, std::array{static_cast<std::uint8_t>(reserve_next ? 0x80 : 0)});
}

MessageBuilder& MessageBuilder::requested_transport(std::uint8_t protocol) {
    return u32(AttributeType::requested_transport, static_cast<std::uint32_t>(protocol) << 24);
}

MessageBuilder& MessageBuilder::address_error_code(net::Family family, std::uint16_t code, std::string_view reason) {
    Bytes value{static_cast<std::uint8_t>(family_number(family)), 0, static_cast<std::uint8_t>(code / 100),
                static_cast<std::uint8_t>(code % 100)};
    const auto text = as_bytes(reason);
    value.insert(value.end(), text.begin(), text.end());
    return attribute(AttributeType::address_error_code, value);
}

MessageBuilder& MessageBuilder::icmp(const IcmpError& error) {
    const auto type_and_code = static_cast<std::uint32_t>((error.type & 0x7fU) << 9 | (error.code & 0x1ffU));
    return u64(AttributeType::icmp, static_cast<std::uint64_t>(type_and_code) << 32 | error.data);
}

MessageBuilder& MessageBuilder::password_algorithm(PasswordAlgorithm algorithm) {
    return u32(AttributeType::password_algorithm, static_cast<std::uint32_t>(algorithm) << 16);
}

MessageBuilder& MessageBuilder::password_algorithms(std::span<const PasswordAlgorithm> algorithms) {
    Bytes value;
    for (const auto algorithm : algorithms) {
        append_u16(value, static_cast<std::uint16_t>(algorithm));
        append_u16(value, 0);
    }
    return attribute(AttributeType::password_algorithms, value);
}

MessageBuilder& MessageBuilder::integrity(ByteView key) {
    // RFC 8489 §14.5: the length field covers the attribute while its MAC is computed.
    set_length(kAttributeHeaderSize + sizeof(Sha1Mac));
    return attribute(AttributeType::message_integrity, hmac_sha1(key, buffer_));
}

MessageBuilder& MessageBuilder::integrity_sha256(ByteView key) {
    set_length(kAttributeHeaderSize + sizeof(Sha256Mac));
    return attribute(AttributeType::message_integrity_sha256, hmac_sha256(key, buffer_));
}

MessageBuilder& MessageBuilder::fingerprint() {
    set_length(kAttributeHeaderSize + sizeof(std::uint32_t));
    return u32(AttributeType::fingerprint, crc32(buffer_) ^ kFingerprintMask);
}

Bytes MessageBuilder::finish() {
    if (failed_) {
        return {};
    }
    set_length(0);
    failed_ = true;  // what is added behind the end goes nowhere
    return std::exchange(buffer_, {});
}

void MessageBuilder::set_length(std::size_t extra) {
    if (failed_) {
        return;
    }
    const std::size_t length = buffer_.size() - kHeaderSize + extra;
    buffer_[2] = static_cast<std::uint8_t>(length >> 8);
    buffer_[3] = static_cast<std::uint8_t>(length);
}

}  // namespace pinhole::stun
