// How much a path may have in flight and how fast it may send: the interface that controllers implement. One instance a
// path. A controller sees sizes and times only; what was lost, and whether that was a mistake, is decided elsewhere.
#pragma once

#include "common/base/time.hpp"
#include "peer/transport/connection.hpp"
#include "peer/transport/delivery_rate.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace pinhole::transport {

/// Packets of the initial window. RFC 9002 §7.2 says 10; both ends of this protocol are ours and packets are paced.
inline constexpr std::uint64_t kInitialWindowPackets = 32;
/// RFC 9002 §7.2.
inline constexpr std::uint64_t kMinimumWindowPackets = 2;
/// 64 MiB in flight: 5 Gbit/s at 100 ms. Bounds the memory that a peer can make the sender use.
inline constexpr std::uint64_t kMaximumWindow = 64U << 20;

/// Follows the on_packet_acked calls of one ACK frame.
struct AckEvent {
    TimePoint now;
    std::uint64_t largest_acked = 0;
    /// The number that the next packet will have.
    std::uint64_t next_packet = 0;
    Duration latest_rtt{};
    Duration smoothed_rtt{};
    /// The window was not the limit: what was acknowledged says nothing about more. RFC 9002 §7.8.
    bool app_limited = false;
    /// What the acknowledgement says about the rate, and what the path has delivered and lost in all, in bytes.
    RateSample sample{};
    std::uint64_t delivered = 0;
    std::uint64_t lost = 0;
    /// After this acknowledgement.
    std::uint64_t in_flight = 0;
};

/// Packets declared lost together, or a report of CE marks.
struct CongestionEvent {
    TimePoint now;
    /// When the newest of them was sent.
    TimePoint newest_sent;
    std::size_t packets = 0;
    /// Three or more of them followed each other.
    bool run = false;
    /// RFC 9002 §7.6.
    bool persistent = false;
    /// RFC 9002 §7.1: no packet was lost.
    bool ecn = false;
};

class CongestionController {
  public:
    CongestionController() = default;
    CongestionController(const CongestionController&) = delete;
    CongestionController& operator=(const CongestionController&) = delete;
    virtual ~CongestionController() = default;

    virtual void on_packet_sent(TimePoint now, std::uint64_t number, std::size_t bytes) = 0;
    virtual void on_packet_acked(TimePoint sent, std::size_t bytes) = 0;
    virtual void on_ack(const AckEvent& event) = 0;
    virtual void on_congestion(const CongestionEvent& event) = 0;
    /// A packet that was declared lost at `declared` has arrived after all.
    virtual void on_spurious_loss(TimePoint declared) = 0;
    virtual void set_mtu(std::size_t mtu) = 0;

    [[nodiscard]] virtual std::uint64_t window() const = 0;
    /// Bytes a second.
    [[nodiscard]] virtual double pacing_rate(Duration smoothed_rtt) const = 0;
};

/// Names for command lines.
inline constexpr std::array kCongestionAlgorithms{
    std::pair{std::string_view{"bbr"}, CongestionAlgorithm::bbr},
    std::pair{std::string_view{"cubic"}, CongestionAlgorithm::cubic},
    std::pair{std::string_view{"ledbat"}, CongestionAlgorithm::ledbat},
};

[[nodiscard]] std::optional<CongestionAlgorithm> congestion_algorithm(std::string_view name);

[[nodiscard]] std::unique_ptr<CongestionController> make_congestion_controller(CongestionAlgorithm algorithm,
                                                                               std::size_t mtu);

}  // namespace pinhole::transport
