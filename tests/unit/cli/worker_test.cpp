#include "peer/cli/worker.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::cli {
namespace {

TEST(Worker, RunsJobsInOrderOnOneThread) {
    std::vector<int> order;
    std::promise<void> last;
    Worker worker;
    for (int i = 0; i < 100; ++i) {
        worker.post({[&order, i] { order.push_back(i); }});
    }
    worker.post({[&last] { last.set_value(); }});
    last.get_future().wait();
    ASSERT_EQ(order.size(), 100U);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
    }
}

TEST(Worker, RunsWhatIsPostedTogetherInOrder) {
    std::vector<int> order;
    std::promise<void> last;
    Worker worker;
    worker.post({});
    worker.post({[&order] { order.push_back(0); }});
    worker.post({[&order] { order.push_back(1); }, [&order] { order.push_back(2); }, [&last] { last.set_value(); }});
    last.get_future().wait();
    EXPECT_EQ(order, (std::vector{0, 1, 2}));
}

TEST(Worker, FreesWhatAJobOwnsWhenTheJobIsDone) {
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = owned;
    std::promise<void> last;
    Worker worker;
    worker.post({[owned = std::move(owned)] {}});
    worker.post({[&last] { last.set_value(); }});
    last.get_future().wait();
    EXPECT_TRUE(watch.expired());
}

TEST(Worker, WaitsForTheRunningJobWhenItEnds) {
    std::promise<void> started;
    std::atomic<bool> finished = false;
    {
        Worker worker;
        worker.post({[&] {
            started.set_value();
            for (int i = 0; i < 1'000'000; ++i) {
                finished.store(false);
            }
            finished.store(true);
        }});
        started.get_future().wait();
    }
    EXPECT_TRUE(finished.load());
}

TEST(Mailbox, TellsOnceForAllThatCameMeanwhile) {
    Mailbox<int> results;
    EXPECT_TRUE(results.put(1));
    EXPECT_FALSE(results.put(2));
    EXPECT_EQ(results.take(), (std::vector{1, 2}));
    EXPECT_TRUE(results.take().empty());
    EXPECT_TRUE(results.put(3));
}

}  // namespace
}  // namespace pinhole::cli
