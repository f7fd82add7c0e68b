// A set of 64-bit numbers kept as sorted, disjoint half-open ranges: packet numbers received or acknowledged, stream
// bytes received, acknowledged or to be sent again. Cheap at the top end, where nearly all work happens.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace pinhole::transport {

struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;

    [[nodiscard]] std::uint64_t length() const { return end - begin; }

    friend bool operator==(const Range&, const Range&) = default;
};

class RangeSet {
  public:
    /// The number of values that were not there before.
    std::uint64_t insert(Range range);
    void erase(Range range);
    void erase_below(std::uint64_t value);

    void pop_front() { ranges_.erase(ranges_.begin()); }

    void clear() { ranges_.clear(); }

    /// Gives back the memory that is not in use.
    void shrink() { ranges_.shrink_to_fit(); }

    [[nodiscard]] bool contains(std::uint64_t value) const;

    [[nodiscard]] bool empty() const { return ranges_.empty(); }

    [[nodiscard]] std::size_t size() const { return ranges_.size(); }

    [[nodiscard]] const Range& front() const { return ranges_.front(); }

    [[nodiscard]] const Range& back() const { return ranges_.back(); }

    [[nodiscard]] std::span<const Range> ranges() const { return ranges_; }

    /// Calls `visit(Range)` for each part of `within` that is not in the set, ascending. The set must not change
    /// meanwhile.
    template <class Visit>
    void for_each_gap(Range within, Visit visit) const {
        auto cursor = within.begin;
        for (auto it = first_ending_after(within.begin); it != ranges_.end() && it->begin < within.end; ++it) {
            if (cursor < it->begin) {
                visit(Range{cursor, it->begin});
            }
            cursor = it->end;
        }
        if (cursor < within.end) {
            visit(Range{cursor, within.end});
        }
    }

  private:
    [[nodiscard]] std::vector<Range>::const_iterator first_ending_after(std::uint64_t value) const {
        return std::ranges::upper_bound(ranges_, value, {}, &Range::end);
    }

    std::vector<Range> ranges_;
};

}  // namespace pinhole::transport
