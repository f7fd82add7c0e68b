// ICMP and ICMPv6 messages: which kind a type is, and the packets that the network itself sends: errors and RSTs.
// Each answers a packet that the receiver sent.
#pragma once

#include "common/base/bytes.hpp"
#include "tests/lab/model/packet.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::natbox {

enum class IcmpKind : std::uint8_t { echo_request, echo_reply, error, other };

[[nodiscard]] IcmpKind icmp_kind(net::Family family, std::uint8_t type);

/// Of an ICMP error from its first 8 bytes; `about` is left empty.
[[nodiscard]] lab::IcmpReport read_icmp_error(ByteView icmp, net::Family family);

/// Bytes of an offending packet that an error quotes: IPv6 header with some options and TCP's, far below the 576
/// bytes that an IPv4 error may have (RFC 1812 §4.3.2.3).
inline constexpr std::size_t kQuoted = 128;

/// The IP packet of `error.report`. `offending`: the packet that it is about, or its beginning, as its sender sent it.
/// nullopt if that is no IP packet of the same family.
[[nodiscard]] std::optional<Bytes> build_icmp_error(const lab::Packet& error, ByteView offending);

/// The RST that `answer.reset` stands for, by RFC 9293 §3.5.2. nullopt if `offending` is not a TCP packet.
[[nodiscard]] std::optional<Bytes> build_reset(const lab::Packet& answer, ByteView offending);

}  // namespace pinhole::natbox
