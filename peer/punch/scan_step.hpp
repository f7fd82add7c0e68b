// One `scan` of a plan: probes from the main socket to many ports of one address, one each kScanInterval. Ascending
// ranges are gone through twice, so that a lost packet costs nothing; random ports once, because a new port is worth
// more than an old one. Driven by Puncher.
#pragma once

#include "peer/punch/outbox.hpp"

#include <vector>

namespace pinhole::punch {

class ScanStep {
  public:
    /// `plan` is within the bounds; `from` is where probes leave; nothing: nowhere yet.
    ScanStep(net::PunchStep plan, const std::optional<net::Endpoint>& from, TimePoint go);

    void leave_from(const std::optional<net::Endpoint>& from, TimePoint now);

    /// Other ports than before. Nothing more is sent to the old ones.
    void set_ranges(std::vector<net::PortRange> ranges, Rng& rng, TimePoint now);
    void work(Outbox& out, TimePoint now);

    void stop() { over_ = true; }

    [[nodiscard]] std::optional<TimePoint> next_timeout() const;
    /// Whether this pair is one that the scan has found.
    [[nodiscard]] bool probed(const net::PathAddresses& path) const;

    [[nodiscard]] net::Strategy strategy() const { return plan_.strategy; }

  private:
    void choose_ports(Rng& rng);

    net::PunchStep plan_;
    std::optional<net::Endpoint> from_;
    TimePoint start_;
    TimePoint end_;
    bool chosen_ = false;
    bool over_ = false;
    std::vector<std::uint16_t> ports_;
    std::size_t next_ = 0;
    std::size_t passes_left_ = 0;
    std::size_t sent_ = 0;
    TimePoint next_at_{};
    std::vector<bool> probed_;  ///< by port
};

}  // namespace pinhole::punch
