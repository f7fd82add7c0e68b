#include "common/crypto/symmetric_state.hpp"

#include "common/crypto/aead.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include <sodium.h>

namespace pinhole::crypto {

namespace {

/// Unkeyed BLAKE2b-512 that wipes its state.
class Hasher {
  public:
    Hasher() { crypto_generichash_init(&state_, nullptr, 0, std::tuple_size_v<Hash64>); }

    Hasher(const Hasher&) = delete;
    Hasher& operator=(const Hasher&) = delete;

    ~Hasher() { sodium_memzero(&state_, sizeof state_); }

    void update(ByteView bytes) { crypto_generichash_update(&state_, bytes.data(), bytes.size()); }

    void finish(Hash64& out) { crypto_generichash_final(&state_, out.data(), out.size()); }

  private:
    crypto_generichash_state state_{};
};

/// 64 secret bytes, wiped at the end.
struct Secret64 {
    Secret64() = default;
    Secret64(const Secret64&) = delete;
    Secret64& operator=(const Secret64&) = delete;

    ~Secret64() { wipe(bytes); }

    Hash64 bytes{};
};

// Noise §4.3: HMAC (RFC 2104) over the hash function; BLAKE2b's own keyed mode is not used. BLOCKLEN is 128 (§12.8).
void hmac(const Hash64& key, ByteView first, ByteView second, Hash64& out) {
    constexpr std::size_t kBlock = 128;
    const auto padded = [&](Hasher& hasher, std::uint8_t pad) {
        std::array<std::uint8_t, kBlock> block;
        block.fill(pad);
        for (std::size_t i = 0; i < key.size(); ++i) {
            block[i] ^= key[i];
        }
        hasher.update(block);
        wipe(block);
    };
    Hasher inner;
    padded(inner, 0x36);
    inner.update(first);
    inner.update(second);
    Secret64 digest;
    inner.finish(digest.bytes);
    Hasher outer;
    padded(outer, 0x5c);
    outer.update(digest.bytes);
    outer.finish(out);
}

// Noise §4.3 HKDF with two outputs.
void hkdf(const Hash64& chaining_key, ByteView input, Hash64& first, Hash64& second) {
    constexpr std::array<std::uint8_t, 1> kOne{1};
    constexpr std::array<std::uint8_t, 1> kTwo{2};
    Secret64 extracted;
    hmac(chaining_key, input, {}, extracted.bytes);
    hmac(extracted.bytes, {}, kOne, first);
    hmac(extracted.bytes, first, kTwo, second);
}

// Keys are the first 32 of the 64 bytes (Noise §5.2).
SecretKey truncated(const Hash64& bytes) {
    SecretKey key;
    std::copy_n(bytes.begin(), key.view().size(), key.mutable_view().begin());
    return key;
}

}  // namespace

// Noise §5.2 InitializeSymmetric: a name of at most HASHLEN bytes is padded with zeros.
SymmetricState::SymmetricState(std::string_view protocol_name) {
    assert(protocol_name.size() <= hash_.size());
    std::ranges::copy(as_bytes(protocol_name), hash_.begin());
    chaining_key_ = hash_;
}

SymmetricState::~SymmetricState() {
    wipe(chaining_key_);
}

void SymmetricState::mix_key(const SecretKey& input) {
    Secret64 next;
    Secret64 key;
    hkdf(chaining_key_, input.view(), next.bytes, key.bytes);
    chaining_key_ = next.bytes;
    key_ = truncated(key.bytes);
    nonce_ = 0;
}

void SymmetricState::mix_hash(ByteView bytes) {
    Hasher hasher;
    hasher.update(hash_);
    hasher.update(bytes);
    hasher.finish(hash_);
}

void SymmetricState::encrypt_and_hash(ByteView text, Bytes& out) {
    const auto start = out.size();
    out.insert(out.end(), text.begin(), text.end());
    out.resize(out.size() + overhead());
    const auto written = ByteSpan{out}.subspan(start);
    if (key_) {
        make_aead(Cipher::chacha20_poly1305, *key_)->seal(nonce_++, hash_, written);
    }
    mix_hash(written);
}

std::optional<Bytes> SymmetricState::decrypt_and_hash(ByteView bytes) {
    Bytes text = to_bytes(bytes);
    if (key_) {
        const auto opened = make_aead(Cipher::chacha20_poly1305, *key_)->open(nonce_, hash_, text);
        if (!opened) {
            return std::nullopt;
        }
        ++nonce_;
        text.resize(opened->size());
    }
    mix_hash(bytes);
    return text;
}

std::size_t SymmetricState::overhead() const {
    return key_ ? kTagSize : 0;
}

SymmetricState::Pair SymmetricState::split() const {
    Secret64 first;
    Secret64 second;
    hkdf(chaining_key_, {}, first.bytes, second.bytes);
    return {.first = truncated(first.bytes), .second = truncated(second.bytes)};
}

}  // namespace pinhole::crypto
