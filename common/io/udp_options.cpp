#include "common/io/udp_options.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

namespace pinhole::io {

namespace {

bool set(int descriptor, int level, int name, int value) {
    return ::setsockopt(descriptor, level, name, &value, sizeof value) == 0;
}

/// FORCE passes the system's limit but needs CAP_NET_ADMIN.
void raise_buffer(int descriptor, int force, int ordinary) {
    int current = 0;
    socklen_t size = sizeof current;
    // The kernel answers with twice what was asked for (socket(7)).
    if (::getsockopt(descriptor, SOL_SOCKET, ordinary, &current, &size) == 0 && current >= 2 * kSocketBuffer) {
        return;
    }
    if (!set(descriptor, SOL_SOCKET, force, kSocketBuffer)) {
        set(descriptor, SOL_SOCKET, ordinary, kSocketBuffer);
    }
}

bool configure_v4(int descriptor) {
    return set(descriptor, IPPROTO_IP, IP_PKTINFO, 1) && set(descriptor, IPPROTO_IP, IP_RECVTOS, 1) &&
           set(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
}

bool configure_v6(int descriptor) {
    // IPV6_DONTFRAG as well: PROBE alone lets the sender's own stack fragment.
    return set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1) && set(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
           set(descriptor, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) &&
           set(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) &&
           set(descriptor, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
}

}  // namespace

Result<UdpFeatures> configure_udp(int descriptor, net::Family family) {
    const bool configured = family == net::Family::v4 ? configure_v4(descriptor) : configure_v6(descriptor);
    if (!configured) {
        return fail_errno("UDP socket options");
    }
    raise_buffer(descriptor, SO_RCVBUFFORCE, SO_RCVBUF);
    raise_buffer(descriptor, SO_SNDBUFFORCE, SO_SNDBUF);
    return UdpFeatures{.gro = set(descriptor, SOL_UDP, UDP_GRO, 1)};
}

}  // namespace pinhole::io
