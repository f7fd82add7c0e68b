// Child processes for tests of what several processes do at once.
#pragma once

#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace pinhole::test {

/// Runs `body(n)` in `count` processes at once, all let go at the same moment; true if each returned 0.
template <class Body>
bool race(int count, Body body) {
    int gate[2];
    if (::pipe(gate) != 0) {
        return false;
    }
    std::vector<pid_t> children;
    for (int n = 0; n < count; ++n) {
        const auto child = ::fork();
        if (child == 0) {
            ::close(gate[1]);
            char byte = 0;
            while (::read(gate[0], &byte, 1) > 0) {}
            ::_exit(body(n));
        }
        children.push_back(child);
    }
    ::close(gate[0]);
    ::close(gate[1]);
    bool good = true;
    for (const auto child : children) {
        int status = -1;
        good = ::waitpid(child, &status, 0) == child && status == 0 && good;
    }
    return good;
}

}  // namespace pinhole::test
