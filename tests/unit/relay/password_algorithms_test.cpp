// Which password algorithm the client of relays takes, and that nobody on the way makes it take a weaker one.
#include "tests/unit/relay/turn_world.hpp"

#include <gtest/gtest.h>

namespace pinhole::relay {
namespace {

using enum stun::PasswordAlgorithm;
using testing::AllocatedWorld;
using testing::FakeServer;
using testing::World;

const FakeServer::Settings kBoth{.algorithms = {md5, sha256}};
constexpr stun::PasswordAlgorithm kUnheardOf{7};

std::error_code failure(const World& world) {
    const auto* failed = world.last<Failed>();
    return failed == nullptr ? std::error_code{} : failed->error.code;
}

TEST(PasswordAlgorithms, Sha256IsTakenWhereItIsOffered) {
    const AllocatedWorld world{{}, kBoth};
    ASSERT_TRUE(world.client.allocated());
    EXPECT_EQ(world.server.signed_with, std::vector{std::optional{sha256}});
}

TEST(PasswordAlgorithms, Md5IsTakenWhereNothingElseIsOffered) {
    const AllocatedWorld world{{}, {.algorithms = {kUnheardOf, md5}}};
    ASSERT_TRUE(world.client.allocated());
    EXPECT_EQ(world.server.signed_with, std::vector{std::optional{md5}});
}

TEST(PasswordAlgorithms, AnOlderServerGetsWhatItKnows) {
    const AllocatedWorld world;
    ASSERT_TRUE(world.client.allocated());
    EXPECT_EQ(world.server.signed_with, std::vector{std::optional<stun::PasswordAlgorithm>{}});
}

TEST(PasswordAlgorithms, ALaterAllocationBeginsWithTheSameOne) {
    AllocatedWorld before{{}, kBoth};
    World world{{.challenge = before.client.challenge()}, kBoth};
    world.client.allocate(world.now);
    world.run_for(20ms);
    EXPECT_NE(world.last<Allocated>(), nullptr);
    EXPECT_EQ(world.server.signed_with, std::vector{std::optional{sha256}});
}

TEST(PasswordAlgorithms, AServerOfWhichWeKnowNoneCannotBeUsed) {
    const AllocatedWorld world{{}, {.algorithms = {kUnheardOf}}};
    EXPECT_EQ(failure(world), make_error_code(Errc::unsupported));
}

TEST(PasswordAlgorithms, NothingIsSignedWhenTheListWasTakenAway) {
    World world{{}, kBoth};
    world.server.algorithms_removed = true;
    world.client.allocate(world.now);
    world.run_for(10s);
    EXPECT_EQ(failure(world), make_error_code(Errc::no_answer));
    EXPECT_TRUE(world.server.signed_with.empty());
}

TEST(PasswordAlgorithms, TheServerSeesThatItsListWasReplaced) {
    World world{{}, kBoth};
    world.server.algorithms_replaced = {md5};
    world.client.allocate(world.now);
    world.run_for(10s);
    EXPECT_FALSE(world.client.allocated());
    EXPECT_FALSE(world.server.allocated(world.now));
}

TEST(PasswordAlgorithms, WhoHasSignedWithSha256DoesNotGoBack) {
    AllocatedWorld world{{}, kBoth};
    world.server.nonce = "n2";
    world.server.algorithms_removed = true;
    world.server.nonce_replaced = "made up";
    world.client.verify(world.now);
    world.run_for(10s);
    EXPECT_EQ(failure(world), make_error_code(Errc::no_answer));
    for (const auto& algorithm : world.server.signed_with) {
        EXPECT_EQ(algorithm, sha256);
    }
}

TEST(PasswordAlgorithms, AFreshNonceCostsOneMoreRoundTripAsEver) {
    AllocatedWorld world{{}, kBoth};
    world.server.nonce = "n2";
    world.client.verify(world.now);
    world.run_for(40ms);
    EXPECT_TRUE(world.client.allocated());
    EXPECT_EQ(world.server.signed_with.size(), 3U);
}

}  // namespace
}  // namespace pinhole::relay
