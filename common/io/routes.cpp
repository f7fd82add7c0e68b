#include "common/io/routes.hpp"

#include "common/base/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pinhole::io {

namespace {

/// The kernel's answer is one route with a few attributes.
constexpr std::size_t kMaxAnswer = 8192;
constexpr std::size_t kMaxAddress = 16;

struct Question {
    nlmsghdr header;
    rtmsg route;
    rtattr attribute;
    std::array<std::uint8_t, kMaxAddress> destination;
};

Question ask_for(const net::Address& destination) {
    const auto bytes = destination.bytes();
    Question question{};
    question.attribute.rta_type = RTA_DST;
    question.attribute.rta_len = static_cast<unsigned short>(sizeof(rtattr) + bytes.size());
    std::ranges::copy(bytes, question.destination.begin());
    question.route.rtm_family = destination.is_v4() ? AF_INET : AF_INET6;
    question.route.rtm_dst_len = static_cast<unsigned char>(8 * bytes.size());
    question.header.nlmsg_len =
        static_cast<std::uint32_t>(sizeof(nlmsghdr) + sizeof(rtmsg) + question.attribute.rta_len);
    question.header.nlmsg_type = RTM_GETROUTE;
    question.header.nlmsg_flags = NLM_F_REQUEST;
    return question;
}

template <class T>
std::optional<T> read_at(ByteView bytes, std::size_t offset) {
    T value{};
    if (bytes.size() < offset + sizeof value) {
        return std::nullopt;
    }
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

std::string interface_name(std::uint32_t index) {
    std::array<char, IF_NAMESIZE> name{};
    return if_indextoname(index, name.data()) == nullptr ? std::string{} : std::string{name.data()};
}

void read_attribute(std::uint16_t type, ByteView value, Route& route) {
    if (type == RTA_OIF) {
        route.interface = interface_name(read_at<std::uint32_t>(value, 0).value_or(0));
    } else if (type == RTA_GATEWAY) {
        route.gateway = net::Address::from_bytes(value);
    } else if (type == RTA_VIA && value.size() > sizeof(std::uint16_t)) {
        // An IPv6 gateway of an IPv4 route (RFC 5549): the family, then the address.
        route.gateway = net::Address::from_bytes(value.subspan(sizeof(std::uint16_t)));
    } else if (type == RTA_PREFSRC) {
        route.source = net::Address::from_bytes(value);
    }
}

std::optional<Route> read_answer(ByteView answer) {
    const auto header = read_at<nlmsghdr>(answer, 0);
    if (!header || header->nlmsg_type != RTM_NEWROUTE || header->nlmsg_len > answer.size()) {
        return std::nullopt;
    }
    const auto kind = read_at<rtmsg>(answer, sizeof(nlmsghdr));
    if (!kind || (kind->rtm_type != RTN_UNICAST && kind->rtm_type != RTN_LOCAL)) {
        return std::nullopt;
    }
    Route route;
    auto rest = answer.first(header->nlmsg_len).subspan(sizeof(nlmsghdr) + sizeof(rtmsg));
    while (const auto attribute = read_at<rtattr>(rest, 0)) {
        if (attribute->rta_len < sizeof(rtattr) || attribute->rta_len > rest.size()) {
            break;
        }
        const auto type = static_cast<std::uint16_t>(attribute->rta_type & NLA_TYPE_MASK);
        read_attribute(type, rest.subspan(sizeof(rtattr), attribute->rta_len - sizeof(rtattr)), route);
        rest = rest.subspan(std::min<std::size_t>(RTA_ALIGN(attribute->rta_len), rest.size()));
    }
    return route;
}

}  // namespace

std::optional<Route> route_to(const net::Address& destination) {
    const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (socket < 0) {
        return std::nullopt;
    }
    const auto question = ask_for(destination);
    std::array<std::uint8_t, kMaxAnswer> answer{};
    std::optional<Route> route;
    if (::send(socket, &question, question.header.nlmsg_len, 0) == static_cast<ssize_t>(question.header.nlmsg_len)) {
        // The kernel has answered by the time send returns, so this does not wait.
        const auto size = ::recv(socket, answer.data(), answer.size(), MSG_DONTWAIT);
        if (size > 0) {
            route = read_answer(ByteView{answer}.first(static_cast<std::size_t>(size)));
        }
    }
    ::close(socket);
    return route;
}

}  // namespace pinhole::io
