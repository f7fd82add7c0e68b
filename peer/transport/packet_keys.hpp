// The keys of both directions, their phases, and what packet numbers have been used or seen under them. Each sender
// rolls its own key forward without a round trip: the receiver follows the key phase bit (after RFC 9001 §6).
#pragma once

#include "common/base/time.hpp"
#include "common/crypto/aead.hpp"
#include "common/crypto/keys.hpp"
#include "common/crypto/replay_window.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace pinhole::transport {

class PacketKeys {
  public:
    /// `update_after`: packets sealed under one key before the next is used.
    PacketKeys(crypto::Cipher cipher, const crypto::SecretKey& send, const crypto::SecretKey& receive,
               std::uint64_t update_after);

    // --- sending
    /// Rolls the key if it is due; then the phase for the next packet. Never again before the peer has acknowledged a
    /// packet of the current phase, so that it can tell the phases apart (RFC 9001 §6.1).
    [[nodiscard]] bool next_send_phase(std::uint64_t number);
    /// `payload` ends with kTagSize spare bytes.
    void seal(std::uint64_t number, ByteView header, ByteSpan payload);

    void on_acked(std::uint64_t number) { confirmed_ = confirmed_ || number >= phase_first_; }

    // --- receiving
    /// The text in place, if the packet is authentic and new. `retain`: how long the key before this one stays usable.
    [[nodiscard]] std::optional<ByteSpan> open(std::uint64_t number, bool phase, ByteView header, ByteSpan payload,
                                               TimePoint now, Duration retain);

    /// Nothing is under way: gives back what only speed needs.
    void rest(TimePoint now);

    /// Forgeries have used up what the cipher guarantees (RFC 9001 §6.6).
    [[nodiscard]] bool integrity_exhausted() const { return forged_ >= forgery_limit_; }

    /// Rolls in either direction.
    [[nodiscard]] std::uint64_t updates() const { return updates_; }

  private:
    void roll_receive(std::uint64_t number, TimePoint expiry);

    crypto::Cipher cipher_;
    std::uint64_t update_after_;
    std::uint64_t updates_ = 0;

    crypto::SecretKey send_key_;
    std::unique_ptr<crypto::Aead> send_;
    bool send_phase_ = false;
    std::uint64_t phase_first_ = 0;
    std::uint64_t sealed_ = 0;
    bool confirmed_ = false;

    /// Secret behind `next_`, which is made when it is needed; each key follows from the one before.
    crypto::SecretKey next_key_;
    std::unique_ptr<crypto::Aead> previous_;
    std::unique_ptr<crypto::Aead> current_;
    std::unique_ptr<crypto::Aead> next_;
    bool receive_phase_ = false;
    /// Lowest number opened with the current key.
    std::uint64_t current_first_ = 0;
    TimePoint previous_expiry_;
    crypto::ReplayWindow window_;
    std::uint64_t forged_ = 0;
    std::uint64_t forgery_limit_;
};

}  // namespace pinhole::transport
