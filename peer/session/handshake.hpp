// The session handshake (proto/README.md §3): Noise IK between two peers, carried by signaling, so that keys, ICE
// credentials and connection IDs are agreed before the first UDP packet. Also the guard against replayed first
// messages.
#pragma once

#include "common/base/error.hpp"
#include "common/base/rng.hpp"
#include "common/base/wall_time.hpp"
#include "common/crypto/aead.hpp"
#include "common/crypto/noise.hpp"
#include "peer/ice/agent.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <utility>

namespace pinhole::session {

/// What a call is for; a set of bits.
enum class Service : std::uint8_t { chat = 1, files = 2, ping = 4 };

/// First message, encrypted to the callee.
struct OfferPayload {
    crypto::PeerId from;
    WallTime sent_at;
    std::uint8_t services = 0;  ///< bits of Service
    std::uint8_t ciphers = 0;   ///< bit n: crypto::Cipher with value n
    std::uint64_t connection_id = 0;
    ice::Credentials ice;
    /// The callee's connection ID of a session that both still have and that is to go on over new paths; 0: a new
    /// session.
    std::uint64_t resume = 0;
};

/// Second message.
struct AnswerPayload {
    std::uint8_t services = 0;  ///< the offered ones that the callee takes
    crypto::Cipher cipher = crypto::Cipher::chacha20_poly1305;
    std::uint64_t connection_id = 0;
    ice::Credentials ice;
};

[[nodiscard]] Bytes serialize(const OfferPayload& payload);
[[nodiscard]] Bytes serialize(const AnswerPayload& payload);
[[nodiscard]] Result<OfferPayload> parse_offer(ByteView bytes);
[[nodiscard]] Result<AnswerPayload> parse_answer(ByteView bytes);

/// Bits of the ciphers that this processor does well.
[[nodiscard]] std::uint8_t available_ciphers();
/// The best cipher in both sets; ChaCha20-Poly1305 is always there.
[[nodiscard]] crypto::Cipher choose_cipher(std::uint8_t offered);

[[nodiscard]] crypto::NoiseHandshake start_handshake(const crypto::Identity& self, const crypto::Key32& remote,
                                                     Rng& rng);
[[nodiscard]] crypto::NoiseHandshake answer_handshake(const crypto::Identity& self, Rng& rng);

/// Refuses a first message seen before. A message counts as new when its time is within kWindow of the local clock and
/// its ephemeral key was not seen in that window; a caller whose clock is off is told ours and tries again.
class ReplayGuard {
  public:
    /// Half of how far two clocks may differ before the caller has to correct; the window of remembered messages.
    static constexpr std::chrono::milliseconds kWindow = 2min;
    /// Remembered messages; beyond it the oldest are forgotten, and only messages newer than those are taken.
    static constexpr std::size_t kMaxRemembered = 4096;

    enum class Verdict : std::uint8_t { fresh, replayed, stale };

    [[nodiscard]] Verdict check(ByteView first_message, WallTime sent_at, WallTime now);

  private:
    std::set<std::pair<WallTime, crypto::Key32>> seen_;
    WallTime forgotten_before_{};
};

}  // namespace pinhole::session
