// One Binding request and its answer: RFC 8489, clients of RFC 3489, which send no magic cookie, and NAT behaviour
// discovery (RFC 5780) where the server has two addresses. Pure: no limits, no state, no sockets.
//
// An answer is as small as its kind allows: no SOFTWARE, no reason phrases, FINGERPRINT only if the request had one.
// It goes where the request came from; RESPONSE-PORT changes the port alone, and RESPONSE-ADDRESS (RFC 3489 §11.2.2),
// which would let anybody aim answers at anybody, is refused like PADDING, which would make them large.
#pragma once

#include "common/base/bytes.hpp"
#include "common/net/datagram.hpp"
#include "common/net/endpoint.hpp"
#include "common/stun/message.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace pinhole::rendezvous {

enum class StunTransport : std::uint8_t { udp, tcp };

/// The two addresses and two ports of one family (RFC 5780 §6.1: A1, A2, P1, P2).
struct StunSite {
    std::array<net::Address, 2> addresses;
    std::array<std::uint16_t, 2> ports{};

    [[nodiscard]] bool contains(const net::Endpoint& local) const;
    /// Table 1 of RFC 5780 §6.1: where an answer to a request that arrived at `local` is sent from.
    [[nodiscard]] net::Endpoint changed(const net::Endpoint& local, const stun::ChangeRequest& change) const;
};

struct BindingRequest {
    ByteView bytes;
    net::PathAddresses path;
    StunTransport transport = StunTransport::udp;
};

struct BindingAnswer {
    /// `path.local` is one of the site's endpoints, or the one at which the request arrived.
    net::Transmit transmit;
    bool success = false;
};

/// `site` is the one that the request arrived at, nullptr if the server has one address only. Nothing for whatever is
/// not a Binding request.
[[nodiscard]] std::optional<BindingAnswer> answer_binding(const BindingRequest& asked, const StunSite* site);

/// Answers to a lower port could only be meant for somebody's service: mappings of NATs have higher ones.
inline constexpr std::uint16_t kLowestResponsePort = 1024;

}  // namespace pinhole::rendezvous
