// CipherState and SymmetricState of Noise §5.1 and §5.2 with ChaChaPoly and BLAKE2b: the chaining key, the transcript
// hash and the key that encrypts handshake payloads. Knows no patterns; driven by NoiseHandshake.
#pragma once

#include "common/crypto/keys.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pinhole::crypto {

using Hash64 = std::array<std::uint8_t, 64>;

class SymmetricState {
  public:
    explicit SymmetricState(std::string_view protocol_name);
    SymmetricState(const SymmetricState&) = delete;
    SymmetricState& operator=(const SymmetricState&) = delete;
    ~SymmetricState();

    void mix_key(const SecretKey& input);
    void mix_hash(ByteView bytes);
    /// Appends the ciphertext, or the text as it is while there is no key.
    void encrypt_and_hash(ByteView text, Bytes& out);
    /// The text, or nullopt if `bytes` was not made with this key and transcript.
    [[nodiscard]] std::optional<Bytes> decrypt_and_hash(ByteView bytes);
    /// Bytes that encryption adds: 0 while there is no key.
    [[nodiscard]] std::size_t overhead() const;

    struct Pair {
        SecretKey first;   ///< initiator to responder
        SecretKey second;  ///< responder to initiator
    };

    [[nodiscard]] Pair split() const;

    [[nodiscard]] const Hash64& handshake_hash() const { return hash_; }

  private:
    Hash64 chaining_key_{};
    Hash64 hash_{};
    std::optional<SecretKey> key_;
    std::uint64_t nonce_ = 0;
};

}  // namespace pinhole::crypto
