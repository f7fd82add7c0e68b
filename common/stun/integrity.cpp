#include "common/stun/integrity.hpp"

#include "common/crypto/keys.hpp"

#include <string>

namespace pinhole::stun {

namespace {

/// What the MAC covers: everything in front of it, with a length field that ends at it.
Bytes covered(const MessageView& message, const IntegrityField& field) {
    Bytes text = to_bytes(message.raw().first(field.offset));
    const std::size_t length = field.offset - kHeaderSize + kAttributeHeaderSize + field.mac.size();
    text[2] = static_cast<std::uint8_t>(length >> 8);
    text[3] = static_cast<std::uint8_t>(length);
    return text;
}

}  // namespace

ByteView short_term_key(std::string_view password) {
    return as_bytes(password);
}

Md5 long_term_key(std::string_view username, std::string_view realm, std::string_view password) {
    std::string text{username};
    text.append(":").append(realm).append(":").append(password);
    return md5(as_bytes(text));
}

bool verify_integrity(const MessageView& message, ByteView key) {
    const auto& field = message.integrity();
    return field && crypto::equal_constant_time(hmac_sha1(key, covered(message, *field)), field->mac);
}

bool verify_integrity_sha256(const MessageView& message, ByteView key) {
    const auto& field = message.integrity_sha256();
    if (!field) {
        return false;
    }
    const auto mac = hmac_sha256(key, covered(message, *field));
    return crypto::equal_constant_time(ByteView{mac}.first(field->mac.size()), field->mac);
}

bool verify_fingerprint(const MessageView& message) {
    constexpr std::size_t kSize = kAttributeHeaderSize + sizeof(std::uint32_t);
    const auto fingerprint = message.fingerprint();
    return fingerprint && (crc32(message.raw().first(message.raw().size() - kSize)) ^ kFingerprintMask) == *fingerprint;
}

}  // namespace pinhole::stun
