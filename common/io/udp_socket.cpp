#include "common/io/udp_socket.hpp"

#include "common/io/clock.hpp"
#include "common/io/control.hpp"
#include "common/io/convert.hpp"
#include "common/io/sockaddr.hpp"
#include "common/io/udp_options.hpp"
#include "common/io/udp_receiver.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace pinhole::io {

namespace {

/// UDP_MAX_SEGMENTS of the kernels in use (64; 128 since Linux 6.9).
constexpr std::size_t kMaxSegments = 64;
/// Bytes in one GSO send: below 65535 less IPv6 and UDP headers.
constexpr std::size_t kMaxGsoBytes = 65000;

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
    explicit State(const asio::any_io_executor& executor) : socket(executor), timer(executor) {}

    State(const State&) = delete;
    State& operator=(const State&) = delete;

    ~State() { close(); }

    [[nodiscard]] int descriptor() { return detached >= 0 ? detached : socket.native_handle(); }

    [[nodiscard]] bool is_open() const { return detached >= 0 || socket.is_open(); }

    /// The reactor wakes up for everything that arrives, whether somebody waits for it or not, unless it does not know
    /// the socket.
    void detach();
    void attach();
    void close();

    asio::ip::udp::socket socket;
    asio::steady_timer timer;
    int detached = -1;  ///< the socket while the reactor does not know it
    net::Endpoint local;
    std::optional<UdpReceiver> receiver;  ///< from the first receive on: most sockets of a burst never hear anything
    bool gso = true;

    /// One system call; 0 or errno.
    int send_message(const net::PathAddresses& path, ByteView payload, std::size_t segment_size, net::Ecn ecn,
                     std::uint8_t ttl = 0);
    SendResult send_each(const net::PathAddresses& path, ByteView payload, std::size_t segment_size, net::Ecn ecn);
    SendResult send_chunk(const net::PathAddresses& path, ByteView payload, std::size_t segment_size, net::Ecn ecn);
};

void UdpSocket::State::detach() {
    if (socket.is_open()) {
        boost::system::error_code ec;
        const int descriptor = socket.release(ec);
        detached = ec ? -1 : descriptor;
    }
}

void UdpSocket::State::attach() {
    if (detached < 0) {
        return;
    }
    boost::system::error_code ec;
    const auto protocol = local.address.is_v4() ? asio::ip::udp::v4() : asio::ip::udp::v6();
    const int descriptor = std::exchange(detached, -1);
    socket.assign(protocol, descriptor, ec);
    if (ec) {
        ::close(descriptor);
    }
}

void UdpSocket::State::close() {
    if (detached >= 0) {
        ::close(std::exchange(detached, -1));
    }
    boost::system::error_code ignored;
    socket.close(ignored);
    timer.cancel();
}

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
    while (::sendmsg(descriptor(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
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
    state_->attach();
    auto result = co_await state_->socket.async_wait(asio::ip::udp::socket::wait_read, use_tuple);
    co_return std::get<0>(result);
}

asio::awaitable<std::error_code> UdpSocket::wait_until(TimePoint when) {
    if (!state_->is_open()) {
        co_return std::make_error_code(std::errc::bad_file_descriptor);
    }
    state_->detach();
    state_->timer.expires_at(to_steady(when));
    auto result = co_await state_->timer.async_wait(use_tuple);
    co_return std::get<0>(result);
}

std::size_t UdpSocket::receive(const OnDatagram& on_datagram, const std::function<void()>& after_batch) {
    std::size_t delivered = 0;
    auto& socket = *state_;
    const auto deliver = [&](const net::Received& datagram) {
        on_datagram(datagram);
        return socket.is_open();
    };
    while (delivered < kReceiveBudget && socket.is_open()) {
        if (!state_->receiver) {
            state_->receiver.emplace();
        }
        state_->receiver->clear();
        const auto count = state_->receiver->receive(socket.descriptor());
        for (std::size_t i = 0; i < count && socket.is_open(); ++i) {
            delivered += state_->receiver->deliver(i, state_->local, deliver);
        }
        if (count > 0 && after_batch) {
            after_batch();
        }
        if (count < UdpReceiver::kBatch) {
            break;
        }
    }
    return delivered;
}

SendResult UdpSocket::send(const net::PathAddresses& path, ByteView payload, std::size_t segment_size, net::Ecn ecn) {
    if (!state_->is_open() || path.remote.address.family() != family()) {
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
    if (!state_->is_open() || path.remote.address.family() != family()) {
        return SendResult::failed;
    }
    const int error = state_->send_message(path, payload, payload.size(), net::Ecn::not_ect, ttl);
    return error == 0 ? SendResult::sent : classify(error);
}

void UdpSocket::close() {
    state_->close();
}

bool UdpSocket::is_open() const {
    return state_->is_open();
}

int UdpSocket::descriptor() const {
    return state_->descriptor();
}

}  // namespace pinhole::io
