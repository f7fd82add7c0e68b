#include "common/crypto/aead.hpp"

#include <array>
#include <cassert>
#include <cstdlib>
#include <memory>

#include <openssl/evp.h>
#include <sodium.h>

namespace pinhole::crypto {

namespace {

using Nonce = std::array<std::uint8_t, 12>;

// Noise §12.3 and §12.4: 32 bits of zeros, then the counter.
Nonce nonce_of(Cipher cipher, std::uint64_t counter) {
    Nonce nonce{};
    for (std::size_t i = 0; i < 8; ++i) {
        const auto place = cipher == Cipher::aes256_gcm ? 11 - i : 4 + i;
        nonce.at(place) = static_cast<std::uint8_t>(counter >> (8 * i));
    }
    return nonce;
}

struct CipherDeleter {
    void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};

struct ContextDeleter {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

// Fetched once: a search by name for each key would cost more than a packet.
EVP_CIPHER* implementation(Cipher cipher) {
    using Fetched = std::unique_ptr<EVP_CIPHER, CipherDeleter>;
    static const Fetched chacha{EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr)};
    static const Fetched aes{EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)};
    return cipher == Cipher::aes256_gcm ? aes.get() : chacha.get();
}

/// What cannot fail did fail: there is no memory, or the library is not what we were built with.
void require(bool done) {
    if (!done) {
        std::abort();
    }
}

int length_of(ByteView bytes) {
    return static_cast<int>(bytes.size());
}

class EvpAead final : public Aead {
  public:
    EvpAead(Cipher cipher, const SecretKey& key) : cipher_(cipher), key_(key.clone()) {}

    void seal(std::uint64_t counter, ByteView associated, ByteSpan buffer) const override {
        assert(buffer.size() >= kTagSize);
        const auto text = buffer.first(buffer.size() - kTagSize);
        auto* context = begin(true, counter, associated);
        int written = 0;
        require(EVP_EncryptUpdate(context, text.data(), &written, text.data(), length_of(text)) == 1 &&
                EVP_EncryptFinal_ex(context, text.data() + text.size(), &written) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, text.data() + text.size()) == 1);
        end();
    }

    [[nodiscard]] std::optional<ByteSpan> open(std::uint64_t counter, ByteView associated,
                                               ByteSpan buffer) const override {
        if (buffer.size() < kTagSize) {
            return std::nullopt;
        }
        const auto text = buffer.first(buffer.size() - kTagSize);
        auto* context = begin(false, counter, associated);
        int written = 0;
        require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, text.data() + text.size()) == 1 &&
                EVP_DecryptUpdate(context, text.data(), &written, text.data(), length_of(text)) == 1);
        const bool authentic = EVP_DecryptFinal_ex(context, text.data() + text.size(), &written) == 1;
        end();
        return authentic ? std::optional{text} : std::nullopt;
    }

    void rest() const override {
        context_.reset();
        packets_ = 0;
    }

  private:
    /// Packets until the context is kept, which weighs 1 KB: one that says little has none, and a flow does not notice.
    static constexpr int kFewPackets = 32;

    EVP_CIPHER_CTX* begin(bool sealing, std::uint64_t counter, ByteView associated) const {
        const auto nonce = nonce_of(cipher_, counter);
        const auto direction = sealing ? 1 : 0;
        if (!context_) {
            context_.reset(EVP_CIPHER_CTX_new());
            require(context_ != nullptr &&
                    EVP_CipherInit_ex2(context_.get(), implementation(cipher_), key_.view().data(), nonce.data(),
                                       direction, nullptr) == 1);
        } else {
            require(EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, nonce.data(), direction, nullptr) == 1);
        }
        int written = 0;
        require(associated.empty() ||
                EVP_CipherUpdate(context_.get(), nullptr, &written, associated.data(), length_of(associated)) == 1);
        return context_.get();
    }

    void end() const {
        if (packets_ < kFewPackets) {
            ++packets_;
            context_.reset();
        }
    }

    Cipher cipher_;
    SecretKey key_;
    mutable int packets_ = 0;
    mutable std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter> context_;
};

}  // namespace

bool cipher_available(Cipher cipher) {
    switch (cipher) {
        case Cipher::chacha20_poly1305:
            return true;
        case Cipher::aes256_gcm:
            // Without the instructions it is slow, and its timing tells the key.
            return crypto_aead_aes256gcm_is_available() == 1;
    }
    return false;
}

std::unique_ptr<Aead> make_aead(Cipher cipher, const SecretKey& key) {
    return cipher_available(cipher) ? std::make_unique<EvpAead>(cipher, key) : nullptr;
}

}  // namespace pinhole::crypto
