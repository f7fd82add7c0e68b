#include "tests/lab/natbox/link_settings.hpp"

#include "tests/lab/model/quantity.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include <fmt/format.h>

namespace pinhole::natbox {

namespace {

using lab::LinkConfig;

/// A whole line of a hundred terabytes has fewer.
constexpr double kLargest = 1e15;

/// A number without a unit; not negative.
std::optional<double> number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole && value >= 0 && value <= kLargest ? std::optional{value} : std::nullopt;
}

template <class Value, class Setting>
bool store(const std::optional<Value>& value, Setting& setting) {
    if (value) {
        setting = static_cast<Setting>(*value);
    }
    return value.has_value();
}

bool read_switch(std::string_view text, bool& setting) {
    setting = text == "true";
    return setting || text == "false";
}

bool read_chance(std::string_view text, double& setting) {
    const auto value = number(text);
    return store(value && *value <= 1 ? value : std::nullopt, setting);
}

template <class Integer>
bool read_count(std::string_view text, Integer& setting) {
    const auto value = number(text);
    return store(value && *value == std::floor(*value) ? value : std::nullopt, setting);
}

bool read_time(std::string_view text, Duration& setting) {
    return store(lab::parse_time(text), setting);
}

bool read_size(std::string_view text, std::size_t& setting) {
    return store(lab::parse_size(text), setting);
}

bool read_rate(std::string_view text, double& setting) {
    return store(text == "0" ? std::optional{0.0} : lab::parse_rate(text), setting);
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
        [](LinkConfig& c, std::string_view v) { return read_count(v, c.burst_length); }},
    Key{"rate", R"(a rate such as "20mbit", or 0 for none)",
        [](LinkConfig& c, std::string_view v) { return read_rate(v, c.bytes_per_second); }},
    Key{"queue", R"(a size such as "64kB")",
        [](LinkConfig& c, std::string_view v) { return read_size(v, c.queue_bytes); }},
    Key{"reorder", kChance, [](LinkConfig& c, std::string_view v) { return read_chance(v, c.reorder); }},
    Key{"reorder_delay", kTime, [](LinkConfig& c, std::string_view v) { return read_time(v, c.reorder_delay); }},
    Key{"duplicate", kChance, [](LinkConfig& c, std::string_view v) { return read_chance(v, c.duplicate); }},
    Key{"corrupt", kChance, [](LinkConfig& c, std::string_view v) { return read_chance(v, c.corrupt); }},
    Key{"mtu", "a number of bytes", [](LinkConfig& c, std::string_view v) { return read_count(v, c.mtu); }},
    Key{"mtu_icmp", kSwitch, [](LinkConfig& c, std::string_view v) { return read_switch(v, c.mtu_icmp); }},
    Key{"strip_ecn", kSwitch, [](LinkConfig& c, std::string_view v) { return read_switch(v, c.strip_ecn); }},
    Key{"mark", kSwitch, [](LinkConfig& c, std::string_view v) { return read_switch(v, c.mark); }},
    Key{"up", kSwitch, [](LinkConfig& c, std::string_view v) { return read_switch(v, c.up); }},
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
    keys.reserve(kKeys.size());
    for (const auto& key : kKeys) {
        keys.push_back({key.name, key.wanted});
    }
    return keys;
}

}  // namespace pinhole::natbox
