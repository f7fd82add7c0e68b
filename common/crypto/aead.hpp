// Authenticated encryption behind one small interface, so that the transport does not know the cipher.
// Sealing is in place: the tag is written behind the text. One instance per key and direction; not thread-safe.
#pragma once

#include "common/base/bytes.hpp"
#include "common/crypto/keys.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace pinhole::crypto {

inline constexpr std::size_t kTagSize = 16;

enum class Cipher : std::uint8_t { chacha20_poly1305 = 1, aes256_gcm = 2 };

/// What this processor does; ChaCha20-Poly1305 always, AES-256-GCM with hardware only.
[[nodiscard]] bool cipher_available(Cipher cipher);

class Aead {
  public:
    Aead() = default;
    Aead(const Aead&) = delete;
    Aead& operator=(const Aead&) = delete;
    virtual ~Aead() = default;

    /// `buffer` is text followed by kTagSize spare bytes; both are overwritten. `nonce` must never repeat under a key.
    virtual void seal(std::uint64_t nonce, ByteView associated, ByteSpan buffer) const = 0;
    /// `buffer` is text followed by its tag. Returns the text in place, or nullopt and an unchanged promise: nothing of
    /// it is used.
    [[nodiscard]] virtual std::optional<ByteSpan> open(std::uint64_t nonce, ByteView associated,
                                                       ByteSpan buffer) const = 0;
    /// Gives back what only speed needs; the next packets are a little slower.
    virtual void rest() const = 0;
};

/// Nonce layout as in Noise §12: 4 zero bytes, then the 64-bit counter (little-endian for ChaCha, big-endian for GCM).
/// nullptr for a cipher that is not available.
[[nodiscard]] std::unique_ptr<Aead> make_aead(Cipher cipher, const SecretKey& key);

}  // namespace pinhole::crypto
