// The disk-and-hash thread: runs jobs one after the other, off the network thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

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

    void post(Job job);

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

}  // namespace pinhole::cli
