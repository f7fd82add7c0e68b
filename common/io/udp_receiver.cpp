#include "common/io/udp_receiver.hpp"

#include "common/io/control.hpp"
#include "common/io/sockaddr.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <vector>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace pinhole::io {

namespace {

/// A GRO batch is at most one maximal IP packet. The odd rest keeps the first bytes of all buffers, which are read for
/// each datagram, out of the same few sets of the processor's cache.
constexpr std::size_t kBufferSize = 65536 + 320;

/// One slot of recvmmsg.
struct Slot {
    sockaddr_storage source;
    Control control;
    iovec data;
};

/// What the control messages of one receive say.
struct Ancillary {
    std::optional<net::Address> destination;
    net::Ecn ecn = net::Ecn::not_ect;
    std::size_t segment_size = 0;
};

template <class T>
T control_value(const cmsghdr* header) {
    T value{};
    const auto available = header->cmsg_len > CMSG_LEN(0) ? header->cmsg_len - CMSG_LEN(0) : 0;
    std::memcpy(&value, CMSG_DATA(header), std::min(sizeof value, available));
    return value;
}

void read_control(const cmsghdr* header, Ancillary& result) {
    if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
        result.destination = from_in_addr(control_value<in_pktinfo>(header).ipi_addr);
    } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
        const auto info = control_value<in6_pktinfo>(header);
        result.destination = from_in6_addr(info.ipi6_addr, info.ipi6_ifindex);
    } else if ((header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_TOS) ||
               (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_TCLASS)) {
        // One byte for IPv4 and an int for IPv6; the two ECN bits are the lowest of the first byte on little-endian.
        static_assert(std::endian::native == std::endian::little);
        result.ecn = static_cast<net::Ecn>(control_value<std::uint8_t>(header) & 3U);
    } else if (header->cmsg_level == SOL_UDP && header->cmsg_type == UDP_GRO) {
        result.segment_size = static_cast<std::size_t>(std::max(0, control_value<int>(header)));
    }
}

Ancillary read_ancillary(msghdr& message) {
    Ancillary result;
    for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        read_control(header, result);
    }
    return result;
}

}  // namespace

struct UdpReceiver::Buffers {
    explicit Buffers(std::size_t count)
        : slots(count), headers(count), data(std::make_unique_for_overwrite<std::uint8_t[]>(count * kBufferSize)) {
        prepare(count);
    }

    [[nodiscard]] ByteSpan buffer(std::size_t index) const { return {&data[index * kBufferSize], kBufferSize}; }

    /// The first `count` slots, which the kernel may have written to.
    void prepare(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            auto& slot = slots[i];
            slot.data = {.iov_base = buffer(i).data(), .iov_len = kBufferSize};
            auto& header = headers[i];
            header = {};
            header.msg_hdr.msg_name = &slot.source;
            header.msg_hdr.msg_namelen = sizeof slot.source;
            header.msg_hdr.msg_iov = &slot.data;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = slot.control.bytes.data();
            header.msg_hdr.msg_controllen = slot.control.bytes.size();
        }
    }

    std::vector<Slot> slots;
    std::vector<mmsghdr> headers;
    std::unique_ptr<std::uint8_t[]> data;
    std::size_t used = 0;
};

UdpReceiver::UdpReceiver(std::size_t slots) : buffers_(std::make_unique<Buffers>(slots)) {}

UdpReceiver::UdpReceiver(UdpReceiver&&) noexcept = default;
UdpReceiver& UdpReceiver::operator=(UdpReceiver&&) noexcept = default;
UdpReceiver::~UdpReceiver() = default;

std::size_t UdpReceiver::receive(int descriptor) {
    const auto wanted = static_cast<unsigned>(std::min(kBatch, room()));
    if (wanted == 0) {
        return 0;
    }
    const int count = ::recvmmsg(descriptor, &buffers_->headers[buffers_->used], wanted, MSG_DONTWAIT, nullptr);
    // A pending ICMP error ends one call and is no news about this socket.
    const auto received = count > 0 ? static_cast<std::size_t>(count) : 0;
    buffers_->used += received;
    return received;
}

void UdpReceiver::clear() {
    buffers_->prepare(buffers_->used);
    buffers_->used = 0;
}

std::size_t UdpReceiver::size() const {
    return buffers_->used;
}

std::size_t UdpReceiver::room() const {
    return buffers_->slots.size() - buffers_->used;
}

UdpReceiver::Message UdpReceiver::read(std::size_t index, const net::Endpoint& local) {
    auto& header = buffers_->headers[index];
    const auto remote = from_sockaddr(reinterpret_cast<const sockaddr*>(&buffers_->slots[index].source));
    const bool truncated = (header.msg_hdr.msg_flags & MSG_TRUNC) != 0;
    if (!remote || truncated) {
        return {};
    }
    const auto ancillary = read_ancillary(header.msg_hdr);
    return {
        .path = {.local = {.address = ancillary.destination.value_or(local.address), .port = local.port},
                 .remote = *remote},
        .bytes = buffers_->buffer(index).first(header.msg_len),
        // An empty datagram is one too.
        .segment_size = std::max<std::size_t>(1, ancillary.segment_size > 0 ? ancillary.segment_size : header.msg_len),
        .ecn = ancillary.ecn};
}

}  // namespace pinhole::io
