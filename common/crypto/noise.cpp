#include "common/crypto/noise.hpp"

#include "common/crypto/aead.hpp"
#include "common/crypto/symmetric_state.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <utility>

namespace pinhole::crypto {

namespace {

/// Noise §3: no message is longer.
constexpr std::size_t kMaxMessage = 65535;
constexpr std::size_t kKeySize = std::tuple_size_v<Key32>;

enum class Token : std::uint8_t { e, s, ee, es, se, ss };

// Noise §7.5 (interactive patterns). Messages alternate, the initiator begins.
constexpr std::array kXx1{Token::e};
constexpr std::array kXx2{Token::e, Token::ee, Token::s, Token::es};
constexpr std::array kXx3{Token::s, Token::se};
constexpr std::array<std::span<const Token>, 3> kXx{kXx1, kXx2, kXx3};
constexpr std::array kIk1{Token::e, Token::es, Token::s, Token::ss};
constexpr std::array kIk2{Token::e, Token::ee, Token::se};
constexpr std::array<std::span<const Token>, 2> kIk{kIk1, kIk2};

std::span<const std::span<const Token>> messages_of(NoisePattern pattern) {
    if (pattern == NoisePattern::XX) {
        return kXx;
    }
    return kIk;
}

const char* protocol_name(NoisePattern pattern) {
    return pattern == NoisePattern::XX ? "Noise_XX_25519_ChaChaPoly_BLAKE2b" : "Noise_IK_25519_ChaChaPoly_BLAKE2b";
}

const char* describe(int value) {
    switch (static_cast<NoiseErrc>(value)) {
        case NoiseErrc::decrypt_failed:
            return "the handshake message does not decrypt";
        case NoiseErrc::wrong_order:
            return "handshake message out of order";
        case NoiseErrc::too_short:
            return "handshake message too short";
        case NoiseErrc::bad_key:
            return "unusable public key in the handshake";
    }
    return "unknown handshake error";
}

const EnumCategory kCategory{"noise", describe};

Key32 to_key(ByteView bytes) {
    Key32 key{};
    std::ranges::copy(bytes, key.begin());
    return key;
}

}  // namespace

std::error_code make_error_code(NoiseErrc code) {
    return {static_cast<int>(code), kCategory};
}

/// HandshakeState of Noise §5.3.
struct NoiseHandshake::State {
    State(Config config_given, Rng& rng_given)
        : config(std::move(config_given)), rng(&rng_given), symmetric(protocol_name(config.pattern)) {
        symmetric.mix_hash(config.prologue);
        if (config.pattern == NoisePattern::IK) {
            mix_responder_static();
        } else {
            config.remote_static.reset();
        }
    }

    // The pre-message "<- s" of IK.
    void mix_responder_static() {
        if (!initiator()) {
            config.remote_static.reset();
            symmetric.mix_hash(config.static_keys.public_key);
        } else if (config.remote_static) {
            symmetric.mix_hash(*config.remote_static);
        } else {
            failed = NoiseErrc::bad_key;
        }
    }

    [[nodiscard]] bool initiator() const { return config.role == NoiseRole::initiator; }

    [[nodiscard]] bool finished() const { return !failed && step == messages_of(config.pattern).size(); }

    [[nodiscard]] Status may(bool write) const {
        if (failed) {
            return fail(*failed);
        }
        const bool my_turn = initiator() == (step % 2 == 0);
        if (finished() || my_turn != write) {
            return fail(NoiseErrc::wrong_order);
        }
        return {};
    }

    [[nodiscard]] std::span<const Token> tokens() const { return messages_of(config.pattern)[step]; }

    [[nodiscard]] bool mix_dh(const SecretKey& secret, const std::optional<Key32>& public_key) {
        const auto shared = public_key ? diffie_hellman(secret, *public_key) : std::nullopt;
        if (shared) {
            symmetric.mix_key(*shared);
        }
        return shared.has_value();
    }

    // The first letter is the initiator's key, the second the responder's.
    [[nodiscard]] bool mix_token(Token token) {
        const auto& mine = config.static_keys.secret;
        const auto& theirs = config.remote_static;
        switch (token) {
            case Token::ee:
                return mix_dh(ephemeral.secret, remote_ephemeral);
            case Token::es:
                return initiator() ? mix_dh(ephemeral.secret, theirs) : mix_dh(mine, remote_ephemeral);
            case Token::se:
                return initiator() ? mix_dh(mine, remote_ephemeral) : mix_dh(ephemeral.secret, theirs);
            case Token::ss:
                return mix_dh(mine, theirs);
            case Token::e:
            case Token::s:
                break;
        }
        return true;
    }

    [[nodiscard]] Result<Bytes> write(ByteView payload) {
        Bytes message;
        for (const auto token : tokens()) {
            if (token == Token::e) {
                ephemeral = KeyPair::generate(*rng);
                const auto& key = ephemeral.public_key;
                message.insert(message.end(), key.begin(), key.end());
                symmetric.mix_hash(key);
            } else if (token == Token::s) {
                symmetric.encrypt_and_hash(config.static_keys.public_key, message);
            } else if (!mix_token(token)) {
                return fail(NoiseErrc::bad_key);
            }
        }
        symmetric.encrypt_and_hash(payload, message);
        if (message.size() > kMaxMessage) {
            return fail(Errc::too_large, "handshake message");
        }
        ++step;
        return message;
    }

    [[nodiscard]] Status read_static(ByteReader& reader) {
        const auto bytes = reader.take(kKeySize + symmetric.overhead());
        if (!bytes) {
            return fail(NoiseErrc::too_short);
        }
        const auto key = symmetric.decrypt_and_hash(*bytes);
        if (!key) {
            return fail(NoiseErrc::decrypt_failed);
        }
        config.remote_static = to_key(*key);
        return {};
    }

    [[nodiscard]] Status read_token(Token token, ByteReader& reader) {
        if (token == Token::s) {
            return read_static(reader);
        }
        if (token == Token::e) {
            const auto bytes = reader.take(kKeySize);
            if (!bytes) {
                return fail(NoiseErrc::too_short);
            }
            remote_ephemeral = to_key(*bytes);
            symmetric.mix_hash(*bytes);
            return {};
        }
        return mix_token(token) ? Status{} : fail(NoiseErrc::bad_key);
    }

    [[nodiscard]] Result<Bytes> read(ByteView message) {
        if (message.size() > kMaxMessage) {
            return fail(Errc::too_large, "handshake message");
        }
        ByteReader reader{message};
        for (const auto token : tokens()) {
            if (auto status = read_token(token, reader); !status) {
                return std::unexpected(status.error());
            }
        }
        if (reader.remaining() < symmetric.overhead()) {
            return fail(NoiseErrc::too_short);
        }
        auto payload = symmetric.decrypt_and_hash(reader.rest());
        if (!payload) {
            return fail(NoiseErrc::decrypt_failed);
        }
        ++step;
        return std::move(*payload);
    }

    Config config;
    Rng* rng;
    SymmetricState symmetric;
    KeyPair ephemeral;
    std::optional<Key32> remote_ephemeral;
    std::size_t step = 0;
    std::optional<std::error_code> failed;
    bool spent = false;
};

NoiseHandshake::NoiseHandshake(Config config, Rng& rng) : state_(std::make_unique<State>(std::move(config), rng)) {}

NoiseHandshake::NoiseHandshake(NoiseHandshake&&) noexcept = default;
NoiseHandshake& NoiseHandshake::operator=(NoiseHandshake&&) noexcept = default;
NoiseHandshake::~NoiseHandshake() = default;

Result<Bytes> NoiseHandshake::write(ByteView payload) {
    if (auto status = state_->may(true); !status) {
        return std::unexpected(status.error());
    }
    auto message = state_->write(payload);
    if (!message) {
        state_->failed = message.error().code;
    }
    return message;
}

Result<Bytes> NoiseHandshake::read(ByteView message) {
    if (auto status = state_->may(false); !status) {
        return std::unexpected(status.error());
    }
    auto payload = state_->read(message);
    if (!payload) {
        state_->failed = payload.error().code;
    }
    return payload;
}

bool NoiseHandshake::finished() const {
    return state_->finished();
}

std::optional<Key32> NoiseHandshake::remote_static() const {
    return state_->config.remote_static;
}

NoiseKeys NoiseHandshake::split() {
    // Keys that nobody agreed on must never be used: a caller that gets here early or twice has no way to go on.
    if (!finished() || std::exchange(state_->spent, true)) {
        std::abort();
    }
    auto [first, second] = state_->symmetric.split();
    NoiseKeys keys;
    keys.handshake_hash = state_->symmetric.handshake_hash();
    keys.send = std::move(state_->initiator() ? first : second);
    keys.receive = std::move(state_->initiator() ? second : first);
    return keys;
}

}  // namespace pinhole::crypto
