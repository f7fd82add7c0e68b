// The packet header (proto/README.md, "Transport"). In clear, authenticated as associated data:
//
//    0                   1                                       9                     13
//   +----------+----------------------------------------+--------------------+------------
//   | 1101000K | connection ID, chosen by the receiver  | packet number & ~0 | AEAD payload
//   +----------+----------------------------------------+--------------------+------------
//
// K is the key phase of the sender. The packet number is the low 32 bits, big-endian.
#pragma once

#include "common/base/bytes.hpp"
#include "common/crypto/aead.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::transport {

inline constexpr std::size_t kHeaderSize = 13;
/// Bytes of every packet that are not frames.
inline constexpr std::size_t kPacketOverhead = kHeaderSize + crypto::kTagSize;

struct Header {
    bool key_phase = false;
    std::uint64_t connection_id = 0;
    std::uint32_t truncated_number = 0;
};

/// True when the first byte says transport: it shares the socket with STUN (0-3), DTLS (20-63), TURN channels (64-79)
/// and RTP (128-191), see RFC 7983 §7.
[[nodiscard]] bool is_transport_packet(ByteView datagram);

/// nullopt for anything that is not a whole packet of this version: one byte of frames at least.
[[nodiscard]] std::optional<Header> parse_header(ByteView datagram);
/// Fills the first kHeaderSize bytes of `out`.
void write_header(const Header& header, ByteSpan out);

/// The packet number nearest to `expected` (largest received, plus one) that ends in these 32 bits. RFC 9000 §A.3.
[[nodiscard]] std::uint64_t expand_packet_number(std::uint64_t expected, std::uint32_t truncated);

}  // namespace pinhole::transport
