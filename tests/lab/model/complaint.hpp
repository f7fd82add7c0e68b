// What routers say instead of forwarding: ICMP errors (RFC 792, RFC 4443) and RST, as packets of the emulated network.
#pragma once

#include "tests/lab/model/packet.hpp"

#include <cstddef>

namespace pinhole::lab {

/// Never an error about an error, nor a word to a RST (RFC 1122 §3.2.2).
[[nodiscard]] bool may_be_answered(const Packet& packet);

/// An ICMP error to the sender of `packet`, whose payload it takes.
[[nodiscard]] Packet report_about(Packet packet, IcmpError error, const net::Address& from, std::size_t mtu = 0);

/// What a router that does not let `packet` in says, in the name of its destination: port unreachable, or RST.
[[nodiscard]] Packet rejection_of(Packet packet);

[[nodiscard]] bool is_echo_request(const Packet& packet);

/// The answer to an echo request.
[[nodiscard]] Packet echo_reply(Packet request);

}  // namespace pinhole::lab
