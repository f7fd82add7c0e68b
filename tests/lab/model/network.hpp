// A whole topology as a state machine: routers, NATs and links between hosts, in the time that it is told. Packets go
// in at one host and come out at another; hops count TTL down and answer with ICMP. Whoever owns the hosts drives it:
// the simulator with virtual time, natbox with TUN devices and the real clock.
#pragma once

#include "common/base/ids.hpp"
#include "tests/lab/model/topology.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

namespace pinhole::lab {

using HostId = StrongId<struct HostIdTag, std::size_t>;

struct Delivery {
    HostId to;
    Packet packet;
};

class Network {
  public:
    /// `topology` must be resolved. Every draw of chance follows from its seed.
    explicit Network(const Topology& topology);
    Network(Network&&) noexcept;
    Network& operator=(Network&&) noexcept;
    ~Network();

    [[nodiscard]] HostId host(std::string_view name) const;  ///< the name must exist
    [[nodiscard]] std::size_t hosts() const;
    [[nodiscard]] const HostNode& node(HostId host) const;
    /// The first address of a family.
    [[nodiscard]] std::optional<net::Address> address(HostId host, net::Family family = net::Family::v4) const;

    /// A packet that a host puts on its link.
    void send(HostId from, Packet packet, TimePoint now);
    /// The next packet that has arrived at a host by `now`; call until empty.
    [[nodiscard]] std::optional<Delivery> poll(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    // --- faults; names must exist ---
    [[nodiscard]] NatModel& nat(std::string_view name);
    [[nodiscard]] Link& uplink(std::string_view host_or_nat);
    [[nodiscard]] Link& downlink(std::string_view host_or_nat);
    /// Two neighbours, on the internet or in one LAN, do not reach each other any more, silently; everybody else does.
    /// Until restore(), or until one of them moves. What a NAT hairpins between them is not straight, and passes.
    void cut(std::string_view one, std::string_view other);
    void restore(std::string_view one, std::string_view other);
    /// Plugs a host into another LAN (or the internet): it gets a new address there, which is returned; what is in
    /// flight to the old one is lost. An IPv6 address comes with it if the host had one and the new LAN has them.
    /// Unspecified if the LAN is full: the host is then cut off.
    net::Address move(HostId host, std::string_view behind, TimePoint now);

    /// Told of every packet that is dropped, at which NAT, link ("alice up", seen from alice) or router, and why; for
    /// logs and tests. Of packets that a link loses without their payload.
    std::function<void(const Packet&, const char* where, const char* reason)> on_drop;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pinhole::lab
