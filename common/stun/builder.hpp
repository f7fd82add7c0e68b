// Writes one STUN message into a buffer of its own, attribute by attribute. Integrity goes behind everything that it is
// to protect and FINGERPRINT last, so the caller's order is the order on the wire (RFC 8489 §14.5–14.7).
#pragma once

#include "common/stun/message.hpp"

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

    /// Plain for all types but XOR-MAPPED-ADDRESS.
    MessageBuilder& address(AttributeType type, const net::Endpoint& endpoint);
    /// `code` 300 to 699.
    MessageBuilder& error_code(std::uint16_t code, std::string_view reason);
    MessageBuilder& unknown_attributes(std::span<const std::uint16_t> types);
    MessageBuilder& change_request(const ChangeRequest& request);
    MessageBuilder& response_port(std::uint16_t port);

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
