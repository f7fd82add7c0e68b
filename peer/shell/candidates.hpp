// Which addresses a peer offers: the host candidates of its sockets and what STUN found for them.
#pragma once

#include "common/net/candidate.hpp"
#include "peer/ice/gatherer.hpp"

#include <optional>
#include <vector>

namespace pinhole::shell {

/// Host candidates for one socket's port on each of its family's addresses, the first address preferred.
[[nodiscard]] std::vector<net::Candidate> host_candidates(const std::vector<net::Address>& addresses,
                                                          net::Family family, std::uint16_t port);

/// Of TCP: on each address one that connects and one that is connected to, from the same port.
[[nodiscard]] std::vector<net::Candidate> tcp_host_candidates(const std::vector<net::Address>& addresses,
                                                              net::Family family, std::uint16_t port);

/// The server-reflexive candidate of an answer. Over UDP nullopt when the address is the base itself: there is no NAT.
/// Over TCP it is one of simultaneous open, and a host candidate then: there may be a firewall.
[[nodiscard]] std::optional<net::Candidate> reflexive_candidate(const ice::Reflexive& answer);

/// The addresses to offer when the server is at `server`: loopback only if the server is (then everything is on this
/// machine), and never loopback otherwise. `bind` limits them to one.
[[nodiscard]] std::vector<net::Address> usable_addresses(const std::vector<net::Address>& all,
                                                         const net::Address& server,
                                                         const std::optional<net::Address>& bind);

/// The address that this machine would send from to reach `remote`, as the routing table says; sends nothing.
[[nodiscard]] std::optional<net::Address> source_address_for(const net::Endpoint& remote);

}  // namespace pinhole::shell
