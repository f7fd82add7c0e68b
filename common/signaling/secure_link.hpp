// One signaling connection as a state machine: preamble, Noise XX, then encrypted frames of a 16-bit length each
// (proto/README.md). Fed with the bytes of a TCP stream; knows neither sockets nor messages.
// Every error is final: the owner closes the connection. Memory: one partial frame in, kMaxSignalingBacklog out.
#pragma once

#include "common/base/error.hpp"
#include "common/base/limits.hpp"
#include "common/crypto/aead.hpp"
#include "common/crypto/noise.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

namespace pinhole::signaling {

enum class LinkErrc {
    bad_preamble = 1,  ///< the other side does not speak pinhole signaling
    handshake_failed,
    bad_frame,  ///< a frame that does not decrypt
    backlog     ///< the other side does not read
};
std::error_code make_error_code(LinkErrc code);

/// First bytes of a client; 0xC0 collides with neither STUN (0–3), TLS (22) nor HTTP (letters).
inline constexpr std::array<std::uint8_t, 4> kPreamble{0xc0, 'P', 'H', 1};

class SecureLink {
  public:
    /// The client sends the preamble and the first message at once; `hello` goes with its last one, encrypted.
    [[nodiscard]] static SecureLink client(crypto::KeyPair keys, Bytes hello, Rng& rng);
    [[nodiscard]] static SecureLink server(crypto::KeyPair keys, Rng& rng);

    SecureLink(SecureLink&&) noexcept;
    SecureLink& operator=(SecureLink&&) noexcept;
    ~SecureLink();

    [[nodiscard]] Status handle_bytes(ByteView bytes);
    /// Plaintext of the next frame, in order.
    [[nodiscard]] std::optional<Bytes> poll_frame();
    /// Only when established; at most kMaxFramePlaintext bytes.
    [[nodiscard]] Status send(ByteView plaintext);
    /// Bytes that poll_output would give.
    [[nodiscard]] std::size_t backlog() const;
    /// Bytes for the TCP stream; empty when there are none. Ownership moves out.
    [[nodiscard]] Bytes poll_output();

    [[nodiscard]] bool established() const;
    /// The other side's Noise static key; set before `established`.
    [[nodiscard]] std::optional<crypto::Key32> remote_static() const;
    /// Server only, once established: the client's hello.
    [[nodiscard]] const Bytes& hello() const;

  private:
    struct State;
    explicit SecureLink(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace pinhole::signaling

template <>
struct std::is_error_code_enum<pinhole::signaling::LinkErrc> : std::true_type {};
