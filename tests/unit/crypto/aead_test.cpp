#include "common/crypto/aead.hpp"

#include "tests/unit/crypto/support.hpp"

#include <vector>

#include <gtest/gtest.h>
#include <sodium.h>

namespace pinhole::crypto {
namespace {

std::vector<Cipher> available_ciphers() {
    EXPECT_TRUE(initialize());
    std::vector<Cipher> ciphers{Cipher::chacha20_poly1305};
    if (cipher_available(Cipher::aes256_gcm)) {
        ciphers.push_back(Cipher::aes256_gcm);
    }
    return ciphers;
}

Bytes sealed(const Aead& aead, std::uint64_t nonce, ByteView associated, ByteView text) {
    Bytes buffer = to_bytes(text);
    buffer.resize(text.size() + kTagSize);
    aead.seal(nonce, associated, buffer);
    return buffer;
}

std::optional<Bytes> opened(const Aead& aead, std::uint64_t nonce, ByteView associated, Bytes buffer) {
    const auto text = aead.open(nonce, associated, buffer);
    return text ? std::optional{to_bytes(*text)} : std::nullopt;
}

// RFC 8439 §A.5; its nonce begins with 4 zero bytes, as all of ours do.
TEST(ChaCha20Poly1305, OpensTheRfcExample) {
    const auto aead = make_aead(Cipher::chacha20_poly1305,
                                secret("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"));
    constexpr std::uint64_t kNonce = 0x0807060504030201;
    const auto associated = unhex("f33388860000000000004e91");
    const auto ciphertext = unhex(
        "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0"
        "bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
        "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9"
        "9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
        "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130"
        "305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b"
        "eead9d67890cbb22392336fea1851f38");
    const auto text = opened(*aead, kNonce, associated, ciphertext);
    ASSERT_TRUE(text);
    EXPECT_TRUE(as_text(*text).starts_with("Internet-Drafts are draft documents valid for a maximum of six months"));
    EXPECT_EQ(text->size(), 265U);
    EXPECT_EQ(sealed(*aead, kNonce, associated, *text), ciphertext);
}

// Test case 14 of the GCM submission to NIST (McGrew and Viega): all zero.
TEST(Aes256Gcm, MatchesThePublishedVector) {
    if (available_ciphers().size() == 1) {
        GTEST_SKIP() << "no AES instructions";
    }
    const auto aead = make_aead(Cipher::aes256_gcm, SecretKey{Key32{}});
    EXPECT_EQ(to_hex(sealed(*aead, 0, {}, Bytes(16))),
              "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    EXPECT_EQ(to_hex(sealed(*aead, 0, {}, {})), "530f8afbc74536b9a963b4f1c4cb738b");
}

TEST(Aes256Gcm, CountsBigEndian) {
    if (available_ciphers().size() == 1) {
        GTEST_SKIP() << "no AES instructions";
    }
    const Key32 key{1, 2, 3};
    const auto nonce = unhex("000000000102030405060708");
    Bytes expected(3 + kTagSize);
    const auto text = as_bytes("abc");
    crypto_aead_aes256gcm_encrypt(expected.data(), nullptr, text.data(), text.size(), nullptr, 0, nullptr, nonce.data(),
                                  key.data());
    EXPECT_EQ(sealed(*make_aead(Cipher::aes256_gcm, SecretKey{key}), 0x0102030405060708, {}, text), expected);
}

TEST(Aead, OpensWhatItSealedAtEverySize) {
    for (const auto cipher : available_ciphers()) {
        const auto aead = make_aead(cipher, SecretKey{Key32{7}});
        for (std::size_t size = 0; size < 100; ++size) {
            const Bytes text(size, 0x5a);
            const auto buffer = sealed(*aead, size, as_bytes("header"), text);
            EXPECT_EQ(opened(*aead, size, as_bytes("header"), buffer), text);
        }
    }
}

TEST(Aead, RefusesAnyChangedByte) {
    for (const auto cipher : available_ciphers()) {
        const auto aead = make_aead(cipher, SecretKey{Key32{7}});
        const auto buffer = sealed(*aead, 1, as_bytes("header"), as_bytes("some text"));
        for (std::size_t i = 0; i < buffer.size(); ++i) {
            auto changed = buffer;
            changed[i] ^= 1;
            EXPECT_FALSE(opened(*aead, 1, as_bytes("header"), changed)) << i;
        }
    }
}

TEST(Aead, RefusesAnotherNonceKeyOrHeader) {
    for (const auto cipher : available_ciphers()) {
        const auto aead = make_aead(cipher, SecretKey{Key32{7}});
        const auto buffer = sealed(*aead, 1, as_bytes("header"), as_bytes("some text"));
        EXPECT_FALSE(opened(*aead, 2, as_bytes("header"), buffer));
        EXPECT_FALSE(opened(*aead, std::uint64_t{1} << 56, as_bytes("header"), buffer)) << "the other byte order";
        EXPECT_FALSE(opened(*aead, 1, as_bytes("heade"), buffer));
        EXPECT_FALSE(opened(*aead, 1, {}, buffer));
        EXPECT_FALSE(opened(*make_aead(cipher, SecretKey{Key32{8}}), 1, as_bytes("header"), buffer));
    }
}

TEST(Aead, RefusesBuffersWithoutRoomForATag) {
    for (const auto cipher : available_ciphers()) {
        const auto aead = make_aead(cipher, SecretKey{Key32{7}});
        for (std::size_t size = 0; size < kTagSize; ++size) {
            EXPECT_FALSE(opened(*aead, 0, {}, Bytes(size)));
        }
    }
}

TEST(Aead, SealsInPlaceBehindTheHeaderOfThePacket) {
    const auto aead = make_aead(Cipher::chacha20_poly1305, SecretKey{Key32{7}});
    Bytes packet(3 + 4 + kTagSize, 9);
    const auto header = ByteView{packet}.first(3);
    aead->seal(5, header, ByteSpan{packet}.subspan(3));
    EXPECT_EQ(packet[2], 9);
    const auto text = aead->open(5, header, ByteSpan{packet}.subspan(3));
    ASSERT_TRUE(text);
    EXPECT_EQ(text->data(), packet.data() + 3);
    EXPECT_EQ(to_bytes(*text), Bytes(4, 9));
}

TEST(Aead, DoesNotExistForAnUnknownCipher) {
    EXPECT_FALSE(cipher_available(static_cast<Cipher>(9)));
    EXPECT_EQ(make_aead(static_cast<Cipher>(9), SecretKey{}), nullptr);
}

}  // namespace
}  // namespace pinhole::crypto
