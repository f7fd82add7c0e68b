#include "tests/lab/natbox/link_settings.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>
#include <string>

#include <fmt/format.h>

namespace pinhole::natbox {

namespace {

using lab::LinkConfig;

struct Unit {
    std::string_view name;
    double factor = 1;
};

constexpr std::array kTimes{Unit{"ns", 1}, Unit{"us", 1e3}, Unit{"ms", 1e6}, Unit{"s", 1e9}, Unit{"min", 60e9}};
constexpr std::array kRates{Unit{"bit", 1.0 / 8}, Unit{"kbit", 1e3 / 8}, Unit{"mbit", 1e6 / 8}, Unit{"gbit", 1e9 / 8}};
constexpr std::array kSizes{Unit{"B", 1}, Unit{"kB", 1024}, Unit{"MB", 1024 * 1024}};
/// Above it a number is no integer any more, and no link is that slow or fast.
constexpr double kLargest = 1e15;

/// A number that is not negative, and one of the units after it.
std::optional<double> amount(std::string_view text, std::span<const Unit> units) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || !std::isfinite(value) || value < 0) {
        return std::nullopt;
    }
    const auto rest = text.substr(static_cast<std::size_t>(end - text.data()));
    if (rest.empty() && (units.empty() || value == 0)) {
        return value <= kLargest ? std::optional{value} : std::nullopt;
    }
    for (const auto& unit : units) {
        if (rest == unit.name && value * unit.factor <= kLargest) {
            return value * unit.factor;
        }
    }
    return std::nullopt;
}

bool read(std::string_view text, bool& out) {
    out = text == "true";
    return out || text == "false";
}

bool read_chance(std::string_view text, double& out) {
    const auto value = amount(text, {});
    out = value.value_or(0);
    return value && *value <= 1;
}

bool read_time(std::string_view text, Duration& out) {
    const auto value = amount(text, kTimes);
    out = Duration{static_cast<Duration::rep>(std::llround(value.value_or(0)))};
    return value.has_value();
}

template <class Integer>
bool read_integer(std::string_view text, Integer& out, std::span<const Unit> units = {}) {
    const auto value = amount(text, units);
    out = static_cast<Integer>(std::llround(value.value_or(0)));
    return value && (!units.empty() || *value == std::floor(*value));
}

bool read_rate(std::string_view text, double& out) {
    const auto value = amount(text, kRates);
    out = value.value_or(0);
    return value.has_value();
}

constexpr auto kTime = R"(a time such as "20ms", "1.5s" or "2min")";
constexpr auto kChance = "a chance from 0 to 1";
constexpr auto kSwitch = "true or false";

struct Key {
    std::string_view name;
    const char* wanted;
    bool (*set)(LinkConfig&, std::string_view);
};

constexpr std::array kKeys{
    Key{"delay", kTime, [](LinkConfig& c, std::string_view v) { return read_time(v, c.delay); }},
    Key{"jitter", kTime, [](LinkConfig& c, std::string_view v) { return read_time(v, c.jitter); }},
    Key{"loss", kChance, [](LinkConfig& c, std::string_view v) { return read_chance(v, c.loss); }},
    Key{"burst_loss", kChance, [](LinkConfig& c, std::string_view v) { return read_chance(v, c.burst_loss); }},
    Key{"burst_length", "a number of packets",
        [](LinkConfig& c, std::string_view v) { return read_integer(v, c.burst_length); }},
    Key{"rate", R"(a rate such as "20mbit", or 0 for none)",
        [](LinkConfig& c, std::string_view v) { return read_rate(v, c.bytes_per_second); }},
    Key{"queue", R"(a size such as "64kB")",
        [](LinkConfig& c, std::string_view v) { return read_integer(v, c.queue_bytes, kSizes); }},
    Key{"reorder", kChance, [](LinkConfig& c, std::string_view v) { return read_chance(v, c.reorder); }},
    Key{"reorder_delay", kTime, [](LinkConfig& c, std::string_view v) { return read_time(v, c.reorder_delay); }},
    Key{"duplicate", kChance, [](LinkConfig& c, std::string_view v) { return read_chance(v, c.duplicate); }},
    Key{"corrupt", kChance, [](LinkConfig& c, std::string_view v) { return read_chance(v, c.corrupt); }},
    Key{"mtu", "a number of bytes", [](LinkConfig& c, std::string_view v) { return read_integer(v, c.mtu); }},
    Key{"mtu_icmp", kSwitch, [](LinkConfig& c, std::string_view v) { return read(v, c.mtu_icmp); }},
    Key{"strip_ecn", kSwitch, [](LinkConfig& c, std::string_view v) { return read(v, c.strip_ecn); }},
    Key{"mark", kSwitch, [](LinkConfig& c, std::string_view v) { return read(v, c.mark); }},
    Key{"up", kSwitch, [](LinkConfig& c, std::string_view v) { return read(v, c.up); }},
};

}  // namespace

Status set_link(LinkConfig& config, std::string_view key, std::string_view value) {
    for (const auto& known : kKeys) {
        if (known.name == key) {
            auto changed = config;
            if (!known.set(changed, value)) {
                return fail(Errc::invalid_argument,
                            fmt::format("{} of a link is {}, not '{}'", key, known.wanted, value));
            }
            config = changed;
            return {};
        }
    }
    return fail(Errc::invalid_argument, fmt::format("a link has no '{}'", key));
}

Status set_link(LinkConfig& config, const std::vector<std::string_view>& settings) {
    auto changed = config;
    for (const auto setting : settings) {
        const auto equals = setting.find('=');
        if (equals == std::string_view::npos) {
            return fail(Errc::invalid_argument, fmt::format("a setting is KEY=VALUE, not '{}'", setting));
        }
        if (auto status = set_link(changed, setting.substr(0, equals), setting.substr(equals + 1)); !status) {
            return status;
        }
    }
    config = changed;
    return {};
}

std::vector<LinkKey> link_keys() {
    std::vector<LinkKey> keys;
    for (const auto& key : kKeys) {
        keys.push_back({key.name, key.wanted});
    }
    return keys;
}

}  // namespace pinhole::natbox
