// Identities and key agreement keys. An identity is an Ed25519 key pair; the X25519 pair for Noise is its birational
// image (RFC 7748 §4.1), so a peer that knows an ID knows the Noise static key too, and nothing has to be signed.
// Secrets are move-only, wiped on destruction and cannot be printed.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"
#include "common/base/rng.hpp"

#include <array>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace pinhole::crypto {

using Key32 = std::array<std::uint8_t, 32>;

/// Must succeed once per process before anything else here is used (sodium_init). Idempotent, thread-safe.
[[nodiscard]] bool initialize();
void wipe(ByteSpan bytes);
[[nodiscard]] bool equal_constant_time(ByteView a, ByteView b);

/// The production randomness: the operating system's, through libsodium.
class SystemRng final : public Rng {
  public:
    void fill(ByteSpan out) override;
};

/// 32 secret bytes; wiped when destroyed or moved from.
class SecretKey {
  public:
    SecretKey() = default;

    explicit SecretKey(const Key32& bytes) : bytes_(bytes) {}

    SecretKey(SecretKey&& other) noexcept;
    SecretKey& operator=(SecretKey&& other) noexcept;
    SecretKey(const SecretKey&) = delete;
    SecretKey& operator=(const SecretKey&) = delete;
    ~SecretKey();

    [[nodiscard]] ByteView view() const { return bytes_; }

    [[nodiscard]] ByteSpan mutable_view() { return bytes_; }

    [[nodiscard]] SecretKey clone() const { return SecretKey{bytes_}; }

  private:
    Key32 bytes_{};
};

/// An Ed25519 public key: who somebody is. Text form: 52 characters of lower-case base32.
struct PeerId {
    Key32 bytes{};

    [[nodiscard]] static std::optional<PeerId> parse(std::string_view text);
    [[nodiscard]] static std::optional<PeerId> from_bytes(ByteView bytes);
    [[nodiscard]] std::string text() const;

    friend auto operator<=>(const PeerId&, const PeerId&) = default;
};

struct KeyPair {  // X25519
    SecretKey secret;
    Key32 public_key{};

    [[nodiscard]] static KeyPair generate(Rng& rng);
    [[nodiscard]] static KeyPair from_secret(SecretKey secret);
};

/// An Ed25519 key pair, kept as its 32-byte seed.
class Identity {
  public:
    [[nodiscard]] static Identity generate(Rng& rng);
    [[nodiscard]] static Identity from_seed(SecretKey seed);

    [[nodiscard]] const PeerId& id() const { return id_; }

    [[nodiscard]] const SecretKey& seed() const { return seed_; }

    /// The X25519 image of this identity.
    [[nodiscard]] KeyPair noise_keys() const;

  private:
    Identity(SecretKey seed, PeerId id) : seed_(std::move(seed)), id_(id) {}

    SecretKey seed_;
    PeerId id_;
};

/// The X25519 public key of an ID, or nullopt if the ID is not a valid point of the main subgroup.
[[nodiscard]] std::optional<Key32> noise_key(const PeerId& id);

/// X25519 (RFC 7748 §6.1); nullopt when the result is all zero (a low-order point).
[[nodiscard]] std::optional<SecretKey> diffie_hellman(const SecretKey& secret, const Key32& public_key);

/// Eight words from a 256-word list, from the first 8 bytes of BLAKE2b-256 over the ID: 64 bits to compare aloud.
[[nodiscard]] std::string fingerprint_words(const PeerId& id);

}  // namespace pinhole::crypto
