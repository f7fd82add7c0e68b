#include "peer/transport/range_set.hpp"

#include "common/base/rng.hpp"
#include "peer/transport/ring.hpp"

#include <set>

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

TEST(TransportRangeSet, NeighboursBecomeOneRange) {
    RangeSet set;
    EXPECT_EQ(set.insert({5, 10}), 5U);
    EXPECT_EQ(set.insert({10, 12}), 2U);
    EXPECT_EQ(set.insert({3, 5}), 2U);
    ASSERT_EQ(set.size(), 1U);
    EXPECT_EQ(set.front(), (Range{3, 12}));
    EXPECT_EQ(set.insert({3, 12}), 0U);
    EXPECT_EQ(set.insert({7, 7}), 0U);
}

// The oracle is a std::set of the numbers themselves.
TEST(TransportRangeSet, BehavesLikeASetOfNumbers) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE(seed);
        SeededRng rng{seed};
        RangeSet set;
        std::set<std::uint64_t> oracle;
        for (int step = 0; step < 200; ++step) {
            const auto begin = rng.below(100);
            const Range range{begin, begin + rng.below(12)};
            const auto action = rng.below(5);
            if (action < 3) {
                std::uint64_t added = 0;
                for (auto n = range.begin; n < range.end; ++n) {
                    added += oracle.insert(n).second ? 1 : 0;
                }
                ASSERT_EQ(set.insert(range), added);
            } else if (action == 3) {
                set.erase(range);
                oracle.erase(oracle.lower_bound(range.begin), oracle.lower_bound(std::max(range.begin, range.end)));
            } else if (rng.below(5) == 0) {
                set.erase_below(begin / 2);
                oracle.erase(oracle.begin(), oracle.lower_bound(begin / 2));
            }
            std::set<std::uint64_t> gaps;
            set.for_each_gap({10, 90}, [&](Range gap) {
                for (auto n = gap.begin; n < gap.end; ++n) {
                    gaps.insert(n);
                }
            });
            std::uint64_t last_end = 0;
            for (const auto& part : set.ranges()) {
                ASSERT_LT(part.begin, part.end);
                ASSERT_TRUE(last_end == 0 || part.begin > last_end) << "ranges touch";
                last_end = part.end;
            }
            for (std::uint64_t n = 0; n < 115; ++n) {
                ASSERT_EQ(set.contains(n), oracle.contains(n)) << n;
                ASSERT_EQ(gaps.contains(n), n >= 10 && n < 90 && !oracle.contains(n)) << n;
            }
        }
    }
}

TEST(TransportRing, KeepsOrderWhileItWrapsAndGrows) {
    Ring<int> ring;
    int next_in = 0;
    int next_out = 0;
    SeededRng rng{3};
    for (int step = 0; step < 2000; ++step) {
        if (ring.empty() || rng.below(100) < 55) {
            ring.push_back(next_in++);
        } else {
            ASSERT_EQ(ring.pop_front(), next_out++);
        }
        for (std::size_t i = 0; i < ring.size(); ++i) {
            ASSERT_EQ(ring[i], next_out + static_cast<int>(i));
        }
    }
}

}  // namespace
}  // namespace pinhole::transport
