#include "peer/transport/loss_judge.hpp"

#include <gtest/gtest.h>

namespace pinhole::transport {
namespace {

/// A line that loses so much by itself, known for a while, on which a queue of 40 ms has been seen.
LossJudge judge_of(double loss) {
    LossJudge judge;
    judge.on_queueing(40ms);
    for (int i = 0; i < 20; ++i) {
        judge.learn({.packets = 200, .lost = 200 * loss, .queueing = 1ms});
    }
    judge.on_queueing(40ms);
    return judge;
}

TEST(TransportLossJudge, LearnsWhatTheLineLosesByItself) {
    EXPECT_NEAR(judge_of(0).ambient(), 0, 0.001);
    EXPECT_NEAR(judge_of(0.02).ambient(), 0.02, 0.002);
    EXPECT_NEAR(judge_of(0.05).ambient(), 0.05, 0.003);
}

TEST(TransportLossJudge, LossesWithAQueueAreNotLearnt) {
    auto judge = judge_of(0);
    for (int i = 0; i < 20; ++i) {
        judge.learn({.packets = 200, .lost = 20, .queueing = 35ms});
    }
    EXPECT_LT(judge.ambient(), 0.001);
}

TEST(TransportLossJudge, LossesWithoutAQueueAreNoCongestion) {
    const auto judge = judge_of(0);
    EXPECT_FALSE(judge.congested({.packets = 100, .lost = 8, .queueing = 2ms}));
    EXPECT_TRUE(judge.congested({.packets = 100, .lost = 8, .queueing = 30ms}));
}

TEST(TransportLossJudge, WithAQueueTheLinesOwnLossIsStillTolerated) {
    const auto judge = judge_of(0.03);
    EXPECT_FALSE(judge.congested({.packets = 400, .lost = 12, .queueing = 30ms}));
    EXPECT_FALSE(judge.congested({.packets = 400, .lost = 22, .queueing = 30ms})) << "chance";
    EXPECT_TRUE(judge.congested({.packets = 400, .lost = 50, .queueing = 30ms}));
}

TEST(TransportLossJudge, ARunOfLossesWithAQueueIsATailDrop) {
    const auto judge = judge_of(0.01);
    EXPECT_FALSE(judge.congested({.packets = 1000, .lost = 10, .queueing = 30ms, .run = false}));
    EXPECT_TRUE(judge.congested({.packets = 1000, .lost = 10, .queueing = 30ms, .run = true}));
    EXPECT_FALSE(judge.congested({.packets = 1000, .lost = 10, .queueing = 2ms, .run = true}));
}

TEST(TransportLossJudge, MoreThanFifteenInAHundredIsCongestionWhateverTheDelay) {
    const auto judge = judge_of(0.1);
    EXPECT_TRUE(judge.congested({.packets = 200, .lost = 40, .queueing = 0ms}));
    EXPECT_FALSE(judge.congested({.packets = 200, .lost = 20, .queueing = 0ms}));
}

TEST(TransportLossJudge, AnUnknownLineIsTrustedALittle) {
    const LossJudge judge;
    EXPECT_GT(judge.ambient(), 0.01);
    EXPECT_FALSE(judge.congested({.packets = 30, .lost = 1, .queueing = 50ms}));
}

}  // namespace
}  // namespace pinhole::transport
