// Paths that differ by direction. Where both sides' NATs give a mapping to each destination port, packets of the other
// side come from another port than the one that lets ours in; no pair of ports is the same both ways, so that by the
// letter of RFC 8445 §7.2.5.2.1 no check would ever count. This remembers which source belongs to which pair.
// Never changes where anything is sent to. Knows no messages and no pairs; driven by Agent.
//
// Timer: a split that was seen is adopted when a pair that is the same both ways has had its chance.
#pragma once

#include "common/base/time.hpp"
#include "common/net/datagram.hpp"

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace pinhole::ice {

/// What was sent to `pair` was answered from `source`.
struct Split {
    net::PathAddresses pair;
    net::Endpoint source;
};

class SplitPaths {
  public:
    /// One is in use at a time; the others are of attempts that came to nothing.
    static constexpr std::size_t kMaxAdopted = 4;

    /// The pair that a packet on this path counts for.
    [[nodiscard]] net::PathAddresses pair_of(const net::PathAddresses& path) const;

    /// Waits until `due`; the first one that waits stays.
    void note(const Split& split, TimePoint due);
    /// The one whose time has come, once.
    [[nodiscard]] std::optional<Split> take_due(TimePoint now);
    void adopt(const Split& split);

    [[nodiscard]] const Split* latest() const { return adopted_.empty() ? nullptr : &adopted_.back(); }

    [[nodiscard]] bool full() const { return adopted_.size() >= kMaxAdopted; }

    [[nodiscard]] std::optional<TimePoint> next_timeout() const {
        return waiting_ ? std::optional{waiting_->second} : std::nullopt;
    }

  private:
    std::optional<std::pair<Split, TimePoint>> waiting_;
    std::vector<Split> adopted_;
};

}  // namespace pinhole::ice
