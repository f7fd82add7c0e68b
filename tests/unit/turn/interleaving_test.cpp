// After any interleaving of success, failure, expiry and close, nothing is left: the books of script_world.hpp abort
// the test where they do not agree.
#include "tests/unit/turn/script_world.hpp"

#include <gtest/gtest.h>

namespace pinhole::turn {
namespace {

TEST(TurnInterleaving, LeavesNothingBehind) {
    TurnStats all;
    std::uint64_t paired = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        SCOPED_TRACE(seed);
        SeededRng rng{seed};
        Bytes input(4000);
        rng.fill(input);
        fuzz::ScriptReader script{input};
        test::ScriptWorld world{seed};
        while (!script.done()) {
            world.step(script);
        }
        world.end();
        all.allocated += world.stats().allocated;
        all.refused += world.stats().refused;
        all.to_peer += world.stats().to_peer;
        all.to_client += world.stats().to_client;
        paired += world.paired();
    }
    // The scripts are worth something.
    EXPECT_GT(all.allocated, 1000U);
    EXPECT_GT(all.refused, 1000U);
    EXPECT_GT(all.to_peer, 100U);
    EXPECT_GT(all.to_client, 20U);
    EXPECT_GT(paired, 5U);
}

}  // namespace
}  // namespace pinhole::turn
