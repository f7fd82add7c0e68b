#include "peer/transport/range_set.hpp"

namespace pinhole::transport {

std::uint64_t RangeSet::insert(Range range) {
    if (range.begin >= range.end) {
        return 0;
    }
    if (ranges_.empty() || range.begin > ranges_.back().end) {
        ranges_.push_back(range);
        return range.length();
    }
    if (range.begin == ranges_.back().end) {
        ranges_.back().end = range.end;
        return range.length();
    }
    // Everything that touches the new range, neighbours included, becomes one.
    const auto first = std::ranges::lower_bound(ranges_, range.begin, {}, &Range::end);
    auto last = first;
    auto merged = range;
    std::uint64_t known = 0;
    for (; last != ranges_.end() && last->begin <= range.end; ++last) {
        merged.begin = std::min(merged.begin, last->begin);
        merged.end = std::max(merged.end, last->end);
        known += last->length();
    }
    const auto added = merged.length() - known;
    if (first == last) {
        ranges_.insert(first, range);
    } else {
        *first = merged;
        ranges_.erase(first + 1, last);
    }
    return added;
}

void RangeSet::erase(Range range) {
    if (range.begin >= range.end) {
        return;
    }
    auto it = std::ranges::upper_bound(ranges_, range.begin, {}, &Range::end);
    if (it == ranges_.end() || it->begin >= range.end) {
        return;
    }
    if (it->begin < range.begin && it->end > range.end) {
        const Range tail{range.end, it->end};
        it->end = range.begin;
        ranges_.insert(it + 1, tail);
        return;
    }
    if (it->begin < range.begin) {
        it->end = range.begin;
        ++it;
    }
    auto last = it;
    while (last != ranges_.end() && last->end <= range.end) {
        ++last;
    }
    if (last != ranges_.end() && last->begin < range.end) {
        last->begin = range.end;
    }
    ranges_.erase(it, last);
}

void RangeSet::erase_below(std::uint64_t value) {
    auto it = ranges_.begin();
    while (it != ranges_.end() && it->end <= value) {
        ++it;
    }
    if (it != ranges_.end() && it->begin < value) {
        it->begin = value;
    }
    if (it != ranges_.begin()) {
        ranges_.erase(ranges_.begin(), it);
    }
}

bool RangeSet::contains(std::uint64_t value) const {
    const auto it = first_ending_after(value);
    return it != ranges_.end() && it->begin <= value;
}

}  // namespace pinhole::transport
