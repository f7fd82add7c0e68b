// One line between two devices, both directions of it a lab::Link; `up` is from the first to the second. Opaque to what
// the packets carry: for routers that are real kernels.
#pragma once

#include "common/base/rng.hpp"
#include "tests/lab/model/link.hpp"
#include "tests/lab/model/topology.hpp"
#include "tests/lab/natbox/engine.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace pinhole::natbox {

class LinkEngine final : public Engine {
  public:
    LinkEngine(const lab::LinkPair& config, std::uint64_t seed);

    void handle_packet(std::size_t device, ByteView raw, TimePoint now) override;
    /// `link up|down|both KEY=VALUE…` and `stats`.
    [[nodiscard]] std::string handle_command(std::string_view line, TimePoint now) override;
    [[nodiscard]] std::optional<Outgoing> poll_packet(TimePoint now) override;
    [[nodiscard]] std::optional<DeviceChange> poll_change() override;
    [[nodiscard]] std::optional<TimePoint> next_timeout() const override;

    /// Of the device itself. A line that tells senders what is too large leaves that to the kernel, which knows what to
    /// answer from which address; one that does not has a device that takes more than the line.
    [[nodiscard]] std::size_t device_mtu(std::size_t device) const;

  private:
    struct Direction {
        lab::Link link;
        std::uint64_t packets = 0;
    };

    [[nodiscard]] Status change(const std::vector<std::string_view>& words);
    [[nodiscard]] std::string stats() const;

    SeededRng rng_;
    /// By the device that packets come from.
    std::array<Direction, 2> directions_;
    std::vector<DeviceChange> changes_;
};

}  // namespace pinhole::natbox
