// The Noise protocol framework (revision 34), patterns XX and IK with 25519, ChaChaPoly and BLAKE2b.
// A handshake is a state machine fed with messages; who carries them does not matter.
#pragma once

#include "common/base/error.hpp"
#include "common/crypto/hash.hpp"
#include "common/crypto/keys.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace pinhole::crypto {

enum class NoiseErrc {
    decrypt_failed = 1,  ///< the message was not made for this key, or was changed
    wrong_order,         ///< a read where a write is due, or after the end
    too_short,           ///< the message cannot hold what the pattern requires
    bad_key              ///< a public key of low order
};
std::error_code make_error_code(NoiseErrc code);

enum class NoisePattern : std::uint8_t { XX, IK };
enum class NoiseRole : std::uint8_t { initiator, responder };

/// What both sides hold at the end (Noise §5.2 Split), by direction as seen from here.
struct NoiseKeys {
    SecretKey send;
    SecretKey receive;
    /// Channel binding (Noise §11.2): the 64-byte handshake hash.
    std::array<std::uint8_t, 64> handshake_hash{};
};

class NoiseHandshake {
  public:
    struct Config {
        NoisePattern pattern = NoisePattern::XX;
        NoiseRole role = NoiseRole::initiator;
        /// Bound into the handshake; both sides must agree.
        Bytes prologue;
        KeyPair static_keys;
        /// Required for the initiator of IK.
        std::optional<Key32> remote_static;
    };

    NoiseHandshake(Config config, Rng& rng);
    NoiseHandshake(NoiseHandshake&&) noexcept;
    NoiseHandshake& operator=(NoiseHandshake&&) noexcept;
    ~NoiseHandshake();

    /// The next message of this side, with `payload` encrypted as far as the pattern has keys.
    [[nodiscard]] Result<Bytes> write(ByteView payload);
    /// The payload of the other side's message. After an error other than wrong_order the handshake is over.
    [[nodiscard]] Result<Bytes> read(ByteView message);
    [[nodiscard]] bool finished() const;
    /// Known after the message that carries it; an IK initiator knows it from the start.
    [[nodiscard]] std::optional<Key32> remote_static() const;
    /// Once, after `finished()`.
    [[nodiscard]] NoiseKeys split();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace pinhole::crypto

template <>
struct std::is_error_code_enum<pinhole::crypto::NoiseErrc> : std::true_type {};
