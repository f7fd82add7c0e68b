#include "tests/lab/natbox/netlink.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace pinhole::natbox {

/// One message: header, a fixed body, attributes. All of ours fit into a few hundred bytes.
class Netlink::Request {
  public:
    template <class Body>
    Request(std::uint16_t type, std::uint16_t flags, const Body& body) {
        header_.nlmsg_type = type;
        header_.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
        append(&body, sizeof body);
    }

    void attribute(std::uint16_t type, const void* value, std::size_t size) {
        rtattr head{};
        head.rta_type = type;
        head.rta_len = static_cast<std::uint16_t>(RTA_LENGTH(size));
        append(&head, sizeof head);
        append(value, size);
    }

    void attribute(std::uint16_t type, std::uint32_t value) { attribute(type, &value, sizeof value); }

    void attribute(std::uint16_t type, const net::Address& address) {
        attribute(type, address.bytes().data(), address.bytes().size());
    }

    /// What `fill` appends becomes the value of this attribute.
    template <class Fill>
    void nested(std::uint16_t type, Fill fill) {
        const auto at = used_;
        attribute(type, nullptr, 0);
        fill();
        const auto size = static_cast<std::uint16_t>(used_ - at);
        std::memcpy(buffer_.data() + at, &size, sizeof size);
    }

    /// Ready to be sent.
    [[nodiscard]] std::pair<const void*, std::size_t> bytes() {
        header_.nlmsg_len = static_cast<std::uint32_t>(used_);
        std::memcpy(buffer_.data(), &header_, sizeof header_);
        return {buffer_.data(), used_};
    }

  private:
    void append(const void* value, std::size_t size) {
        if (size != 0) {
            std::memcpy(buffer_.data() + used_, value, size);
        }
        used_ = NLMSG_ALIGN(used_ + size);
    }

    nlmsghdr header_{};
    std::array<std::uint8_t, 512> buffer_{};
    std::size_t used_ = NLMSG_HDRLEN;
};

namespace {

std::uint8_t family_of(net::Family family) {
    return family == net::Family::v4 ? AF_INET : AF_INET6;
}

ifinfomsg link_body(int index) {
    ifinfomsg body{};
    body.ifi_index = index;
    return body;
}

}  // namespace

Result<Netlink> Netlink::open() {
    Fd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
    if (!socket) {
        return fail_errno("netlink socket");
    }
    return Netlink{std::move(socket)};
}

Result<int> Netlink::index_of(const char* device) const {
    ifreq request{};
    std::strncpy(request.ifr_name, device, sizeof request.ifr_name - 1);
    if (::ioctl(socket_.get(), SIOCGIFINDEX, &request) != 0) {
        return fail_errno(std::string("device ") + device);
    }
    return request.ifr_ifindex;
}

Status Netlink::ask(Request& request, const char* what) const {
    const auto [data, size] = request.bytes();
    if (::send(socket_.get(), data, size, 0) < 0) {
        return fail_errno(what);
    }
    alignas(nlmsghdr) std::array<std::uint8_t, 4096> answer{};
    const auto received = ::recv(socket_.get(), answer.data(), answer.size(), 0);
    if (received < 0) {
        return fail_errno(what);
    }
    nlmsghdr header{};
    nlmsgerr error{};
    if (static_cast<std::size_t>(received) < NLMSG_HDRLEN + sizeof error.error) {
        return fail(Errc::malformed, what);
    }
    std::memcpy(&header, answer.data(), sizeof header);
    std::memcpy(&error.error, answer.data() + NLMSG_HDRLEN, sizeof error.error);
    if (header.nlmsg_type != NLMSG_ERROR) {
        return fail(Errc::malformed, what);
    }
    if (error.error != 0) {
        errno = -error.error;
        return fail_errno(what);
    }
    return {};
}

Status Netlink::set_up(int index) const {
    auto body = link_body(index);
    body.ifi_flags = IFF_UP;
    body.ifi_change = IFF_UP;
    Request request{RTM_NEWLINK, 0, body};
    return ask(request, "setting the device up");
}

Status Netlink::set_mtu(int index, std::uint32_t mtu) const {
    Request request{RTM_NEWLINK, 0, link_body(index)};
    request.attribute(IFLA_MTU, mtu);
    return ask(request, "setting the MTU");
}

Status Netlink::set_queue(int index, std::uint32_t packets) const {
    Request request{RTM_NEWLINK, 0, link_body(index)};
    request.attribute(IFLA_TXQLEN, packets);
    return ask(request, "setting the length of the queue");
}

Status Netlink::no_link_local(int index) const {
    Request request{RTM_NEWLINK, 0, link_body(index)};
    request.nested(IFLA_AF_SPEC, [&] {
        request.nested(AF_INET6, [&] {
            const std::uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
            request.attribute(IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
        });
    });
    return ask(request, "turning link-local addresses off");
}

Status Netlink::change_address(Request& request, const NetworkAddress& address, const char* what) const {
    request.attribute(IFA_LOCAL, address.address);
    request.attribute(IFA_ADDRESS, address.address);
    if (!address.address.is_v4()) {
        request.attribute(IFA_FLAGS, IFA_F_NODAD);
    }
    return ask(request, what);
}

namespace {

ifaddrmsg address_body(int index, const NetworkAddress& address) {
    ifaddrmsg body{};
    body.ifa_family = family_of(address.address.family());
    body.ifa_prefixlen = address.prefix;
    body.ifa_index = static_cast<std::uint32_t>(index);
    return body;
}

}  // namespace

Status Netlink::add_address(int index, const NetworkAddress& address) const {
    Request request{RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address_body(index, address)};
    return change_address(request, address, "adding an address");
}

Status Netlink::remove_address(int index, const NetworkAddress& address) const {
    Request request{RTM_DELADDR, 0, address_body(index, address)};
    return change_address(request, address, "removing an address");
}

Status Netlink::default_route(int index, net::Family family) const {
    rtmsg body{};
    body.rtm_family = family_of(family);
    body.rtm_table = RT_TABLE_MAIN;
    body.rtm_protocol = RTPROT_STATIC;
    body.rtm_scope = family == net::Family::v4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    body.rtm_type = RTN_UNICAST;
    Request request{RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body};
    request.attribute(RTA_OIF, static_cast<std::uint32_t>(index));
    return ask(request, "adding the default route");
}

}  // namespace pinhole::natbox
