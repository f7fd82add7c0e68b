// The Internet checksum (RFC 1071) and how it changes with the words that it covers (RFC 1624): a packet that arrived
// broken stays broken, because nothing is summed anew.
#pragma once

#include "common/base/bytes.hpp"
#include "common/net/endpoint.hpp"

#include <cstddef>
#include <cstdint>

namespace pinhole::natbox {

/// Network order; the caller has checked that the words are there.
[[nodiscard]] std::uint16_t load16(ByteView bytes, std::size_t at);
[[nodiscard]] std::uint32_t load32(ByteView bytes, std::size_t at);
void store16(ByteSpan bytes, std::size_t at, std::uint16_t value);
void store32(ByteSpan bytes, std::size_t at, std::uint32_t value);

/// One's complement sum, folded to 16 bits; an odd last byte is the upper half of a word.
[[nodiscard]] std::uint16_t ones_sum(ByteView bytes, std::uint32_t initial = 0);

/// Of the pseudo header that UDP, TCP and ICMPv6 sum along (RFC 9293 §3.1, RFC 8200 §8.1).
[[nodiscard]] std::uint32_t pseudo_header_sum(const net::Address& source, const net::Address& destination,
                                              std::uint8_t protocol, std::size_t length);

/// Collects words before and after; then any checksum that covers them can be brought up to date. RFC 1624 §3, eqn. 3.
class ChecksumChange {
  public:
    void replace(std::uint16_t before, std::uint16_t after) {
        sum_ += static_cast<std::uint16_t>(~before);
        sum_ += after;
    }

    void add(const ChecksumChange& other) { sum_ += other.sum_; }

    [[nodiscard]] std::uint16_t apply(std::uint16_t checksum) const;

    [[nodiscard]] bool empty() const { return sum_ == 0; }

  private:
    std::uint64_t sum_ = 0;
};

}  // namespace pinhole::natbox
