// A whole emulated network between devices: one device for each host that takes part, lab::Network in the middle. Turns
// raw packets into the model's and back, and commands into faults.
#pragma once

#include "tests/lab/model/network.hpp"
#include "tests/lab/natbox/engine.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace pinhole::natbox {

class NetworkEngine final : public Engine {
  public:
    /// `topology` is resolved; `hosts`: the name of each device's host, all of them in the topology, each once.
    NetworkEngine(lab::Topology topology, const std::vector<std::string>& hosts);

    void handle_packet(std::size_t device, ByteView raw, TimePoint now) override;
    /// rebind, expire, block, unblock, link, cut, restore, background, move, stats: see `natbox --help`.
    [[nodiscard]] std::string handle_command(std::string_view line, TimePoint now) override;
    [[nodiscard]] std::optional<Outgoing> poll_packet(TimePoint now) override;
    [[nodiscard]] std::optional<DeviceChange> poll_change() override;
    [[nodiscard]] std::optional<TimePoint> next_timeout() const override;

    /// What a device's host has: its addresses with the prefix of its LAN.
    [[nodiscard]] std::vector<NetworkAddress> addresses(std::size_t device) const;
    /// Of a packet that the host's own line takes.
    [[nodiscard]] std::size_t mtu(std::size_t device) const;
    /// An address that the world sees the host under: of the outermost NAT in front of it, or its own.
    [[nodiscard]] std::string public_address(std::size_t device) const;

  private:
    using Words = std::vector<std::string_view>;

    struct Port {
        lab::HostId host;
        std::string name;
        std::uint64_t sent = 0;
        std::uint64_t received = 0;
        /// Sent, but nothing that the network could carry.
        std::uint64_t untranslatable = 0;
    };

    [[nodiscard]] Status execute(const Words& words, TimePoint now);
    [[nodiscard]] Status block(const Words& words, bool blocked);
    [[nodiscard]] Status change_link(const Words& words);
    [[nodiscard]] Status cut(const Words& words, bool dead);
    [[nodiscard]] Status background(const Words& words);
    [[nodiscard]] Status move(const Words& words, TimePoint now);
    [[nodiscard]] std::string stats(TimePoint now);
    [[nodiscard]] Result<lab::NatModel*> find_nat(std::string_view name);
    [[nodiscard]] const lab::NatNode* nat_node(std::string_view name) const;
    [[nodiscard]] Status find_node(std::string_view name) const;

    lab::Topology topology_;
    lab::Network network_;
    std::vector<Port> ports_;
    std::map<lab::HostId, std::size_t> device_of_;
    std::vector<DeviceChange> changes_;
    /// "WHERE: REASON" of dropped packets; the model's words, so there are few.
    std::map<std::string, std::uint64_t> drops_;
};

}  // namespace pinhole::natbox
