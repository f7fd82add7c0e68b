// The few rtnetlink requests (rtnetlink(7)) that set up a device: link, addresses, default route. The socket belongs to
// the network namespace that it was opened in, wherever the thread is later.
#pragma once

#include "common/base/error.hpp"
#include "common/net/endpoint.hpp"
#include "tests/lab/natbox/fd.hpp"

#include <cstdint>

namespace pinhole::natbox {

struct NetworkAddress {
    net::Address address;
    std::uint8_t prefix = 32;

    friend auto operator<=>(const NetworkAddress&, const NetworkAddress&) = default;
};

class Netlink {
  public:
    /// In the namespace that the thread is in.
    [[nodiscard]] static Result<Netlink> open();

    [[nodiscard]] Result<int> index_of(const char* device) const;
    [[nodiscard]] Status set_up(int index) const;
    [[nodiscard]] Status set_mtu(int index, std::uint32_t mtu) const;
    [[nodiscard]] Status set_queue(int index, std::uint32_t packets) const;
    /// The kernel gives the device no link-local address and solicits no router.
    [[nodiscard]] Status no_link_local(int index) const;
    /// IPv6 without duplicate address detection: usable at once.
    [[nodiscard]] Status add_address(int index, const NetworkAddress& address) const;
    [[nodiscard]] Status remove_address(int index, const NetworkAddress& address) const;
    /// Everything of that family goes into the device.
    [[nodiscard]] Status default_route(int index, net::Family family) const;

  private:
    class Request;

    explicit Netlink(Fd socket) : socket_(std::move(socket)) {}

    [[nodiscard]] Status ask(Request& request, const char* what) const;
    [[nodiscard]] Status change_address(Request& request, const NetworkAddress& address, const char* what) const;

    Fd socket_;
};

}  // namespace pinhole::natbox
