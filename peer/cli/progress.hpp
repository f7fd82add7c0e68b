// Rate and time left of a transfer, and the line that shows them. Fed with byte counts and time; knows no terminal.
#pragma once

#include "common/base/time.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

namespace pinhole::cli {

class Progress {
  public:
    /// `total` is nullopt when it is not known (standard input).
    Progress(std::optional<std::uint64_t> total, TimePoint now);

    void update(std::uint64_t bytes, TimePoint now);

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    [[nodiscard]] std::optional<std::uint64_t> total() const { return total_; }

    /// Bytes per second over the last five seconds.
    [[nodiscard]] double rate() const;
    [[nodiscard]] std::optional<double> eta_seconds() const;
    /// "name  42% [=====>     ] 1.2 GB of 2.9 GB  94 MB/s  0:18", cut to `columns`.
    [[nodiscard]] std::string line(const std::string& name, std::size_t columns) const;

  private:
    std::optional<std::uint64_t> total_;
    std::uint64_t bytes_ = 0;
    std::deque<std::pair<TimePoint, std::uint64_t>> samples_;
};

}  // namespace pinhole::cli
