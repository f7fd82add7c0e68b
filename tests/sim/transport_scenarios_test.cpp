#include "tests/sim/pair.hpp"

#include <gtest/gtest.h>

namespace pinhole::sim {
namespace {

TEST(TransportScenarios, SmallTransferCompletes) {
    Pair pair{{}};
    pair.a.send(100'000);
    ASSERT_TRUE(pair.run([&] { return pair.a.all_sent(); }, 10s));
    EXPECT_TRUE(pair.b.received(1, 100'000));
    EXPECT_EQ(pair.a.count<transport::Confirmed>(), 1U);
    EXPECT_EQ(pair.b.count<transport::Confirmed>(), 1U);
}

}  // namespace
}  // namespace pinhole::sim
