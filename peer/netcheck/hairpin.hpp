// Hairpinning (RFC 4787 §6, RFC 5780 §4.5): do packets between two of our sockets come back in by the outside
// endpoints? Both send to each other's, as two peers behind one NAT would, so the filter of each is open for the other.
#pragma once

#include "peer/netcheck/mapping.hpp"

namespace pinhole::netcheck {

class HairpinProbe {
  public:
    static constexpr int kRounds = 6;
    static constexpr Duration kInterval = 120ms;

    void advance(Wire& wire, const MappingProbe& mapping, TimePoint now);

    /// Nothing more can come of it, also because it never began.
    [[nodiscard]] bool done(const Wire& wire) const;
    [[nodiscard]] std::optional<bool> verdict(const Wire& wire) const;
    /// When the first packets went out.
    [[nodiscard]] std::vector<TimePoint> begun(const Wire& wire) const;

  private:
    std::vector<ExchangeId> sent_;
};

}  // namespace pinhole::netcheck
