// The largest datagram that a path carries, found by probes that nothing depends on (RFC 8899, DPLPMTUD). Never waits
// for ICMP: a size that stops working is noticed by the losses it causes.
#pragma once

#include "common/base/time.hpp"

#include <cstdint>
#include <optional>

namespace pinhole::transport {

class MtuDiscovery {
  public:
    MtuDiscovery(std::size_t base, std::size_t maximum);

    /// What packets may be as large as.
    [[nodiscard]] std::size_t current() const { return current_; }

    /// The size to probe with; nullopt while a probe is on its way or nothing is to be tried at this time.
    [[nodiscard]] std::optional<std::size_t> probe_size(TimePoint now) const;
    /// When probe_size will answer again, if that is a matter of time only.
    [[nodiscard]] std::optional<TimePoint> next_probe() const;

    void on_probe_sent(std::size_t size);
    void on_probe_acked(std::size_t size, TimePoint now);
    void on_probe_lost(std::size_t size, TimePoint now);

    void on_packet_acked(std::uint64_t number, std::size_t size);
    /// True when only large packets die: the size falls back to the base.
    bool on_packet_lost(std::uint64_t number, std::size_t size, TimePoint now);
    /// The kernel refused this size. True when the current size fell.
    bool on_too_big(std::size_t size, TimePoint now);

  private:
    [[nodiscard]] std::optional<std::size_t> next_step() const;
    void end_search(TimePoint now, Duration pause);

    std::size_t base_;
    std::size_t maximum_;
    std::size_t current_;
    std::size_t in_flight_ = 0;
    int probes_lost_ = 0;
    TimePoint search_again_;
    std::optional<std::uint64_t> largest_large_acked_;
    int large_lost_ = 0;
    /// Until the search begins again after the next black hole.
    Duration pause_;
};

}  // namespace pinhole::transport
