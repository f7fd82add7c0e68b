#include "common/crypto/hash.hpp"

#include <sodium.h>

namespace pinhole::crypto {

namespace {

template <class State>
crypto_generichash_state* sodium(State& state) {
    static_assert(sizeof(State) >= sizeof(crypto_generichash_state));
    return reinterpret_cast<crypto_generichash_state*>(state.data());
}

}  // namespace

Blake2b::Blake2b() {
    crypto_generichash_init(sodium(state_), nullptr, 0, std::tuple_size_v<Hash32>);
}

void Blake2b::update(ByteView bytes) {
    crypto_generichash_update(sodium(state_), bytes.data(), bytes.size());
}

Hash32 Blake2b::finish() {
    Hash32 hash{};
    crypto_generichash_final(sodium(state_), hash.data(), hash.size());
    return hash;
}

Hash32 blake2b(ByteView bytes) {
    Hash32 hash{};
    crypto_generichash(hash.data(), hash.size(), bytes.data(), bytes.size(), nullptr, 0);
    return hash;
}

SecretKey derive_key(const SecretKey& secret, std::string_view label) {
    SecretKey key;
    const auto out = key.mutable_view();
    const auto text = as_bytes(label);
    crypto_generichash(out.data(), out.size(), text.data(), text.size(), secret.view().data(), secret.view().size());
    return key;
}

}  // namespace pinhole::crypto
