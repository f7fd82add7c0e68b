#include "peer/shell/probe_socket.hpp"

#include "common/io/convert.hpp"
#include "common/io/sockaddr.hpp"
#include "common/io/tokens.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <boost/asio/ip/v6_only.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace pinhole::shell {

namespace asio = boost::asio;

namespace {

/// More than any STUN answer; a longer datagram is cut off and then no STUN.
constexpr std::size_t kReadBuffer = 2048;
/// Datagrams handed over at a time, so that a flood on one socket does not starve the others.
constexpr int kBudget = 32;

}  // namespace

Result<std::shared_ptr<ProbeSocket>> ProbeSocket::open(const asio::any_io_executor& executor,
                                                       const net::Address& address) {
    auto probe = std::make_shared<ProbeSocket>(executor);
    const auto endpoint = io::to_udp({.address = address});
    boost::system::error_code error;
    probe->socket_.open(endpoint.protocol(), error);
    if (!error && !address.is_v4()) {
        probe->socket_.set_option(asio::ip::v6_only{true}, error);
    }
    if (!error) {
        probe->socket_.bind(endpoint, error);
    }
    if (error) {
        return fail(error, "UDP " + address.text());
    }
    probe->port_ = probe->socket_.local_endpoint(error).port();
    return probe;
}

asio::awaitable<std::error_code> ProbeSocket::wait_readable() {
    auto result = co_await socket_.async_wait(asio::ip::udp::socket::wait_read, io::use_tuple);
    co_return std::get<0>(result);
}

void ProbeSocket::receive(const OnDatagram& on_datagram) {
    std::array<std::uint8_t, kReadBuffer> buffer{};
    for (int count = 0; count < kBudget && socket_.is_open(); ++count) {
        sockaddr_storage source{};
        socklen_t size = sizeof source;
        const auto received = ::recvfrom(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                         reinterpret_cast<sockaddr*>(&source), &size);
        if (received < 0) {
            return;
        }
        if (const auto from = io::from_sockaddr(reinterpret_cast<const sockaddr*>(&source))) {
            on_datagram(*from, ByteView{buffer}.first(static_cast<std::size_t>(received)));
        }
    }
}

void ProbeSocket::send(const net::Endpoint& to, ByteView payload, std::optional<std::uint8_t> ttl) {
    if (!socket_.is_open()) {
        return;
    }
    auto remote = io::to_sockaddr(to);
    // sendmsg does not write through iov_base; its type is shared with recvmsg.
    iovec data{.iov_base = const_cast<std::uint8_t*>(payload.data()), .iov_len = payload.size()};
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_name = &remote.storage;
    message.msg_namelen = remote.size;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (ttl) {
        const bool v4 = to.address.is_v4();
        const int value = *ttl;
        cmsghdr header{};
        header.cmsg_len = CMSG_LEN(sizeof value);
        header.cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
        header.cmsg_type = v4 ? IP_TTL : IPV6_HOPLIMIT;
        std::memcpy(control.data(), &header, sizeof header);
        std::memcpy(control.data() + CMSG_LEN(0), &value, sizeof value);
        message.msg_control = control.data();
        message.msg_controllen = control.size();
    }
    while (::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) {}
}

void ProbeSocket::close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
}

}  // namespace pinhole::shell
