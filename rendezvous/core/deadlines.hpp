// The earliest deadline of many owners, one each; setting and taking cost O(log n).
#pragma once

#include "common/base/time.hpp"

#include <map>
#include <optional>
#include <set>
#include <utility>

namespace pinhole::rendezvous {

template <class Id>
class Deadlines {
  public:
    /// nullopt removes the owner.
    void set(Id id, std::optional<TimePoint> when) {
        if (const auto old = by_id_.find(id); old != by_id_.end()) {
            if (when == old->second) {
                return;
            }
            order_.erase({old->second, id});
            by_id_.erase(old);
        }
        if (when) {
            by_id_.emplace(id, *when);
            order_.emplace(*when, id);
        }
    }

    [[nodiscard]] std::optional<TimePoint> next() const {
        return order_.empty() ? std::nullopt : std::optional{order_.begin()->first};
    }

    /// Takes one owner whose deadline has come; call until nullopt.
    [[nodiscard]] std::optional<Id> expire(TimePoint now) {
        if (order_.empty() || order_.begin()->first > now) {
            return std::nullopt;
        }
        const auto id = order_.begin()->second;
        set(id, std::nullopt);
        return id;
    }

  private:
    std::map<Id, TimePoint> by_id_;
    std::set<std::pair<TimePoint, Id>> order_;
};

}  // namespace pinhole::rendezvous
