// Which peers' addresses may send to an allocation (RFC 8656 §9), each until its time. A flat table: an allocation has
// few, and asks for each datagram.
#pragma once

#include "common/base/time.hpp"
#include "common/net/endpoint.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace pinhole::turn {

class Permissions {
  public:
    [[nodiscard]] bool allows(const net::Address& peer, TimePoint now) const;
    /// All of them, or none and false if there would be more than `limit`.
    [[nodiscard]] bool refresh(std::span<const net::Endpoint> peers, TimePoint until, std::size_t limit);
    void expire(TimePoint now);

    [[nodiscard]] std::optional<TimePoint> next_timeout() const;

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        net::Address peer;
        TimePoint until;
    };

    [[nodiscard]] std::vector<Entry>::const_iterator lower_bound(const net::Address& peer) const;

    std::vector<Entry> entries_;
};

}  // namespace pinhole::turn
