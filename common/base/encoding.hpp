// Bytes as text: hexadecimal, base32 of RFC 4648 §6 in lower case without padding (peer IDs, server keys), and base64
// of §4 with padding (passwords of relays).
#pragma once

#include "common/base/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace pinhole {

[[nodiscard]] std::string to_hex(ByteView bytes);
[[nodiscard]] std::optional<Bytes> from_hex(std::string_view text);

[[nodiscard]] std::string to_base32(ByteView bytes);
/// Accepts either case; refuses other characters, impossible lengths and non-zero trailing bits.
[[nodiscard]] std::optional<Bytes> from_base32(std::string_view text);

[[nodiscard]] std::string to_base64(ByteView bytes);

/// True for well-formed UTF-8 (no overlong forms, surrogates or values above U+10FFFF).
[[nodiscard]] bool is_utf8(std::string_view text);
/// `text` with every malformed byte replaced by U+FFFD and every control character by '?', safe to print.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace pinhole
