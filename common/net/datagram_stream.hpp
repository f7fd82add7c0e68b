// Datagrams out of a byte stream: those with a 16-bit length in front (RFC 4571, as RFC 6544 §3 wants it between
// peers), or STUN messages, which carry their own (RFC 8489 §6.2.2). Owns the buffer that is read into; a datagram lies
// in it. Knows no socket; whoever reads one drives it: space, commit, next until nothing is left.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::net {

enum class Framing : std::uint8_t { length, stun };

class DatagramStream {
  public:
    /// No sender of ours makes larger ones: a transport's packet has at most 1472 bytes, a STUN message fewer.
    static constexpr std::size_t kMaxDatagram = 2048;
    /// Some 40 datagrams a read, so that a fast stream costs few system calls.
    static constexpr std::size_t kBuffer = 64 * 1024;

    explicit DatagramStream(Framing framing) : framing_(framing), buffer_(kBuffer) {}

    /// Where the next bytes go. Never empty after `next` has said that nothing is left; ends what `next` gave.
    [[nodiscard]] ByteSpan space();
    /// So many bytes were put there.
    void commit(std::size_t count);
    /// The next datagram that is complete, in place, never empty; nullopt when more bytes are needed. An error ends the
    /// stream: what follows a length that cannot be has no meaning.
    [[nodiscard]] Result<std::optional<ByteSpan>> next();

  private:
    Framing framing_;
    Bytes buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

/// Appends a datagram with its length in front. `datagram` has at most 65535 bytes.
void append_framed(ByteView datagram, Bytes& to);

}  // namespace pinhole::net
