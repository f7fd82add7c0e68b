// That nobody's address becomes a target: how many probes go to one address in a minute, and that one scan at a time
// goes to an address and comes from a peer, over all calls (NAT traversal research §4.1). Driven by Punches.
#pragma once

#include "common/base/time.hpp"
#include "common/crypto/keys.hpp"
#include "common/net/endpoint.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>

namespace pinhole::rendezvous {

class ScanGuard {
  public:
    struct Config {
        std::uint32_t probes_per_minute = 2048;
        std::size_t max_targets = 16384;
    };

    /// What one side of a call wants to send to the other.
    struct Claim {
        net::Address target;
        crypto::PeerId prober;
        std::uint32_t probes = 0;
        /// Of its scans; opening sockets takes no turn.
        bool scans = false;
        TimePoint from{};
        TimePoint until{};
    };

    explicit ScanGuard(const Config& config) : config_(config) {}

    /// How much later both may begin, at most `patience`; nullopt: not now, and nothing is counted.
    [[nodiscard]] std::optional<Duration> reserve(std::span<const Claim> claims, Duration patience, TimePoint now);
    /// A claim, as it was delayed, is over before its time: its turn ends, `unused` probes are given back.
    void release(const Claim& claim, std::uint32_t unused, TimePoint now);

    [[nodiscard]] std::size_t targets() const { return targets_.size(); }

  private:
    struct Target {
        double probes = 0;  ///< that may be sent to it
        TimePoint filled{};
        TimePoint busy_until{};
    };

    [[nodiscard]] double available(const Target& target, TimePoint now) const;
    [[nodiscard]] bool room_for(std::span<const Claim> claims, TimePoint now);
    [[nodiscard]] Duration wait_for(const Claim& claim) const;

    Config config_;
    std::map<net::Address, Target> targets_;
    std::map<crypto::PeerId, TimePoint> probers_;  ///< busy until
    TimePoint swept_{};
};

}  // namespace pinhole::rendezvous
