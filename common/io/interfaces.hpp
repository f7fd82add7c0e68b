// The addresses of this machine's interfaces, the ground of host candidates.
#pragma once

#include "common/net/endpoint.hpp"

#include <vector>

namespace pinhole::io {

/// Unicast addresses of interfaces that are up, sorted, each once; without IPv6 link-local ones, which another machine
/// could not use without naming an interface. Empty when the system does not tell.
[[nodiscard]] std::vector<net::Address> local_addresses(bool include_loopback = false);

}  // namespace pinhole::io
