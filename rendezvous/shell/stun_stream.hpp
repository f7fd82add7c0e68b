// STUN over TCP (RFC 8489 §6.2.2): one message after the other, told apart by the length in each header.
#pragma once

#include "rendezvous/core/stun_service.hpp"
#include "rendezvous/shell/tcp_link.hpp"

namespace pinhole::rendezvous {

/// Silence after which a STUN client on TCP is closed.
inline constexpr Duration kStunIdle = 10s;

/// Answers until the client has done, is silent, or says anything that is not answered. `service` outlives this.
[[nodiscard]] io::asio::awaitable<void> serve_stun(std::shared_ptr<TcpLink> link, StunService& service);

}  // namespace pinhole::rendezvous
