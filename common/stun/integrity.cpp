#include "common/stun/integrity.hpp"

#include "common/crypto/keys.hpp"

#include <initializer_list>
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

std::string joined(std::initializer_list<std::string_view> parts) {
    std::string text;
    for (const auto part : parts) {
        text.append(text.empty() ? "" : ":").append(part);
    }
    return text;
}

}  // namespace

ByteView short_term_key(std::string_view password) {
    return as_bytes(password);
}

Md5 long_term_key(std::string_view username, std::string_view realm, std::string_view password) {
    return md5(as_bytes(joined({username, realm, password})));
}

Sha256 long_term_key_sha256(std::string_view username, std::string_view realm, std::string_view password) {
    return sha256(as_bytes(joined({username, realm, password})));
}

Userhash userhash(std::string_view username, std::string_view realm) {
    return sha256(as_bytes(joined({username, realm})));
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
