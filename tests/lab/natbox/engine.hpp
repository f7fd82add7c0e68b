// What natbox runs between its devices, as a state machine: packets from devices in, packets to devices out, commands
// in the time that it is told. Knows no TUN, no file descriptor, no clock. Server drives it.
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/time.hpp"
#include "tests/lab/natbox/netlink.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::natbox {

struct Outgoing {
    std::size_t device = 0;
    Bytes packet;
};

/// What a command asks for beyond the engine.
struct DeviceChange {
    std::size_t device = 0;
    /// Empty: they stay.
    std::vector<NetworkAddress> addresses;
    std::optional<std::size_t> mtu;
};

class Engine {
  public:
    Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    virtual ~Engine() = default;

    /// A raw packet that a host has sent. Devices count from 0.
    virtual void handle_packet(std::size_t device, ByteView raw, TimePoint now) = 0;
    /// The answer: one line without its end.
    [[nodiscard]] virtual std::string handle_command(std::string_view line, TimePoint now) = 0;

    /// Call until empty.
    [[nodiscard]] virtual std::optional<Outgoing> poll_packet(TimePoint now) = 0;
    [[nodiscard]] virtual std::optional<DeviceChange> poll_change() = 0;
    [[nodiscard]] virtual std::optional<TimePoint> next_timeout() const = 0;
};

}  // namespace pinhole::natbox
