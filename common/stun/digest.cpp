#include "common/stun/digest.hpp"

#include <cstdlib>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace pinhole::stun {

namespace {

template <std::size_t N>
std::array<std::uint8_t, N> hmac(const EVP_MD* digest, ByteView key, ByteView message) {
    std::array<std::uint8_t, N> mac{};
    // HMAC() takes a null key to mean "the previous one", and an empty view may hold null.
    static constexpr std::uint8_t kEmpty = 0;
    const void* key_data = key.empty() ? &kEmpty : key.data();
    unsigned int size = 0;
    if (HMAC(digest, key_data, static_cast<int>(key.size()), message.data(), message.size(), mac.data(), &size) ==
            nullptr ||
        size != N) {
        std::abort();  // out of memory, or a libcrypto without the digest: no message can be judged
    }
    return mac;
}

template <std::size_t N>
std::array<std::uint8_t, N> digest_of(const EVP_MD* kind, ByteView message) {
    std::array<std::uint8_t, N> digest{};
    unsigned int size = 0;
    if (EVP_Digest(message.data(), message.size(), digest.data(), &size, kind, nullptr) != 1 || size != N) {
        std::abort();
    }
    return digest;
}

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value & 1U) != 0 ? value >> 1 ^ 0xedb88320U : value >> 1;
        }
        table[i] = value;
    }
    return table;
}

constexpr auto kCrcTable = make_crc_table();

}  // namespace

Sha1Mac hmac_sha1(ByteView key, ByteView message) {
    return hmac<20>(EVP_sha1(), key, message);
}

Sha256Mac hmac_sha256(ByteView key, ByteView message) {
    return hmac<32>(EVP_sha256(), key, message);
}

Md5 md5(ByteView message) {
    return digest_of<16>(EVP_md5(), message);
}

Sha256 sha256(ByteView message) {
    return digest_of<32>(EVP_sha256(), message);
}

std::uint32_t crc32(ByteView message) {
    std::uint32_t value = 0xffffffffU;
    for (const auto byte : message) {
        value = value >> 8 ^ kCrcTable[(value ^ byte) & 0xffU];
    }
    return ~value;
}

}  // namespace pinhole::stun
