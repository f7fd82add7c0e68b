// The digests that STUN is made of: HMAC-SHA1 and HMAC-SHA256 (RFC 8489 §14.5, §14.6), MD5 and SHA-256 for
// long-term keys (§9.2.2), CRC-32 for FINGERPRINT (§14.7). libsodium has neither SHA-1 nor MD5, so libcrypto computes
// all but the CRC. Nothing outside STUN may use SHA-1 or MD5.
#pragma once

#include "common/base/bytes.hpp"

#include <array>
#include <cstdint>

namespace pinhole::stun {

using Sha1Mac = std::array<std::uint8_t, 20>;
using Sha256Mac = std::array<std::uint8_t, 32>;
using Md5 = std::array<std::uint8_t, 16>;
using Sha256 = std::array<std::uint8_t, 32>;

[[nodiscard]] Sha1Mac hmac_sha1(ByteView key, ByteView message);
[[nodiscard]] Sha256Mac hmac_sha256(ByteView key, ByteView message);
[[nodiscard]] Md5 md5(ByteView message);
[[nodiscard]] Sha256 sha256(ByteView message);
/// ITU V.42, as in Ethernet and zip: reflected polynomial 0xEDB88320, inverted at both ends.
[[nodiscard]] std::uint32_t crc32(ByteView message);

}  // namespace pinhole::stun
