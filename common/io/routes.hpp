// The way this machine would send to an address, as the kernel's routing tables say (rtnetlink(7)). Sends nothing.
#pragma once

#include "common/net/endpoint.hpp"

#include <optional>
#include <string>

namespace pinhole::io {

struct Route {
    std::optional<net::Address> gateway;  ///< empty: it is on the same link
    std::string interface;
    std::optional<net::Address> source;  ///< what the packets would come from

    friend bool operator==(const Route&, const Route&) = default;
};

/// nullopt if there is no route, or the system does not tell.
[[nodiscard]] std::optional<Route> route_to(const net::Address& destination);

}  // namespace pinhole::io
