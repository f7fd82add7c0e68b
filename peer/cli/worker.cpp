#include "peer/cli/worker.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>

namespace pinhole::cli {

Worker::Worker() : state_(std::make_shared<State>()) {
    std::thread([state = state_] { run(state); }).detach();
}

Worker::~Worker() {
    std::unique_lock lock{state_->mutex};
    state_->stopping = true;
    state_->jobs.clear();
    state_->changed.notify_all();
    state_->changed.wait_for(lock, std::chrono::seconds{2}, [this] { return state_->stopped; });
}

void Worker::post(std::vector<Job> jobs) {
    if (jobs.empty()) {
        return;
    }
    const std::lock_guard lock{state_->mutex};
    std::ranges::move(jobs, std::back_inserter(state_->jobs));
    state_->changed.notify_all();
}

void Worker::run(const std::shared_ptr<State>& state) {
    std::unique_lock lock{state->mutex};
    while (true) {
        state->changed.wait(lock, [&] { return state->stopping || !state->jobs.empty(); });
        if (state->stopping) {
            state->stopped = true;
            state->changed.notify_all();
            return;
        }
        auto job = std::move(state->jobs.front());
        state->jobs.pop_front();
        lock.unlock();
        job();
        job = nullptr;  // what it owns goes before the lock is taken again
        lock.lock();
    }
}

}  // namespace pinhole::cli
