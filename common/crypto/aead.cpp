#include "common/crypto/aead.hpp"

#include <array>
#include <cassert>
#include <memory>

#include <sodium.h>

namespace pinhole::crypto {

namespace {

using Nonce = std::array<std::uint8_t, 12>;

// Noise §12.3 and §12.4: 32 bits of zeros, then the counter.
Nonce little_endian_nonce(std::uint64_t counter) {
    Nonce nonce{};
    for (std::size_t i = 0; i < 8; ++i) {
        nonce[4 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
    }
    return nonce;
}

Nonce big_endian_nonce(std::uint64_t counter) {
    Nonce nonce{};
    for (std::size_t i = 0; i < 8; ++i) {
        nonce[11 - i] = static_cast<std::uint8_t>(counter >> (8 * i));
    }
    return nonce;
}

class ChaCha20Poly1305 final : public Aead {
  public:
    explicit ChaCha20Poly1305(const SecretKey& key) : key_(key.clone()) {}

    void seal(std::uint64_t counter, ByteView associated, ByteSpan buffer) const override {
        assert(buffer.size() >= kTagSize);
        const auto text = buffer.first(buffer.size() - kTagSize);
        const auto nonce = little_endian_nonce(counter);
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(text.data(), text.data() + text.size(), nullptr, text.data(),
                                                           text.size(), associated.data(), associated.size(), nullptr,
                                                           nonce.data(), key());
    }

    [[nodiscard]] std::optional<ByteSpan> open(std::uint64_t counter, ByteView associated,
                                               ByteSpan buffer) const override {
        if (buffer.size() < kTagSize) {
            return std::nullopt;
        }
        const auto text = buffer.first(buffer.size() - kTagSize);
        const auto nonce = little_endian_nonce(counter);
        if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(text.data(), nullptr, text.data(), text.size(),
                                                               text.data() + text.size(), associated.data(),
                                                               associated.size(), nonce.data(), key()) != 0) {
            return std::nullopt;
        }
        return text;
    }

  private:
    [[nodiscard]] const std::uint8_t* key() const { return key_.view().data(); }

    SecretKey key_;
};

class Aes256Gcm final : public Aead {
  public:
    explicit Aes256Gcm(const SecretKey& key) { crypto_aead_aes256gcm_beforenm(&context_, key.view().data()); }

    ~Aes256Gcm() override { sodium_memzero(&context_, sizeof context_); }

    void seal(std::uint64_t counter, ByteView associated, ByteSpan buffer) const override {
        assert(buffer.size() >= kTagSize);
        const auto text = buffer.first(buffer.size() - kTagSize);
        const auto nonce = big_endian_nonce(counter);
        crypto_aead_aes256gcm_encrypt_detached_afternm(text.data(), text.data() + text.size(), nullptr, text.data(),
                                                       text.size(), associated.data(), associated.size(), nullptr,
                                                       nonce.data(), &context_);
    }

    [[nodiscard]] std::optional<ByteSpan> open(std::uint64_t counter, ByteView associated,
                                               ByteSpan buffer) const override {
        if (buffer.size() < kTagSize) {
            return std::nullopt;
        }
        const auto text = buffer.first(buffer.size() - kTagSize);
        const auto nonce = big_endian_nonce(counter);
        if (crypto_aead_aes256gcm_decrypt_detached_afternm(text.data(), nullptr, text.data(), text.size(),
                                                           text.data() + text.size(), associated.data(),
                                                           associated.size(), nonce.data(), &context_) != 0) {
            return std::nullopt;
        }
        return text;
    }

  private:
    // The expanded key; its type carries the 16-byte alignment that the instructions need.
    crypto_aead_aes256gcm_state context_{};
};

}  // namespace

bool cipher_available(Cipher cipher) {
    switch (cipher) {
        case Cipher::chacha20_poly1305:
            return true;
        case Cipher::aes256_gcm:
            return crypto_aead_aes256gcm_is_available() == 1;
    }
    return false;
}

std::unique_ptr<Aead> make_aead(Cipher cipher, const SecretKey& key) {
    if (!cipher_available(cipher)) {
        return nullptr;
    }
    if (cipher == Cipher::aes256_gcm) {
        return std::make_unique<Aes256Gcm>(key);
    }
    return std::make_unique<ChaCha20Poly1305>(key);
}

}  // namespace pinhole::crypto
