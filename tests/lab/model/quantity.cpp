#include "tests/lab/model/quantity.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <system_error>

namespace pinhole::lab {

namespace {

struct Unit {
    std::string_view name;
    double factor = 1;
};

constexpr std::array kTimes{Unit{"ns", 1},  Unit{"us", 1e3},   Unit{"ms", 1e6},
                            Unit{"s", 1e9}, Unit{"min", 60e9}, Unit{"h", 3600e9}};
constexpr std::array kRates{Unit{"bit", 1.0 / 8}, Unit{"kbit", 1e3 / 8}, Unit{"mbit", 1e6 / 8}, Unit{"gbit", 1e9 / 8}};
constexpr std::array kSizes{Unit{"B", 1}, Unit{"kB", 1e3}, Unit{"MB", 1e6}, Unit{"GB", 1e9}};

constexpr double kMaxTime = 365.0 * 24 * 3600e9;
constexpr double kMaxRate = 1e12;
constexpr double kMaxSize = 1e12;

std::optional<double> parse(std::string_view text, std::span<const Unit> units, double largest) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc{} || !std::isfinite(value) || std::signbit(value)) {
        return std::nullopt;
    }
    const auto rest = text.substr(static_cast<std::size_t>(end - text.data()));
    for (const auto& unit : units) {
        if (rest == unit.name && value * unit.factor <= largest) {
            return value * unit.factor;
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<Duration> parse_time(std::string_view text) {
    const auto value = parse(text, kTimes, kMaxTime);
    return value ? std::optional{Duration{static_cast<Duration::rep>(std::llround(*value))}} : std::nullopt;
}

std::optional<double> parse_rate(std::string_view text) {
    const auto value = parse(text, kRates, kMaxRate);
    return value && *value > 0 ? value : std::nullopt;
}

std::optional<std::size_t> parse_size(std::string_view text) {
    const auto value = parse(text, kSizes, kMaxSize);
    return value ? std::optional{static_cast<std::size_t>(std::llround(*value))} : std::nullopt;
}

}  // namespace pinhole::lab
