#include "peer/session/handshake.hpp"

#include "common/base/limits.hpp"

#include <algorithm>

namespace pinhole::session {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMinUfrag = 4;  // RFC 8445 §5.3
constexpr std::size_t kMinPwd = 22;   // RFC 8445 §5.3
constexpr std::size_t kMaxIce = 64;   // the RFC allows 256; ours are 8 and 24
constexpr std::size_t kEphemeralSize = 32;

void put_text(ByteWriter& out, const std::string& text) {
    out.u8(static_cast<std::uint8_t>(text.size()));
    out.bytes(as_bytes(text));
}

bool is_ice_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

std::optional<std::string> take_text(ByteReader& in, std::size_t min) {
    const auto size = in.u8();
    if (!size || *size < min || *size > kMaxIce) {
        return std::nullopt;
    }
    const auto bytes = in.take(*size);
    if (!bytes || !std::ranges::all_of(as_text(*bytes), is_ice_char)) {
        return std::nullopt;
    }
    return std::string{as_text(*bytes)};
}

std::optional<ice::Credentials> take_credentials(ByteReader& in) {
    auto ufrag = take_text(in, kMinUfrag);
    auto pwd = take_text(in, kMinPwd);
    if (!ufrag || !pwd) {
        return std::nullopt;
    }
    return ice::Credentials{.ufrag = *std::move(ufrag), .pwd = *std::move(pwd)};
}

constexpr std::uint8_t cipher_bit(crypto::Cipher cipher) {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(cipher));
}

crypto::NoiseHandshake make(const crypto::Identity& self, std::optional<crypto::Key32> remote, Rng& rng) {
    const auto role = remote ? crypto::NoiseRole::initiator : crypto::NoiseRole::responder;
    return crypto::NoiseHandshake{{.pattern = crypto::NoisePattern::IK,
                                   .role = role,
                                   .prologue = to_bytes(as_bytes("pinhole-session/1")),
                                   .static_keys = self.noise_keys(),
                                   .remote_static = remote},
                                  rng};
}

}  // namespace

Bytes serialize(const OfferPayload& payload) {
    Bytes buffer(limits::kMaxSessionHandshake);
    ByteWriter out{buffer};
    out.u8(kVersion);
    out.bytes(payload.from.bytes);
    out.u64(static_cast<std::uint64_t>(payload.sent_at.unix_ms));
    out.u8(payload.services);
    out.u8(payload.ciphers);
    out.u64(payload.connection_id);
    put_text(out, payload.ice.ufrag);
    put_text(out, payload.ice.pwd);
    if (payload.resume != 0) {
        out.u64(payload.resume);
    }
    buffer.resize(out.size());
    return buffer;
}

Bytes serialize(const AnswerPayload& payload) {
    Bytes buffer(limits::kMaxSessionHandshake);
    ByteWriter out{buffer};
    out.u8(kVersion);
    out.u8(payload.services);
    out.u8(static_cast<std::uint8_t>(payload.cipher));
    out.u64(payload.connection_id);
    put_text(out, payload.ice.ufrag);
    put_text(out, payload.ice.pwd);
    buffer.resize(out.size());
    return buffer;
}

Result<OfferPayload> parse_offer(ByteView bytes) {
    ByteReader in{bytes};
    const auto version = in.u8();
    if (!version || *version < kVersion) {
        return fail(make_error_code(Errc::not_supported), "session offer");
    }
    const auto id = in.take(32);
    const auto sent_at = in.u64();
    const auto services = in.u8();
    const auto ciphers = in.u8();
    const auto connection_id = in.u64();
    auto ice = take_credentials(in);
    if (!connection_id || !ice) {
        return fail(make_error_code(Errc::malformed), "session offer");
    }
    return OfferPayload{.from = *crypto::PeerId::from_bytes(*id),
                        .sent_at = {static_cast<std::int64_t>(*sent_at)},
                        .services = *services,
                        .ciphers = *ciphers,
                        .connection_id = *connection_id,
                        .ice = *std::move(ice),
                        .resume = in.u64().value_or(0)};
}

Result<AnswerPayload> parse_answer(ByteView bytes) {
    ByteReader in{bytes};
    const auto version = in.u8();
    if (!version || *version < kVersion) {
        return fail(make_error_code(Errc::not_supported), "session answer");
    }
    const auto services = in.u8();
    const auto cipher = in.u8();
    const auto connection_id = in.u64();
    auto ice = take_credentials(in);
    if (!connection_id || !ice) {
        return fail(make_error_code(Errc::malformed), "session answer");
    }
    const auto chosen = static_cast<crypto::Cipher>(*cipher);
    if ((chosen != crypto::Cipher::chacha20_poly1305 && chosen != crypto::Cipher::aes256_gcm) ||
        !crypto::cipher_available(chosen)) {
        return fail(make_error_code(Errc::not_supported), "cipher of the session answer");
    }
    return AnswerPayload{
        .services = *services, .cipher = chosen, .connection_id = *connection_id, .ice = *std::move(ice)};
}

std::uint8_t available_ciphers() {
    std::uint8_t bits = 0;
    for (const auto cipher : {crypto::Cipher::chacha20_poly1305, crypto::Cipher::aes256_gcm}) {
        if (crypto::cipher_available(cipher)) {
            bits |= cipher_bit(cipher);
        }
    }
    return bits;
}

crypto::Cipher choose_cipher(std::uint8_t offered) {
    // AES-256-GCM is offered only by processors with hardware for it, where it is 1.5 times as fast.
    const bool aes = (offered & available_ciphers() & cipher_bit(crypto::Cipher::aes256_gcm)) != 0;
    return aes ? crypto::Cipher::aes256_gcm : crypto::Cipher::chacha20_poly1305;
}

crypto::NoiseHandshake start_handshake(const crypto::Identity& self, const crypto::Key32& remote, Rng& rng) {
    return make(self, remote, rng);
}

crypto::NoiseHandshake answer_handshake(const crypto::Identity& self, Rng& rng) {
    return make(self, {}, rng);
}

ReplayGuard::Verdict ReplayGuard::check(ByteView first_message, WallTime sent_at, WallTime now) {
    const auto window = kWindow.count();
    const WallTime oldest{now.unix_ms - window};
    if (first_message.size() < kEphemeralSize || sent_at < oldest || sent_at.unix_ms - window > now.unix_ms ||
        sent_at < forgotten_before_) {
        return Verdict::stale;
    }
    seen_.erase(seen_.begin(), seen_.lower_bound({oldest, crypto::Key32{}}));
    crypto::Key32 ephemeral{};
    std::ranges::copy(first_message.first(kEphemeralSize), ephemeral.begin());
    if (!seen_.emplace(sent_at, ephemeral).second) {
        return Verdict::replayed;
    }
    if (seen_.size() > kMaxRemembered) {
        forgotten_before_ = {seen_.begin()->first.unix_ms + 1};
        seen_.erase(seen_.begin());
    }
    return Verdict::fresh;
}

}  // namespace pinhole::session
