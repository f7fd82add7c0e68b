#include "common/io/udp_gather.hpp"

#include "common/io/control.hpp"
#include "common/io/sockaddr.hpp"

#include <algorithm>
#include <cerrno>
#include <vector>

#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace pinhole::io {

namespace {

/// Datagrams between two flushes: some batches of a receiver, each merged by GRO.
constexpr std::size_t kMaxDatagrams = 1024;
/// Flows among them.
constexpr std::size_t kMaxFlows = 64;
/// UDP_MAX_SEGMENTS of the kernels in use (64; 128 since Linux 6.9).
constexpr std::size_t kMaxSegments = 64;
/// Bytes in one GSO send: below 65535 less IPv6 and UDP headers.
constexpr std::size_t kMaxBytes = 65000;
constexpr std::uint32_t kNone = ~0U;

struct Datagram {
    UdpGather::Header header{};
    bool has_header = false;
    ByteView payload;
    std::uint32_t next = kNone;  ///< of the same flow

    [[nodiscard]] std::size_t size() const { return payload.size() + (has_header ? header.size() : 0); }
};

/// Datagrams that can leave in one send.
struct Flow {
    int descriptor = -1;
    net::PathAddresses path;
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
    std::size_t segment = 0;
    std::size_t count = 0;
    std::size_t bytes = 0;
    bool closed = false;  ///< the last datagram was shorter, or there is no more room

    [[nodiscard]] bool is(int other, const net::PathAddresses& addresses) const {
        return descriptor == other && path.remote == addresses.remote && path.local == addresses.local;
    }

    [[nodiscard]] bool takes(std::size_t size) const {
        return !closed && size <= segment && size > 0 && count < kMaxSegments && bytes + size <= kMaxBytes;
    }
};

bool refuses_segments(int error) {
    // EIO: the device cannot checksum segments. EINVAL: no GSO in the kernel, or a segment is over the MTU.
    return error == EIO || error == EINVAL || error == EMSGSIZE;
}

}  // namespace

struct UdpGather::State {
    std::vector<Datagram> datagrams;
    std::vector<Flow> flows;
    std::vector<iovec> pieces;
    std::array<mmsghdr, kMaxFlows> messages{};
    std::array<Control, kMaxFlows> controls{};
    std::array<SocketAddress, kMaxFlows> remotes{};
    std::uint64_t lost = 0;

    State() {
        datagrams.reserve(kMaxDatagrams);
        flows.reserve(kMaxFlows);
        pieces.reserve(2 * kMaxDatagrams);
    }

    void add(int descriptor, const net::PathAddresses& path, const Datagram& datagram);
    [[nodiscard]] Flow& flow_for(int descriptor, const net::PathAddresses& path, std::size_t size);
    void flush();
    void prepare(std::size_t index);
    void send(std::size_t first, std::size_t count);
    /// False: it is not plain, or could not be sent, which `send` finds out in its way.
    [[nodiscard]] bool send_plain(std::size_t index);
    void send_each(const Flow& flow);
};

Flow& UdpGather::State::flow_for(int descriptor, const net::PathAddresses& path, std::size_t size) {
    // The newest first: what belongs together mostly comes together.
    for (auto index = flows.size(); index-- > 0;) {
        auto& flow = flows[index];
        if (flow.is(descriptor, path)) {
            if (flow.takes(size)) {
                return flow;
            }
            break;  // an older one of the same flow would change the order
        }
    }
    if (flows.size() == kMaxFlows) {
        flush();
    }
    return flows.emplace_back(Flow{.descriptor = descriptor, .path = path, .segment = size});
}

void UdpGather::State::add(int descriptor, const net::PathAddresses& path, const Datagram& datagram) {
    if (datagrams.size() == kMaxDatagrams) {
        flush();
    }
    const auto size = datagram.size();
    auto& flow = flow_for(descriptor, path, size);
    const auto index = static_cast<std::uint32_t>(datagrams.size());
    datagrams.push_back(datagram);
    if (flow.last == kNone) {
        flow.first = index;
    } else {
        datagrams[flow.last].next = index;
    }
    flow.last = index;
    ++flow.count;
    flow.bytes += size;
    flow.closed = size < flow.segment || size == 0;
}

void UdpGather::State::prepare(std::size_t index) {
    const auto& flow = flows[index];
    const auto begin = pieces.size();
    for (auto at = flow.first; at != kNone; at = datagrams[at].next) {
        auto& datagram = datagrams[at];
        if (datagram.has_header) {
            pieces.push_back({.iov_base = datagram.header.data(), .iov_len = datagram.header.size()});
        }
        // sendmmsg does not write through iov_base; its type is shared with recvmmsg.
        pieces.push_back(
            {.iov_base = const_cast<std::uint8_t*>(datagram.payload.data()), .iov_len = datagram.payload.size()});
    }
    remotes[index] = to_sockaddr(flow.path.remote);
    ControlWriter control{controls[index]};
    add_source(control, flow.path.local.address);
    if (flow.count > 1) {
        control.add(SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(flow.segment));
    }
    auto& message = messages[index].msg_hdr;
    message = {};
    message.msg_name = &remotes[index].storage;
    message.msg_namelen = remotes[index].size;
    message.msg_iov = &pieces[begin];
    message.msg_iovlen = pieces.size() - begin;
    message.msg_control = control.size() > 0 ? controls[index].bytes.data() : nullptr;
    message.msg_controllen = control.size();
}

void UdpGather::State::flush() {
    pieces.clear();
    for (std::size_t index = 0; index < flows.size(); ++index) {
        prepare(index);
    }
    for (std::size_t first = 0; first < flows.size();) {
        auto end = first + 1;
        while (end < flows.size() && flows[end].descriptor == flows[first].descriptor) {
            ++end;
        }
        send(first, end - first);
        first = end;
    }
    flows.clear();
    datagrams.clear();
}

bool UdpGather::State::send_plain(std::size_t index) {
    const auto& message = messages[index].msg_hdr;
    if (message.msg_iovlen != 1 || message.msg_control != nullptr) {
        return false;
    }
    const auto& piece = *message.msg_iov;
    const auto sent = ::sendto(flows[index].descriptor, piece.iov_base, piece.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&remotes[index].storage), remotes[index].size);
    return sent >= 0;
}

void UdpGather::State::send(std::size_t first, std::size_t count) {
    // One datagram of one piece, as a relayed address sends it in peace: the plain call costs the kernel less.
    if (count == 1 && send_plain(first)) {
        return;
    }
    bool again = true;  // an ICMP error for an earlier datagram is told once, instead of sending
    while (count > 0) {
        const int sent = ::sendmmsg(flows[first].descriptor, &messages[first], static_cast<unsigned>(count),
                                    MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            first += static_cast<std::size_t>(sent);
            count -= static_cast<std::size_t>(sent);
            again = true;
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        const bool would_block = errno == EAGAIN || errno == ENOBUFS;
        if (again && !would_block && !refuses_segments(errno)) {
            again = false;
            continue;
        }
        if (flows[first].count > 1 && refuses_segments(errno)) {
            send_each(flows[first]);
        } else {
            lost += flows[first].count;
        }
        ++first;
        --count;
        again = true;
    }
}

void UdpGather::State::send_each(const Flow& flow) {
    auto remote = to_sockaddr(flow.path.remote);
    Control buffer;
    ControlWriter control{buffer};
    add_source(control, flow.path.local.address);
    for (auto at = flow.first; at != kNone; at = datagrams[at].next) {
        auto& datagram = datagrams[at];
        std::array<iovec, 2> parts{
            {{.iov_base = datagram.header.data(), .iov_len = datagram.has_header ? datagram.header.size() : 0},
             {.iov_base = const_cast<std::uint8_t*>(datagram.payload.data()), .iov_len = datagram.payload.size()}}};
        msghdr message{};
        message.msg_name = &remote.storage;
        message.msg_namelen = remote.size;
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        message.msg_control = control.size() > 0 ? buffer.bytes.data() : nullptr;
        message.msg_controllen = control.size();
        if (::sendmsg(flow.descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            ++lost;
        }
    }
}

UdpGather::UdpGather() : state_(std::make_unique<State>()) {}

UdpGather::UdpGather(UdpGather&&) noexcept = default;
UdpGather& UdpGather::operator=(UdpGather&&) noexcept = default;
UdpGather::~UdpGather() = default;

void UdpGather::add(int descriptor, const net::PathAddresses& path, ByteView payload) {
    state_->add(descriptor, path, {.header = {}, .has_header = false, .payload = payload});
}

void UdpGather::add(int descriptor, const net::PathAddresses& path, const Header& header, ByteView payload) {
    state_->add(descriptor, path, {.header = header, .has_header = true, .payload = payload});
}

void UdpGather::flush() {
    state_->flush();
}

std::uint64_t UdpGather::lost() const {
    return state_->lost;
}

}  // namespace pinhole::io
