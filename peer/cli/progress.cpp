#include "peer/cli/progress.hpp"

#include "common/base/encoding.hpp"
#include "peer/cli/output.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace pinhole::cli {

namespace {

constexpr Duration kWindow = 5s;
constexpr std::size_t kMaxName = 30;

/// Cuts to whole UTF-8 characters: a continuation byte is 10xxxxxx.
std::string shortened(const std::string& name) {
    const auto text = printable(name);
    if (text.size() <= kMaxName) {
        return text;
    }
    auto cut = kMaxName - 3;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0U) == 0x80U) {
        --cut;
    }
    return text.substr(0, cut) + "...";
}

}  // namespace

Progress::Progress(std::optional<std::uint64_t> total, TimePoint now) : total_(total) {
    samples_.emplace_back(now, 0);
}

void Progress::update(std::uint64_t bytes, TimePoint now) {
    bytes_ = bytes;
    samples_.emplace_back(now, bytes);
    while (samples_.size() > 2 && samples_[1].first + kWindow <= now) {
        samples_.pop_front();
    }
}

double Progress::rate() const {
    const auto& [first_time, first_bytes] = samples_.front();
    const auto& [last_time, last_bytes] = samples_.back();
    const auto elapsed = seconds(last_time - first_time);
    return elapsed <= 0 || last_bytes < first_bytes ? 0 : static_cast<double>(last_bytes - first_bytes) / elapsed;
}

std::optional<double> Progress::eta_seconds() const {
    const auto speed = rate();
    if (!total_ || speed <= 0) {
        return std::nullopt;
    }
    return static_cast<double>(*total_ - std::min(bytes_, *total_)) / speed;
}

std::string Progress::line(const std::string& name, std::size_t columns) const {
    const auto speed = human_bytes(rate()) + "/s";
    if (!total_) {
        return fmt::format("{}  {}  {}", shortened(name), human_bytes(static_cast<double>(bytes_)), speed)
            .substr(0, columns);
    }
    const auto done = *total_ == 0 ? 1.0 : std::min(1.0, static_cast<double>(bytes_) / static_cast<double>(*total_));
    const auto eta = eta_seconds();
    const auto left = fmt::format("{} {:3.0f}% ", shortened(name), done * 100);
    const auto right =
        fmt::format(" {} of {}  {}  {}", human_bytes(static_cast<double>(bytes_)),
                    human_bytes(static_cast<double>(*total_)), speed, eta ? human_duration(*eta) : "-:--");
    const auto used = left.size() + right.size() + 2;
    if (used + 5 > columns) {
        return (left + right).substr(0, columns);
    }
    const auto width = std::min<std::size_t>(columns - used - 1, 40);
    const auto filled = static_cast<std::size_t>(done * static_cast<double>(width));
    auto bar = std::string(filled, '=') + (filled < width ? ">" : "");
    bar.resize(width, ' ');
    return left + '[' + bar + ']' + right;
}

}  // namespace pinhole::cli
