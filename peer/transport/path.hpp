// One path: a pair of addresses with everything that was learnt about it. And a candidate: an address from which an
// authentic packet came and that has to prove that it can also receive.
#pragma once

#include "common/net/datagram.hpp"
#include "peer/transport/congestion.hpp"
#include "peer/transport/frame.hpp"
#include "peer/transport/mtu_discovery.hpp"
#include "peer/transport/pacer.hpp"
#include "peer/transport/rtt.hpp"
#include "peer/transport/sent_packets.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace pinhole::transport {

/// Paths of a connection at once; ICE keeps one and its alternatives.
inline constexpr std::size_t kMaxPaths = 8;
/// Size of packets in a TCP stream: there is no path MTU to find, and a large one would hold up a message behind it.
inline constexpr std::size_t kTcpPacket = 1472;
/// Unvalidated addresses at once.
inline constexpr std::size_t kMaxCandidates = 4;
/// RFC 9000 §8.1: bytes sent to an unvalidated address for each byte received from it.
inline constexpr std::uint64_t kAmplification = 3;

struct Path {
    Path(PathId path_id, const net::PathAddresses& path_addresses, const Config& config)
        : id(path_id),
          addresses(path_addresses),
          mtu(over_tcp() ? kTcpPacket : config.base_mtu, over_tcp() ? kTcpPacket : config.max_mtu),
          congestion(make_congestion_controller(config.congestion, mtu.current())) {}

    PathId id;
    net::PathAddresses addresses;
    Rtt rtt;
    MtuDiscovery mtu;
    std::unique_ptr<CongestionController> congestion;
    Pacer pacer;
    DeliveryRate delivery;

    std::uint64_t in_flight = 0;
    std::optional<std::uint64_t> largest_acked;
    std::uint64_t last_sent = 0;
    std::optional<TimePoint> last_eliciting_sent;
    /// Probe timeouts in a row. RFC 9002 §6.2.
    std::uint32_t probe_timeouts = 0;
    /// When the oldest packet that is overdue by time alone counts as lost. RFC 9002 §6.1.2.
    std::optional<TimePoint> loss_time;
    /// How much reordering is tolerated; grows when a loss turns out to be none. RFC 9002 §6.1.
    std::uint64_t packet_threshold = 3;
    int time_threshold_eighths = 9;
    bool app_limited = true;
    /// The pacer forbade to send until then.
    std::optional<TimePoint> paced_until;
    /// The ACK being processed acknowledged something that was sent here.
    bool acked_in_round = false;
    /// Highest packet number that came from here.
    std::uint64_t highest_received = 0;
    /// When a packet came from here last, and since when ours go here.
    TimePoint last_heard{};
    TimePoint used_since{};
    /// When it was left as silent, until something comes from here.
    TimePoint left_at{};
    /// Of the rate that congestion control allows.
    double share = 1;

    /// A stream has no largest packet, so the size is fixed; nor has it a header for marks.
    [[nodiscard]] bool over_tcp() const { return addresses.transport == net::Transport::tcp; }

    [[nodiscard]] Duration loss_delay() const;
    /// RFC 9002 §6.2.1 with back-off; bounded, so that a path that comes back is noticed soon.
    [[nodiscard]] Duration probe_timeout() const;

    /// RFC 9002 §7.6.1.
    [[nodiscard]] Duration persistent_duration() const { return 3 * rtt.probe_timeout(); }

    [[nodiscard]] double rate() const { return share * congestion->pacing_rate(rtt.smoothed()); }

    /// If this machine is late for it, less was sent than the path would have taken: a little is made up for, and the
    /// samples are marked.
    void refill_pacer(TimePoint now);
    /// A packet was lost that was not: lets so much more reordering pass.
    void tolerate_reordering(std::uint64_t packets);
};

struct PathCandidate {
    net::PathAddresses addresses;
    PathToken token{};
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
    std::uint64_t highest_received = 0;
    int challenges = 0;
    /// When the next challenge is to go out, or the candidate is given up.
    TimePoint next_action;
};

}  // namespace pinhole::transport
