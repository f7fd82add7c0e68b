// The server as the probes know it.
#pragma once

#include "common/net/endpoint.hpp"

#include <optional>

namespace pinhole::netcheck {

struct Target {
    net::Endpoint primary;
    /// Alternate address and alternate port, as OTHER-ADDRESS names them.
    std::optional<net::Endpoint> other{};
    /// The other port of the same address.
    std::optional<net::Endpoint> second_port{};

    /// Alternate address, primary port.
    [[nodiscard]] std::optional<net::Endpoint> second_address() const {
        return other ? std::optional{net::Endpoint{.address = other->address, .port = primary.port}} : std::nullopt;
    }
};

}  // namespace pinhole::netcheck
