#include "common/net/net_report.hpp"

namespace pinhole::net {

NatClass classify(const NetReport& report) {
    const auto& udp = report.udp;
    if (udp.open == false) {
        return NatClass::blocked;
    }
    if (!udp.open || udp.mapping == NatBehavior::unknown) {
        return NatClass::unknown;
    }
    // A preserved port is a known one, even where the NAT would choose another for each destination.
    const bool known_port = udp.mapping == NatBehavior::none || udp.mapping == NatBehavior::endpoint_independent ||
                            udp.allocation == PortAllocation::preserving;
    if (known_port) {
        switch (udp.filtering) {
            case NatBehavior::none:
            case NatBehavior::endpoint_independent:
                return NatClass::open;
            case NatBehavior::address_dependent:
                return NatClass::easy_address;
            case NatBehavior::unknown:  // plan for the strictest
            case NatBehavior::address_and_port_dependent:
                return NatClass::easy;
        }
    }
    switch (udp.allocation) {
        case PortAllocation::sequential:
            return NatClass::hard_sequential;
        case PortAllocation::block:
            return NatClass::hard_block;
        default:
            return NatClass::hard_random;
    }
}

const char* name(NatBehavior behavior) {
    switch (behavior) {
        case NatBehavior::none:
            return "none";
        case NatBehavior::endpoint_independent:
            return "endpoint-independent";
        case NatBehavior::address_dependent:
            return "address-dependent";
        case NatBehavior::address_and_port_dependent:
            return "address-and-port-dependent";
        case NatBehavior::unknown:
            break;
    }
    return "unknown";
}

const char* name(PortAllocation allocation) {
    switch (allocation) {
        case PortAllocation::preserving:
            return "preserving";
        case PortAllocation::sequential:
            return "sequential";
        case PortAllocation::block:
            return "block";
        case PortAllocation::random:
            return "random";
        case PortAllocation::unknown:
            break;
    }
    return "unknown";
}

const char* name(NatClass nat_class) {
    switch (nat_class) {
        case NatClass::open:
            return "O";
        case NatClass::easy_address:
            return "E+";
        case NatClass::easy:
            return "E";
        case NatClass::hard_sequential:
            return "S";
        case NatClass::hard_block:
            return "C";
        case NatClass::hard_random:
            return "R";
        case NatClass::blocked:
            return "B";
        case NatClass::unknown:
            break;
    }
    return "unknown";
}

}  // namespace pinhole::net
