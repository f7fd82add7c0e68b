// Judges whether a STUN message is what its sender wrote (RFC 8489 §9, §14.5–14.7). Comparison takes constant time.
// A message without the attribute in question is never authentic.
#pragma once

#include "common/stun/digest.hpp"
#include "common/stun/message.hpp"

#include <string_view>

namespace pinhole::stun {

/// RFC 8489 §9.1.1: the password itself, already prepared with OpaqueString (RFC 8265). Borrows it.
[[nodiscard]] ByteView short_term_key(std::string_view password);
/// RFC 8489 §9.2.2: MD5 of "username:realm:password", all already prepared.
[[nodiscard]] Md5 long_term_key(std::string_view username, std::string_view realm, std::string_view password);

/// The same with SHA-256, where PASSWORD-ALGORITHM says so (RFC 8489 §18.5.1.2).
[[nodiscard]] Sha256 long_term_key_sha256(std::string_view username, std::string_view realm, std::string_view password);
/// RFC 8489 §14.4: what stands for the name of who does not want to show it.
[[nodiscard]] Userhash userhash(std::string_view username, std::string_view realm);

[[nodiscard]] bool verify_integrity(const MessageView& message, ByteView key);
/// Accepts MACs truncated to 16 bytes and more, as §14.6 permits.
[[nodiscard]] bool verify_integrity_sha256(const MessageView& message, ByteView key);
[[nodiscard]] bool verify_fingerprint(const MessageView& message);

}  // namespace pinhole::stun
