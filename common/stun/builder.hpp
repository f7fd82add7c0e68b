// Writes one STUN message into a buffer of its own, attribute by attribute. Integrity goes behind everything that it is
// to protect and FINGERPRINT last, so the caller's order is the order on the wire (RFC 8489 §14.5–14.7).
#pragma once

#include "common/stun/message.hpp"

#include <chrono>
#include <span>
#include <string_view>

namespace pinhole::stun {

class MessageBuilder {
  public:
    /// `padding` fills attributes up to 4 bytes; zero except to reproduce messages of others.
    MessageBuilder(MessageClass message_class, Method method, const TransactionId& id, std::uint8_t padding = 0);

    /// A value that would not fit into the 16-bit lengths makes the whole message fail.
    MessageBuilder& attribute(AttributeType type, ByteView value);

    MessageBuilder& text(AttributeType type, std::string_view value) { return attribute(type, as_bytes(value)); }

    MessageBuilder& u32(AttributeType type, std::uint32_t value);
    MessageBuilder& u64(AttributeType type, std::uint64_t value);

    MessageBuilder& flag(AttributeType type) { return attribute(type, {}); }

    /// Plain for all types but the three whose name begins with XOR.
    MessageBuilder& address(AttributeType type, const net::Endpoint& endpoint);
    /// `code` 300 to 699.
    MessageBuilder& error_code(std::uint16_t code, std::string_view reason);
    MessageBuilder& unknown_attributes(std::span<const std::uint16_t> types);
    MessageBuilder& change_request(const ChangeRequest& request);
    MessageBuilder& response_port(std::uint16_t port);

    // RFC 8656 §18, RFC 8489 §14.11, §14.12
    MessageBuilder& channel_number(std::uint16_t channel);
    MessageBuilder& lifetime(std::chrono::seconds lifetime);
    /// REQUESTED-ADDRESS-FAMILY or ADDITIONAL-ADDRESS-FAMILY.
    MessageBuilder& address_family(AttributeType type, net::Family family);
    MessageBuilder& even_port(bool reserve_next);
    /// kTransportUdp or kTransportTcp.
    MessageBuilder& requested_transport(std::uint8_t protocol);
    MessageBuilder& address_error_code(net::Family family, std::uint16_t code, std::string_view reason);
    MessageBuilder& icmp(const IcmpError& error);
    MessageBuilder& password_algorithm(PasswordAlgorithm algorithm);
    MessageBuilder& password_algorithms(std::span<const PasswordAlgorithm> algorithms);

    MessageBuilder& integrity(ByteView key);
    MessageBuilder& integrity_sha256(ByteView key);
    MessageBuilder& fingerprint();

    /// The message, or nothing if an attribute did not fit. The builder is empty afterwards.
    [[nodiscard]] Bytes finish();

  private:
    void set_length(std::size_t extra);

    Bytes buffer_;
    std::uint8_t padding_;
    bool failed_ = false;
};

}  // namespace pinhole::stun
