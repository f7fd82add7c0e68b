#include "common/io/relay_socket.hpp"

#include "common/io/sockaddr.hpp"

#include <array>
#include <cerrno>

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pinhole::io {

namespace {

/// Asked for on each relay socket: 3 ms at 1 Gbit/s with small datagrams, which count several times their size. Only
/// what waits takes memory.
constexpr int kRelayBuffer = 1024 * 1024;

bool set(int descriptor, int level, int name, int value) {
    return ::setsockopt(descriptor, level, name, &value, sizeof value) == 0;
}

bool set_fragmenting(int descriptor, bool v4, bool may_fragment) {
    return v4 ? set(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, may_fragment ? IP_PMTUDISC_DONT : IP_PMTUDISC_DO)
              : set(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                    may_fragment ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_DO) &&
                    set(descriptor, IPPROTO_IPV6, IPV6_DONTFRAG, may_fragment ? 0 : 1);
}

bool configure(int descriptor, bool v4) {
    if (!v4 && !set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
        return false;
    }
    set(descriptor, SOL_UDP, UDP_GRO, 1);
    set(descriptor, SOL_SOCKET, SO_RCVBUF, kRelayBuffer);
    set(descriptor, SOL_SOCKET, SO_SNDBUF, kRelayBuffer);
    return set_fragmenting(descriptor, v4, true) &&
           set(descriptor, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, 1);
}

std::optional<sock_extended_err> extended_error(msghdr& message) {
    for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        const bool is_error = (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR) ||
                              (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR);
        if (is_error && header->cmsg_len >= CMSG_LEN(sizeof(sock_extended_err))) {
            sock_extended_err error{};
            std::memcpy(&error, CMSG_DATA(header), sizeof error);
            return error;
        }
    }
    return std::nullopt;
}

}  // namespace

Result<int> open_relay_socket(const net::Endpoint& bind) {
    const bool v4 = bind.address.is_v4();
    const int descriptor = ::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return fail_errno("UDP socket");
    }
    const auto address = to_sockaddr(bind);
    if (!configure(descriptor, v4) ||
        ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
        auto failure = fail_errno("UDP " + bind.text());
        ::close(descriptor);
        return failure;
    }
    return descriptor;
}

void send_unfragmented(int descriptor, const net::Endpoint& to, ByteView payload) {
    const bool v4 = to.address.is_v4();
    const auto address = to_sockaddr(to);
    set_fragmenting(descriptor, v4, false);
    ::sendto(descriptor, payload.data(), payload.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&address.storage), address.size);
    set_fragmenting(descriptor, v4, true);
}

std::optional<IcmpReport> read_icmp_error(int descriptor) {
    alignas(cmsghdr) std::array<std::uint8_t, 512> control{};
    sockaddr_storage to{};
    msghdr message{};
    message.msg_name = &to;
    message.msg_namelen = sizeof to;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
        return std::nullopt;
    }
    const auto error = extended_error(message);
    const bool from_icmp = error && (error->ee_origin == SO_EE_ORIGIN_ICMP || error->ee_origin == SO_EE_ORIGIN_ICMP6);
    if (!from_icmp) {
        return IcmpReport{};
    }
    return IcmpReport{.to = from_sockaddr(reinterpret_cast<const sockaddr*>(&to)),
                      .type = error->ee_type,
                      .code = error->ee_code,
                      .mtu = error->ee_errno == EMSGSIZE ? error->ee_info : 0};
}

}  // namespace pinhole::io
