// Hashes and key derivation: BLAKE2b for keys. Files have BLAKE3 (blake3.hpp); HMAC-SHA1 and CRC32 live with STUN.
#pragma once

#include "common/base/bytes.hpp"
#include "common/crypto/keys.hpp"

#include <array>

namespace pinhole::crypto {

using Hash32 = std::array<std::uint8_t, 32>;

/// Incremental BLAKE2b-256 (RFC 7693).
class Blake2b {
  public:
    Blake2b();
    void update(ByteView bytes);
    [[nodiscard]] Hash32 finish();

  private:
    // Room for crypto_generichash_state, whose 64-byte alignment stays out of this header.
    alignas(64) std::array<std::uint8_t, 384> state_{};
};

[[nodiscard]] Hash32 blake2b(ByteView bytes);

/// Keyed BLAKE2b-256 of a label: derives independent keys from one secret.
[[nodiscard]] SecretKey derive_key(const SecretKey& secret, std::string_view label);

}  // namespace pinhole::crypto
