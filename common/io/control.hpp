// Control messages of sendmsg and recvmsg for UDP: addresses, ECN, segment sizes, hop limits. For this room only.
#pragma once

#include "common/net/endpoint.hpp"

#include <array>
#include <cstdint>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>

namespace pinhole::io {

/// Room for pktinfo, TOS or traffic class, GRO or GSO segment size, and TTL or hop limit.
struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(in6_pktinfo)) + 3 * CMSG_SPACE(sizeof(int))> bytes;
};

/// Appends control messages to a fixed buffer.
class ControlWriter {
  public:
    explicit ControlWriter(Control& control) : control_(control) { control_.bytes.fill(0); }

    template <class T>
    void add(int level, int type, const T& value) {
        cmsghdr header{};
        header.cmsg_len = CMSG_LEN(sizeof value);
        header.cmsg_level = level;
        header.cmsg_type = type;
        std::memcpy(control_.bytes.data() + used_, &header, sizeof header);
        std::memcpy(control_.bytes.data() + used_ + CMSG_LEN(0), &value, sizeof value);
        used_ += CMSG_SPACE(sizeof value);
    }

    [[nodiscard]] std::size_t size() const { return used_; }

  private:
    Control& control_;
    std::size_t used_ = 0;
};

inline void add_source(ControlWriter& control, const net::Address& source) {
    if (source.is_unspecified()) {
        return;
    }
    const auto bytes = source.bytes();
    if (source.is_v4()) {
        in_pktinfo info{};
        std::memcpy(&info.ipi_spec_dst, bytes.data(), bytes.size());
        control.add(IPPROTO_IP, IP_PKTINFO, info);
        return;
    }
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, bytes.data(), bytes.size());
    info.ipi6_ifindex = source.scope();
    control.add(IPPROTO_IPV6, IPV6_PKTINFO, info);
}

}  // namespace pinhole::io
