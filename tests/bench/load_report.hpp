// What every load program here reports, and how: one JSON line on stdout with figures of its own process and instants
// of the clock that all programs of a machine share. Knows no transport; for the programs of this folder only.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/resource.h>

namespace pinhole::bench {

/// CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] inline std::uint64_t monotonic_ns() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                                      std::chrono::nanoseconds{1});
}

/// User and system time of this process.
[[nodiscard]] inline double cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto in_seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return in_seconds(used.ru_utime) + in_seconds(used.ru_stime);
}

/// A line of /proc/self/status that counts kilobytes.
[[nodiscard]] inline std::uint64_t status_kilobytes(const std::string& name) {
    std::ifstream status{"/proc/self/status"};
    std::string word;
    while (status >> word) {
        if (word == name) {
            std::uint64_t kilobytes = 0;
            status >> kilobytes;
            return kilobytes;
        }
    }
    return 0;
}

/// Resident memory that no file backs: heap and stacks.
[[nodiscard]] inline std::uint64_t anonymous_kilobytes() {
    return status_kilobytes("RssAnon:");
}

/// A message's first bytes say when it was sent.
inline constexpr std::size_t kStampSize = sizeof(std::uint64_t);

inline void write_stamp(std::uint8_t* message) {
    const auto now = monotonic_ns();
    std::memcpy(message, &now, kStampSize);
}

/// One-way latencies of messages between two processes of one machine.
class Latencies {
  public:
    void add_stamped(const std::uint8_t* message) {
        std::uint64_t sent = 0;
        std::memcpy(&sent, message, kStampSize);
        values_.push_back(static_cast<double>(monotonic_ns() - sent) / 1e6);
    }

    [[nodiscard]] std::size_t count() const { return values_.size(); }

    /// In milliseconds.
    [[nodiscard]] nlohmann::ordered_json json() const {
        auto sorted = values_;
        std::ranges::sort(sorted);
        const auto at = [&](double part) {
            if (sorted.empty()) {
                return std::numeric_limits<double>::quiet_NaN();
            }
            const auto index = static_cast<std::size_t>(part * static_cast<double>(sorted.size()));
            return sorted[std::min(index, sorted.size() - 1)];
        };
        return {{"count", sorted.size()}, {"p50", at(0.5)}, {"p90", at(0.9)}, {"p99", at(0.99)}, {"max", at(1)}};
    }

  private:
    std::vector<double> values_;
};

/// Bytes that arrive, counted from `warm_up` after the first of them.
class Intake {
  public:
    explicit Intake(double warm_up) : warm_up_(static_cast<std::uint64_t>(warm_up * 1e9)) {}

    void add(std::size_t bytes) {
        last_ = monotonic_ns();
        if (first_ == 0) {
            first_ = last_;
        }
        total_ += bytes;
        if (last_ - first_ >= warm_up_) {
            begin_ = begin_ == 0 ? last_ : begin_;
            counted_ += bytes;
        }
    }

    [[nodiscard]] std::uint64_t total() const { return total_; }

    [[nodiscard]] nlohmann::ordered_json json() const {
        return {{"bytes", total_},
                {"counted_bytes", counted_},
                {"counted_seconds", static_cast<double>(last_ - begin_) / 1e9},
                {"ended", static_cast<double>(last_) / 1e9}};
    }

  private:
    std::uint64_t warm_up_;
    std::uint64_t first_ = 0;
    std::uint64_t begin_ = 0;
    std::uint64_t last_ = 0;
    std::uint64_t total_ = 0;
    std::uint64_t counted_ = 0;
};

/// The one line, with what all programs tell; at once, so that whoever waits for it needs not wait for our end.
inline void print_report(nlohmann::ordered_json report) {
    report["cpu"] = cpu_seconds();
    // The largest resident set; getrusage would count who started us as well.
    report["peak_kb"] = status_kilobytes("VmHWM:");
    (void)std::printf("%s\n", report.dump().c_str());
    (void)std::fflush(stdout);
}

/// The line that says that somebody may connect.
inline void print_ready() {
    (void)std::puts("ready");
    (void)std::fflush(stdout);
}

}  // namespace pinhole::bench
