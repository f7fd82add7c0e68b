#include "tests/lab/natbox/device.hpp"

#include <cstring>
#include <utility>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>

namespace pinhole::natbox {

namespace {

/// Packets that wait while natbox is not scheduled: 100 ms at 100,000 packets/s.
constexpr std::uint32_t kQueue = 10'000;
constexpr int kLoopback = 1;

/// The thread is in another network namespace while this lives.
class Visit {
  public:
    [[nodiscard]] static Result<Visit> to(const std::string& netns) {
        Fd home{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
        if (!home) {
            return fail_errno("/proc/thread-self/ns/net");
        }
        const Fd target{::open(netns.c_str(), O_RDONLY | O_CLOEXEC)};
        if (!target || ::setns(target.get(), CLONE_NEWNET) != 0) {
            return fail_errno(netns);
        }
        return Visit{std::move(home)};
    }

    Visit(Visit&&) = default;
    Visit& operator=(Visit&&) = delete;

    ~Visit() {
        if (home_) {
            ::setns(home_.get(), CLONE_NEWNET);
        }
    }

  private:
    explicit Visit(Fd home) : home_(std::move(home)) {}

    Fd home_;
};

}  // namespace

Result<Device> Device::open(const std::string& netns, const std::string& name) {
    ifreq request{};
    if (name.empty() || name.size() >= sizeof request.ifr_name) {
        return fail(Errc::invalid_argument, "the name of an interface has 1 to 15 characters, not '" + name + "'");
    }
    const auto visit = Visit::to(netns);
    if (!visit) {
        return std::unexpected{visit.error()};
    }
    Fd tun{::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    if (!tun) {
        return fail_errno("/dev/net/tun");
    }
    std::memcpy(request.ifr_name, name.data(), name.size());
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (::ioctl(tun.get(), TUNSETIFF, &request) != 0) {
        return fail_errno("TUN device " + name + " in " + netns);
    }
    auto netlink = Netlink::open();
    if (!netlink) {
        return std::unexpected{netlink.error()};
    }
    const auto index = netlink->index_of(name.c_str());
    if (!index) {
        return std::unexpected{index.error()};
    }
    Device device{std::move(tun), std::move(*netlink), name};
    device.index_ = *index;
    if (auto queue = device.netlink_.set_queue(*index, kQueue); !queue) {
        return std::unexpected{queue.error()};
    }
    return device;
}

Status Device::configure(const std::vector<NetworkAddress>& addresses, std::size_t mtu) {
    // Fails only where the kernel has no IPv6, and then there is nothing to turn off.
    [[maybe_unused]] const auto without_link_local = netlink_.no_link_local(index_);
    if (auto status = set_mtu(mtu); !status) {
        return status;
    }
    for (const auto index : {kLoopback, index_}) {
        if (auto status = netlink_.set_up(index); !status) {
            return status;
        }
    }
    addresses_ = addresses;
    return add_addresses();
}

Status Device::change_addresses(const std::vector<NetworkAddress>& addresses) {
    for (const auto& address : std::exchange(addresses_, addresses)) {
        if (auto status = netlink_.remove_address(index_, address); !status) {
            return status;
        }
    }
    return add_addresses();
}

Status Device::add_addresses() {
    for (const auto& address : addresses_) {
        if (auto status = netlink_.add_address(index_, address); !status) {
            return fail(status.error().code, address.address.text());
        }
    }
    for (const auto& address : addresses_) {
        if (auto status = netlink_.default_route(index_, address.address.family()); !status) {
            return status;
        }
    }
    return {};
}

Status Device::set_mtu(std::size_t mtu) {
    return netlink_.set_mtu(index_, static_cast<std::uint32_t>(mtu));
}

ByteView Device::read(ByteSpan buffer) const {
    const auto size = ::read(tun_.get(), buffer.data(), buffer.size());
    return size <= 0 ? ByteView{} : ByteView{buffer}.first(static_cast<std::size_t>(size));
}

void Device::write(ByteView packet) const {
    [[maybe_unused]] const auto written = ::write(tun_.get(), packet.data(), packet.size());
}

}  // namespace pinhole::natbox
