// The disk-and-hash thread: runs jobs one after the other, off the network thread; and the way of their results back to
// it. Both sides bound what is under way: a job is posted for a free buffer, and a result is one job's.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace pinhole::cli {

class Worker {
  public:
    using Job = std::function<void()>;

    Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    /// Drops jobs that have not begun and waits for the one that runs, at most two seconds: a read from a silent pipe
    /// may never end. Jobs must therefore own what they use.
    ~Worker();

    /// In this order, for one waking up of the thread.
    void post(std::vector<Job> jobs);

  private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<Job> jobs;
        bool stopping = false;
        bool stopped = false;
    };

    static void run(const std::shared_ptr<State>& state);

    std::shared_ptr<State> state_;
};

/// Results of jobs, for the network thread: it is woken for the first of them and takes all that came meanwhile.
template <class Result>
class Mailbox {
  public:
    /// From the worker's thread. True when nobody has been told to take() yet.
    [[nodiscard]] bool put(Result result) {
        const std::lock_guard lock{mutex_};
        results_.push_back(std::move(result));
        return !std::exchange(told_, true);
    }

    [[nodiscard]] std::vector<Result> take() {
        const std::lock_guard lock{mutex_};
        told_ = false;
        return std::exchange(results_, {});
    }

  private:
    std::mutex mutex_;
    std::vector<Result> results_;
    bool told_ = false;
};

}  // namespace pinhole::cli
