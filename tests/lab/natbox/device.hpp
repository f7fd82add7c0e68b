// A TUN device in a network namespace: IP packets that the host sends are read from it, what is written arrives there.
// Closing it removes the device. Set up by ioctl and netlink from within the namespace, without another process.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"
#include "tests/lab/natbox/fd.hpp"
#include "tests/lab/natbox/netlink.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pinhole::natbox {

class Device {
  public:
    /// `netns`: a path such as /run/netns/alice or /proc/1234/ns/net. The device is still down and without addresses.
    [[nodiscard]] static Result<Device> open(const std::string& netns, const std::string& name);

    /// Up, with these addresses, and as the default route of their families; `lo` is up, too.
    [[nodiscard]] Status configure(const std::vector<NetworkAddress>& addresses, std::size_t mtu);
    /// Other addresses: what the host sees when it is plugged in elsewhere.
    [[nodiscard]] Status change_addresses(const std::vector<NetworkAddress>& addresses);
    [[nodiscard]] Status set_mtu(std::size_t mtu);

    /// One packet into `buffer`, as a part of it; empty if none waits.
    [[nodiscard]] ByteView read(ByteSpan buffer) const;
    /// A packet that the kernel refuses is lost, as on any line.
    void write(ByteView packet) const;

    [[nodiscard]] int fd() const { return tun_.get(); }

    [[nodiscard]] const std::string& name() const { return name_; }

  private:
    Device(Fd tun, Netlink netlink, std::string name)
        : tun_(std::move(tun)), netlink_(std::move(netlink)), name_(std::move(name)) {}

    [[nodiscard]] Status add_addresses();

    Fd tun_;
    Netlink netlink_;
    std::string name_;
    int index_ = 0;
    std::vector<NetworkAddress> addresses_;
};

}  // namespace pinhole::natbox
