// That nobody's address becomes a target: how many probes go to one address in a minute, and that one scan at a time
// goes to an address and comes from a peer, over all calls (NAT traversal research §4.1). An address of IPv6 counts as
// its site, because whoever has one has all of it. Driven by Punches.
//
// A claim counts whole from the moment that it is made until a minute after its last probe may have left, so that no
// minute, wherever it begins, sees more than the cap; whoever says that it is over is charged what it has sent.
#pragma once

#include "common/base/time.hpp"
#include "common/crypto/keys.hpp"
#include "common/net/endpoint.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

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
        /// Its last probe leaves before.
        TimePoint over{};
        /// Of its scans; opening sockets takes no turn.
        bool scans = false;
        TimePoint from{};
        TimePoint until{};
        /// Given by `reserve`.
        std::uint64_t ticket = 0;
    };

    /// Claims on one address that count at once at most: with more of them none is worth anything.
    static constexpr std::size_t kMaxClaims = 128;

    explicit ScanGuard(const Config& config) : config_(config) {}

    /// Probes that may be claimed for this target.
    [[nodiscard]] std::uint32_t left(const net::Address& target, TimePoint now) const;
    /// How much later all of them may begin, at most `patience`; they are delayed by it. nullopt: not now, and nothing
    /// is counted.
    [[nodiscard]] std::optional<Duration> reserve(std::span<Claim> claims, Duration patience, TimePoint now);
    /// A claim is over before its time: its turn ends, and `sent` probes, the last one at `ended`, is all that counts.
    void release(const Claim& claim, std::uint32_t sent, TimePoint ended);

    [[nodiscard]] std::size_t targets() const { return targets_.size(); }

  private:
    struct Counted {
        std::uint64_t ticket = 0;
        std::uint32_t probes = 0;
        TimePoint until{};
    };

    /// Who may scan until when, in the order in which they do.
    class Turns {
      public:
        void add(std::uint64_t ticket, TimePoint until) { turns_.push_back({ticket, until}); }

        /// The others keep theirs.
        void end(std::uint64_t ticket);
        void forget_old(TimePoint now);
        /// Of the last one.
        [[nodiscard]] TimePoint until() const;

      private:
        struct Turn {
            std::uint64_t ticket = 0;
            TimePoint until{};
        };

        std::vector<Turn> turns_;
    };

    struct Target {
        std::vector<Counted> counted;
        Turns turns;

        [[nodiscard]] std::uint32_t sum(TimePoint now) const;
        void forget_old(TimePoint now);
    };

    /// An address, or the site that it belongs to.
    [[nodiscard]] static net::Address key_of(const net::Address& target);
    [[nodiscard]] bool fits(std::span<const Claim> claims, TimePoint now) const;
    [[nodiscard]] bool room_for(std::span<const Claim> claims, TimePoint now);
    [[nodiscard]] Duration wait_for(const Claim& claim) const;
    void forget_old(std::span<const Claim> claims, TimePoint now);
    void enter(const Claim& claim, TimePoint now);

    Config config_;
    std::uint64_t last_ticket_ = 0;
    std::map<net::Address, Target> targets_;
    std::map<crypto::PeerId, Turns> probers_;
    TimePoint swept_{};
};

}  // namespace pinhole::rendezvous
