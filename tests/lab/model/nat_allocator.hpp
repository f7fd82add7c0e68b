// Which external address and port a new mapping of a NAT gets: pooling, port allocation, port blocks, and the ports
// that background traffic takes meanwhile. Asks its caller which ports are free; does not know what they are used for.
#pragma once

#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "tests/lab/model/endpoint_key.hpp"
#include "tests/lab/model/nat_model.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace pinhole::lab {

class NatAllocator {
  public:
    NatAllocator(const NatConfig& config, std::size_t external_addresses, Rng& rng);

    /// The index of the external address for a mapping of an internal one.
    [[nodiscard]] std::size_t choose_address(AddressKey internal);

    struct Request {
        Allocation allocation = Allocation::preserving;
        AddressKey internal;
        std::size_t external_index = 0;
        /// Nobody has the port.
        std::function<bool(std::uint16_t)> is_free;
    };

    /// A free port by every rule but `preserving`, which is `random` here; nullopt if there is none.
    [[nodiscard]] std::optional<std::uint16_t> choose_port(const Request& request);
    /// What `preserving` wants; nullopt if the internal port is not in the range.
    [[nodiscard]] std::optional<std::uint16_t> preserved(std::uint16_t internal_port) const;
    /// Of ICMP identifiers: preserved, else any (RFC 5508 §3 knows no ranges).
    [[nodiscard]] std::optional<std::uint16_t> choose_identifier(std::uint16_t internal,
                                                                 const std::function<bool(std::uint16_t)>& is_free);

    /// Lets background traffic happen up to `now`.
    void advance(TimePoint now);

    [[nodiscard]] std::uint64_t background() const { return background_; }

    /// Mappings from now on get other ports than those that are `used`.
    void reshuffle(const std::vector<std::uint16_t>& used);

  private:
    struct Host {
        std::optional<std::size_t> address;
        /// First ports of its blocks, by external address.
        std::vector<std::pair<std::size_t, std::uint32_t>> blocks;
    };

    [[nodiscard]] std::uint32_t range() const;
    [[nodiscard]] std::uint16_t port_at(std::uint64_t offset) const;
    [[nodiscard]] std::optional<std::uint16_t> random_between(std::uint32_t first, std::uint32_t count,
                                                              const std::function<bool(std::uint16_t)>& is_free);
    [[nodiscard]] std::optional<std::uint16_t> next_in_sequence(const std::function<bool(std::uint16_t)>& is_free);
    [[nodiscard]] std::optional<std::uint16_t> in_block(const Request& request);
    [[nodiscard]] std::optional<std::uint32_t> take_block(std::size_t external_index);
    void step(std::uint64_t times);
    [[nodiscard]] Duration gap(double rate);

    const NatConfig* config_;
    Rng* rng_;
    std::size_t addresses_;
    std::map<AddressKey, Host> hosts_;
    /// Blocks in somebody's hands, by external address and first port.
    std::set<std::pair<std::size_t, std::uint32_t>> blocks_;
    /// Offset in the range of the port that was given last.
    std::uint64_t counter_ = 0;
    /// Added to preserved ports; changes with every reboot.
    std::uint32_t shift_ = 0;
    /// Ports that were in use before the last reboot; empty or one bit a port.
    std::vector<bool> retired_;
    /// The rate that `next_background_` was drawn for.
    double rate_ = 0;
    TimePoint next_background_;
    std::uint64_t background_ = 0;
};

}  // namespace pinhole::lab
