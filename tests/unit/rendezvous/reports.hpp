// Reports of peers behind NATs that are not easy to pass, for tests of what the server plans for them.
#pragma once

#include "common/net/net_report.hpp"

namespace pinhole::rendezvous {

inline net::NetReport report(const net::Address& address, net::NatBehavior mapping, net::PortAllocation allocation) {
    net::NetReport result;
    result.udp.open = true;
    result.udp.mapping = mapping;
    result.udp.allocation = allocation;
    result.udp.filtering = net::NatBehavior::address_and_port_dependent;
    result.udp.reflexive = net::Endpoint{.address = address, .port = 40'000};
    result.udp.delta = 1;
    result.udp.rate = 0;
    return result;
}

}  // namespace pinhole::rendezvous
