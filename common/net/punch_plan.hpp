// What the server has planned for one side of two peers: which strategies, when, with what numbers. A value that
// crosses the signaling. Which path works is not decided here: every step only makes packets cross that ICE then
// judges.
#pragma once

#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/net_report.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pinhole::net {

/// The strategies by the names of the command line's contract. The relay is never a step of a plan.
enum class Strategy : std::uint8_t { host = 1, reverse, udp, predict, birthday, tcp, relay = 8 };

enum class PunchAct : std::uint8_t {
    /// ICE checks between the candidates of both sides; needs nothing further. Of Strategy::tcp: `start` is when checks
    /// over TCP begin, whichever strategy they belong to; a plan without such a step has none.
    check = 1,
    /// Opens `sockets` fresh sockets and sends a probe from each to `target`, so that each has a mapping that lets
    /// `target` in; repeats every open_repeat until the budget is over.
    open,
    /// Sends a probe from the main socket to `target`'s address at ports of `ranges`, one each kScanInterval.
    scan,
};

/// Bounds of what one side may be asked to do: whatever a server says, a peer does no more (connectivity research
/// §4.1).
inline constexpr std::uint16_t kMaxPunchSockets = 256;
/// Of all steps of a plan together.
inline constexpr std::uint16_t kMaxScanProbes = 2048;
inline constexpr Duration kScanInterval = 1ms;
inline constexpr Duration kOpenRepeat = 5s;
/// Of sockets that all aim at one predicted port, as those of the other side do: exactly one pair of them can meet, and
/// a packet of it may be lost.
inline constexpr Duration kAimedRepeat = 300ms;
inline constexpr std::size_t kMaxPunchSteps = 16;
inline constexpr std::size_t kMaxScanRanges = 8;
inline constexpr Duration kMaxPunchStart = 10s;
inline constexpr Duration kMaxPunchBudget = 15s;
/// Ports that one sampling reports, before the burst and after it each.
inline constexpr std::size_t kMaxPunchSamples = 16;
/// Bytes of a probe's UDP payload at most.
inline constexpr std::size_t kMaxProbeSize = 64;

struct PunchStep {
    Strategy strategy = Strategy::udp;
    PunchAct act = PunchAct::check;
    /// After Go's instant.
    Duration start{};
    /// After `start`: then its sockets that heard nothing are closed.
    Duration budget = 5s;
    /// Of open. Of scan: 0; or 1, then probes leave from the first socket of the nearest `open` before it in the plan.
    std::uint16_t sockets = 0;
    /// Of open: fresh sockets ask the server's STUN before and after the burst, and the ports it saw are reported
    /// (signaling::PunchSamples), so that the server knows the interval that holds the burst's ports.
    bool sample = false;
    /// Of open: the first probes of the sockets have TTLs from 2 to this one, so that some open our NATs and do not
    /// reach the other side's; 0 is an ordinary one.
    std::uint8_t first_ttl = 0;
    /// Of open: the other side's endpoint; a server-reflexive candidate of it at this address is newer than this port.
    /// Port 0: samples first (`before` only, `after` empty), then waits for signaling::PunchScan of this step, whose
    /// only range is the one port that all sockets send to; a candidate is not looked at.
    /// Of scan: its address, port 0. Always an address that the server itself saw the other peer come from.
    Endpoint target{};
    /// Of scan; empty: wait for signaling::PunchScan of this step. Later ones of the same step replace the ranges.
    std::vector<PortRange> ranges{};
    /// Of scan: at most so many ports.
    std::uint16_t probes = 0;
    /// Of scan: ports in random order, each once; otherwise ascending and each range twice.
    bool shuffled = false;

    friend bool operator==(const PunchStep&, const PunchStep&) = default;
};

struct PunchPlan {
    /// For people: "same NAT", "one side is public", "two NATs", "UDP is blocked at one side".
    std::string topology;
    std::vector<PunchStep> steps;
    /// What the server takes this side's network for, and the other side's: for people, too.
    NatClass ours = NatClass::unknown;
    NatClass theirs = NatClass::unknown;

    friend bool operator==(const PunchPlan&, const PunchPlan&) = default;
};

/// Of open: between two bursts of its sockets.
[[nodiscard]] Duration open_repeat(const PunchStep& step);
/// Probes that the step may have sent at most when `elapsed` of its plan has passed.
[[nodiscard]] std::uint32_t probes_by(const PunchStep& step, Duration elapsed);
/// Probes of the step at most.
[[nodiscard]] std::uint32_t max_probes(const PunchStep& step);
/// Probes of all steps at most.
[[nodiscard]] std::uint32_t max_probes(const PunchPlan& plan);

/// An address that probes may be sent to: one machine's in the public network. IPv6 that carries an IPv4 address
/// (mapped, compatible, 6to4, NAT64) is none, because it may spell any of the others.
[[nodiscard]] bool is_scannable(const Address& address);

[[nodiscard]] const char* name(Strategy strategy);
/// The names of its strategies, each once, in order.
[[nodiscard]] std::vector<std::string> strategy_names(const PunchPlan& plan);

}  // namespace pinhole::net
