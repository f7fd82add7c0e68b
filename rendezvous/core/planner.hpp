// What two peers that agreed to talk should try, and when: a pure function of what the server knows of both. No
// sockets, no clock, no randomness. How often anybody is scanned is scan_guard.hpp's affair, what becomes of samples
// that of continuation.hpp; driven by Punches.
//
// A side is known (its external port toward anybody is the one that STUN shows), sequential, block or random; its
// filter looks at nothing, at addresses, or at ports, too. From these everything follows (NAT traversal research §1.2
// and §7.2).
#pragma once

#include "common/base/time.hpp"
#include "common/net/net_report.hpp"
#include "common/net/punch_plan.hpp"
#include "rendezvous/core/punch_history.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace pinhole::rendezvous {

/// What the server knows of one side.
struct PlanSide {
    const net::NetReport* report = nullptr;
    /// Of its authenticated TCP connection.
    net::Address observed;
    /// To the server and back.
    std::optional<Duration> rtt = std::nullopt;
    /// The server-reflexive candidate that it named in this call; newer than its report.
    std::optional<net::Endpoint> reflexive = std::nullopt;
};

/// What a NAT does whose ports can be told, as far as it was measured.
struct SequenceModel {
    std::int32_t delta = 1;
    double rate = 0;
    std::uint16_t sockets = 0;
    /// Ports by chance, but all of this block: a burst that fills it has every one of them. Nothing else matters then.
    std::optional<net::PortRange> block{};
};

/// Steps that belong together: what the opener samples says where the other side is to probe.
struct PunchLink {
    enum class Kind : std::uint8_t {
        none,     ///< open and scan need nothing of each other
        bracket,  ///< the opener's samples give the ports of the scan
        /// The opener's only socket comes right after its sample: the other side opens sockets at that port.
        count,
        aim  ///< both open, each at one port that the other's burst is going to have
    };
    Kind kind = Kind::none;
    /// 0 the caller, 1 the callee. Of aim: 0.
    std::size_t opener = 0;
    /// Index in the opener's plan, and of the other's step (scan or open) in its plan.
    std::size_t open_step = 0;
    std::size_t scan_step = 0;
    /// Of bracket.
    std::uint16_t max_ports = 0;
    /// Of the opener; of aim: of both.
    std::array<SequenceModel, 2> model{};
};

struct PunchPlanPair {
    /// The caller's and the callee's.
    std::array<net::PunchPlan, 2> sides;
    std::vector<PunchLink> links;
    /// As planned for, for the history.
    std::array<net::NatClass, 2> classes{};
};

[[nodiscard]] PunchPlanPair plan(const PlanSide& caller, const PlanSide& callee, const PunchHistory& history);

/// Without what opens or scans: ICE's checks alone.
[[nodiscard]] PunchPlanPair checks_only(PunchPlanPair plans);

/// The class that a side is planned for: where only the mapping could not be measured, how its ports are allocated.
[[nodiscard]] net::NatClass plan_class(const net::NetReport* report);

}  // namespace pinhole::rendezvous
