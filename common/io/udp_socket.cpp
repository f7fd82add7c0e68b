#include "common/io/udp_socket.hpp"

#include "common/io/convert.hpp"
#include "common/io/sockaddr.hpp"
#include "common/io/udp_options.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace pinhole::io {

namespace {

constexpr std::size_t kBatch = 16;
/// A GRO batch is at most one maximal IP packet.
constexpr std::size_t kBufferSize = 65536;
/// UDP_MAX_SEGMENTS of the kernels in use (64; 128 since Linux 6.9).
constexpr std::size_t kMaxSegments = 64;
/// Bytes in one GSO send: below 65535 less IPv6 and UDP headers.
constexpr std::size_t kMaxGsoBytes = 65000;

/// Room for pktinfo, TOS or traffic class, GRO or GSO segment size, and TTL or hop limit.
struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, CMSG_SPACE(sizeof(in6_pktinfo)) + 3 * CMSG_SPACE(sizeof(int))> bytes;
};

/// One slot of recvmmsg.
struct Slot {
    sockaddr_storage source;
    Control control;
    iovec data;
};

struct Buffers {
    std::array<Slot, kBatch> slots;
    std::array<mmsghdr, kBatch> headers;
    std::array<std::array<std::uint8_t, kBufferSize>, kBatch> data;

    void prepare() {
        for (std::size_t i = 0; i < kBatch; ++i) {
            auto& slot = slots[i];
            slot.data = {.iov_base = data[i].data(), .iov_len = data[i].size()};
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

void add_source(ControlWriter& control, const net::Address& source) {
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

SendResult classify(int error) {
    switch (error) {
        case EAGAIN:
        case ENOBUFS:
            return SendResult::would_block;
        case EMSGSIZE:
            return SendResult::too_big;
        default:
            return SendResult::failed;
    }
}

}  // namespace

struct UdpSocket::State {
    explicit State(const asio::any_io_executor& executor) : socket(executor) {}

    asio::ip::udp::socket socket;
    net::Endpoint local;
    std::unique_ptr<Buffers> buffers;  ///< from the first receive on: most sockets of a burst never hear anything
    bool gso = true;

    /// One system call; 0 or errno.
    int send_message(const net::PathAddresses& path, ByteView payload, std::size_t segment_size, net::Ecn ecn,
                     std::uint8_t ttl = 0);
    SendResult send_each(const net::PathAddresses& path, ByteView payload, std::size_t segment_size, net::Ecn ecn);
    SendResult send_chunk(const net::PathAddresses& path, ByteView payload, std::size_t segment_size, net::Ecn ecn);
    std::size_t deliver(std::size_t index, const OnDatagram& on_datagram);
};

int UdpSocket::State::send_message(const net::PathAddresses& path, ByteView payload, std::size_t segment_size,
                                   net::Ecn ecn, std::uint8_t ttl) {
    auto remote = to_sockaddr(path.remote);
    Control buffer;
    ControlWriter control{buffer};
    add_source(control, path.local.address);
    const bool v4 = path.remote.address.is_v4();
    if (ttl != 0) {
        control.add(v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TTL : IPV6_HOPLIMIT, static_cast<int>(ttl));
    }
    if (ecn != net::Ecn::not_ect) {
        control.add(v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, static_cast<int>(ecn));
    }
    if (segment_size < payload.size()) {
        control.add(SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(segment_size));
    }
    // sendmsg does not write through iov_base; its type is shared with recvmsg.
    iovec data{.iov_base = const_cast<std::uint8_t*>(payload.data()), .iov_len = payload.size()};
    msghdr message{};
    message.msg_name = &remote.storage;
    message.msg_namelen = remote.size;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.size() > 0 ? buffer.bytes.data() : nullptr;
    message.msg_controllen = control.size();
    while (::sendmsg(socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

SendResult UdpSocket::State::send_each(const net::PathAddresses& path, ByteView payload, std::size_t segment_size,
                                       net::Ecn ecn) {
    while (!payload.empty()) {
        const auto segment = payload.first(std::min(segment_size, payload.size()));
        if (const int error = send_message(path, segment, segment.size(), ecn); error != 0) {
            return classify(error);
        }
        payload = payload.subspan(segment.size());
    }
    return SendResult::sent;
}

SendResult UdpSocket::State::send_chunk(const net::PathAddresses& path, ByteView payload, std::size_t segment_size,
                                        net::Ecn ecn) {
    if (!gso || payload.size() <= segment_size) {
        return send_each(path, payload, segment_size, ecn);
    }
    const int error = send_message(path, payload, segment_size, ecn);
    if (error == 0) {
        return SendResult::sent;
    }
    if (error != EIO && error != EINVAL) {
        return classify(error);
    }
    // EIO: the device cannot checksum segments. EINVAL: the kernel lacks GSO, or a segment is over the MTU. Single
    // sends tell which; only when they pass is GSO to blame.
    const auto result = send_each(path, payload, segment_size, ecn);
    gso = result != SendResult::sent;
    return result;
}

std::size_t UdpSocket::State::deliver(std::size_t index, const OnDatagram& on_datagram) {
    auto& header = buffers->headers[index];
    sockaddr_storage source = buffers->slots[index].source;
    const auto remote = from_sockaddr(reinterpret_cast<const sockaddr*>(&source));
    const bool truncated = (header.msg_hdr.msg_flags & MSG_TRUNC) != 0;
    if (!remote || truncated) {
        return 0;
    }
    const auto ancillary = read_ancillary(header.msg_hdr);
    const net::PathAddresses path{
        .local = {.address = ancillary.destination.value_or(local.address), .port = local.port}, .remote = *remote};
    auto rest = ByteSpan{buffers->data[index]}.first(header.msg_len);
    const auto step = ancillary.segment_size > 0 ? ancillary.segment_size : rest.size();
    std::size_t count = 0;
    do {
        const auto payload = rest.first(std::min(step, rest.size()));
        rest = rest.subspan(payload.size());
        on_datagram({.path = path, .payload = payload, .ecn = ancillary.ecn});
        ++count;
    } while (!rest.empty() && socket.is_open());
    return count;
}

UdpSocket::UdpSocket(std::unique_ptr<State> state) : state_(std::move(state)) {}

UdpSocket::UdpSocket(UdpSocket&&) noexcept = default;
UdpSocket& UdpSocket::operator=(UdpSocket&&) noexcept = default;
UdpSocket::~UdpSocket() = default;

Result<UdpSocket> UdpSocket::open(const asio::any_io_executor& executor, const net::Endpoint& bind) {
    auto state = std::make_unique<State>(executor);
    const auto endpoint = to_udp(bind);
    boost::system::error_code ec;
    state->socket.open(endpoint.protocol(), ec);
    if (ec) {
        return fail(ec, "UDP socket");
    }
    if (const auto features = configure_udp(state->socket.native_handle(), bind.address.family()); !features) {
        return std::unexpected(features.error());
    }
    state->socket.bind(endpoint, ec);
    if (ec) {
        return fail(ec, "UDP " + bind.text());
    }
    state->local = from_asio(state->socket.local_endpoint(ec));
    return UdpSocket{std::move(state)};
}

std::uint16_t UdpSocket::port() const {
    return state_->local.port;
}

net::Family UdpSocket::family() const {
    return state_->local.address.family();
}

net::Endpoint UdpSocket::local() const {
    return state_->local;
}

asio::awaitable<std::error_code> UdpSocket::wait_readable() {
    auto result = co_await state_->socket.async_wait(asio::ip::udp::socket::wait_read, use_tuple);
    co_return std::get<0>(result);
}

asio::awaitable<std::error_code> UdpSocket::wait_writable() {
    auto result = co_await state_->socket.async_wait(asio::ip::udp::socket::wait_write, use_tuple);
    co_return std::get<0>(result);
}

std::size_t UdpSocket::receive(const OnDatagram& on_datagram) {
    std::size_t delivered = 0;
    while (delivered < kReceiveBudget && state_->socket.is_open()) {
        if (!state_->buffers) {
            state_->buffers = std::make_unique_for_overwrite<Buffers>();
        }
        auto& buffers = *state_->buffers;
        buffers.prepare();
        const int count =
            ::recvmmsg(state_->socket.native_handle(), buffers.headers.data(), kBatch, MSG_DONTWAIT, nullptr);
        if (count <= 0) {
            // A pending ICMP error ends one call and is no news about this socket; wait_readable comes back at once.
            break;
        }
        for (std::size_t i = 0; i < static_cast<std::size_t>(count) && state_->socket.is_open(); ++i) {
            delivered += state_->deliver(i, on_datagram);
        }
        if (static_cast<std::size_t>(count) < kBatch) {
            break;
        }
    }
    return delivered;
}

SendResult UdpSocket::send(const net::PathAddresses& path, ByteView payload, std::size_t segment_size, net::Ecn ecn) {
    if (!state_->socket.is_open() || path.remote.address.family() != family()) {
        return SendResult::failed;
    }
    if (segment_size == 0 || segment_size >= payload.size()) {
        const int error = state_->send_message(path, payload, payload.size(), ecn);
        return error == 0 ? SendResult::sent : classify(error);
    }
    const auto segments = std::clamp<std::size_t>(kMaxGsoBytes / segment_size, 1, kMaxSegments);
    while (!payload.empty()) {
        const auto chunk = payload.first(std::min(segments * segment_size, payload.size()));
        if (const auto result = state_->send_chunk(path, chunk, segment_size, ecn); result != SendResult::sent) {
            return result;
        }
        payload = payload.subspan(chunk.size());
    }
    return SendResult::sent;
}

SendResult UdpSocket::send_with_ttl(const net::PathAddresses& path, ByteView payload, std::uint8_t ttl) {
    if (!state_->socket.is_open() || path.remote.address.family() != family()) {
        return SendResult::failed;
    }
    const int error = state_->send_message(path, payload, payload.size(), net::Ecn::not_ect, ttl);
    return error == 0 ? SendResult::sent : classify(error);
}

void UdpSocket::close() {
    boost::system::error_code ignored;
    state_->socket.close(ignored);
}

bool UdpSocket::is_open() const {
    return state_->socket.is_open();
}

}  // namespace pinhole::io
