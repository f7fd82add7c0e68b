#include "common/crypto/keys.hpp"

#include "common/base/encoding.hpp"

#include <algorithm>
#include <utility>

#include <sodium.h>

namespace pinhole::crypto {

bool initialize() {
    return sodium_init() >= 0;
}

void wipe(ByteSpan bytes) {
    sodium_memzero(bytes.data(), bytes.size());
}

bool equal_constant_time(ByteView a, ByteView b) {
    return a.size() == b.size() && (a.empty() || sodium_memcmp(a.data(), b.data(), a.size()) == 0);
}

void SystemRng::fill(ByteSpan out) {
    randombytes_buf(out.data(), out.size());
}

SecretKey::SecretKey(SecretKey&& other) noexcept : bytes_(other.bytes_) {
    wipe(other.bytes_);
}

SecretKey& SecretKey::operator=(SecretKey&& other) noexcept {
    if (this != &other) {
        bytes_ = other.bytes_;
        wipe(other.bytes_);
    }
    return *this;
}

SecretKey::~SecretKey() {
    wipe(bytes_);
}

std::optional<PeerId> PeerId::parse(std::string_view text) {
    constexpr std::size_t kTextSize = 52;
    if (text.size() != kTextSize) {
        return std::nullopt;
    }
    const auto bytes = from_base32(text);
    return bytes ? from_bytes(*bytes) : std::nullopt;
}

std::optional<PeerId> PeerId::from_bytes(ByteView bytes) {
    PeerId id;
    if (bytes.size() != id.bytes.size()) {
        return std::nullopt;
    }
    std::ranges::copy(bytes, id.bytes.begin());
    return id;
}

std::string PeerId::text() const {
    return to_base32(bytes);
}

KeyPair KeyPair::generate(Rng& rng) {
    SecretKey secret;
    rng.fill(secret.mutable_view());
    return from_secret(std::move(secret));
}

KeyPair KeyPair::from_secret(SecretKey secret) {
    Key32 public_key{};
    crypto_scalarmult_base(public_key.data(), secret.view().data());
    return {.secret = std::move(secret), .public_key = public_key};
}

namespace {

/// libsodium's form of an Ed25519 secret: the seed, then the public key.
struct SigningKey {
    SigningKey(const SecretKey& seed, Key32& public_key) {
        crypto_sign_seed_keypair(public_key.data(), bytes.data(), seed.view().data());
    }

    SigningKey(const SigningKey&) = delete;
    SigningKey& operator=(const SigningKey&) = delete;

    ~SigningKey() { wipe(bytes); }

    std::array<std::uint8_t, crypto_sign_SECRETKEYBYTES> bytes{};
};

}  // namespace

Identity Identity::generate(Rng& rng) {
    SecretKey seed;
    rng.fill(seed.mutable_view());
    return from_seed(std::move(seed));
}

Identity Identity::from_seed(SecretKey seed) {
    PeerId id;
    const SigningKey key{seed, id.bytes};
    return Identity{std::move(seed), id};
}

KeyPair Identity::noise_keys() const {
    Key32 public_key{};
    const SigningKey key{seed_, public_key};
    SecretKey secret;
    // Fails for no input: the conversion hashes the seed.
    static_cast<void>(crypto_sign_ed25519_sk_to_curve25519(secret.mutable_view().data(), key.bytes.data()));
    return KeyPair::from_secret(std::move(secret));
}

std::optional<Key32> noise_key(const PeerId& id) {
    Key32 key{};
    if (crypto_sign_ed25519_pk_to_curve25519(key.data(), id.bytes.data()) != 0) {
        return std::nullopt;
    }
    return key;
}

std::optional<SecretKey> diffie_hellman(const SecretKey& secret, const Key32& public_key) {
    SecretKey shared;
    // RFC 7748 §6.1: the all-zero result is refused, which libsodium checks in constant time.
    if (crypto_scalarmult(shared.mutable_view().data(), secret.view().data(), public_key.data()) != 0) {
        return std::nullopt;
    }
    return shared;
}

}  // namespace pinhole::crypto
