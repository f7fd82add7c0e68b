// The server's addresses as others see them, where an operator's NAT translates them one to one (--external): relayed
// addresses are told with the outer address, and what is sent to the outer address of a relay here stays inside,
// because such NATs seldom turn packets around.
#pragma once

#include "common/net/endpoint.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace pinhole::rendezvous {

class Outside {
  public:
    Outside() = default;

    /// At most one address of each family counts.
    explicit Outside(std::vector<net::Address> external) : external_(std::move(external)) {}

    /// What the world calls `local`; loopback stays itself.
    [[nodiscard]] net::Endpoint told(const net::Endpoint& local) const {
        const auto outer = of(local.address.family());
        return outer != external_.end() && !local.address.is_loopback()
                   ? net::Endpoint{.address = *outer, .port = local.port}
                   : local;
    }

    /// Where a packet from the socket bound to `local` has to go to reach `peer`.
    [[nodiscard]] net::Endpoint reached(const net::Endpoint& peer, const net::Address& local) const {
        return is_external(peer.address) ? net::Endpoint{.address = local, .port = peer.port} : peer;
    }

    /// Who sent a packet that came to the socket bound to `local`.
    [[nodiscard]] net::Endpoint seen(const net::Endpoint& from, const net::Address& local) const {
        return !external_.empty() && from.address == local ? told(from) : from;
    }

    [[nodiscard]] const std::vector<net::Address>& addresses() const { return external_; }

  private:
    [[nodiscard]] std::vector<net::Address>::const_iterator of(net::Family family) const {
        return std::ranges::find(external_, family, &net::Address::family);
    }

    [[nodiscard]] bool is_external(const net::Address& address) const {
        return !external_.empty() && std::ranges::find(external_, address) != external_.end();
    }

    std::vector<net::Address> external_;
};

}  // namespace pinhole::rendezvous
