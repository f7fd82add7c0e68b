#include "tests/lab/model/table_reader.hpp"

#include "tests/lab/model/quantity.hpp"

#include <fmt/format.h>

namespace pinhole::lab {

namespace {

/// A key or value as it is shown to a person who may have mistyped it: not all of it, and nothing a terminal obeys.
std::string shown(std::string_view text) {
    constexpr std::size_t kMaxShown = 40;
    std::string result;
    for (const auto c : text.substr(0, kMaxShown)) {
        result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
    return result + (text.size() > kMaxShown ? "..." : "");
}

}  // namespace

std::string Mistake::text() const {
    return line == 0 ? sentence : fmt::format("Line {}: {}", line, sentence);
}

void TableReader::complain(const toml::node& node, std::string sentence) {
    if (!*mistake_) {
        *mistake_ = {.line = node.source().begin.line, .sentence = fmt::format("{}: {}.", what_, sentence)};
    }
}

const toml::node* TableReader::find(std::string_view key) {
    known_.emplace(key);
    return table_->get(key);
}

const toml::table* TableReader::find_table(std::string_view key) {
    const auto* node = find(key);
    if (node != nullptr && !node->is_table()) {
        complain(*node, fmt::format("{} is a table, {{ … }}", key));
        return nullptr;
    }
    return node == nullptr ? nullptr : node->as_table();
}

const toml::array* TableReader::find_list(std::string_view key) {
    const auto* node = find(key);
    if (node != nullptr && !node->is_array()) {
        complain(*node, fmt::format("{} is a list, [ … ]", key));
        return nullptr;
    }
    return node == nullptr ? nullptr : node->as_array();
}

std::optional<std::int64_t> TableReader::integer(std::string_view key, const toml::node& node, std::int64_t first,
                                                 std::int64_t last) {
    const auto number = node.value_exact<std::int64_t>();
    if (!number || *number < first || *number > last) {
        complain(node, fmt::format("{} is a whole number from {} to {}", key, first, last));
        return std::nullopt;
    }
    return number;
}

void TableReader::read(std::string_view key, std::string& out) {
    if (const auto* node = find(key)) {
        if (auto text = node->value_exact<std::string>()) {
            out = std::move(*text);
        } else {
            complain(*node, fmt::format("{} is a text, in quotes", key));
        }
    }
}

void TableReader::read(std::string_view key, bool& out) {
    if (const auto* node = find(key)) {
        if (const auto flag = node->value_exact<bool>()) {
            out = *flag;
        } else {
            complain(*node, fmt::format("{} is true or false", key));
        }
    }
}

void TableReader::read(std::string_view key, double& out, double last) {
    if (const auto* node = find(key)) {
        const auto number = node->is_number() ? node->value<double>() : std::nullopt;
        if (number && *number >= 0 && *number <= last) {
            out = *number;
        } else {
            complain(*node, fmt::format("{} is a number from 0 to {}", key, last));
        }
    }
}

void TableReader::read(std::string_view key, Duration& out) {
    if (const auto* node = find(key)) {
        const auto text = node->value_exact<std::string_view>();
        if (const auto time = text ? parse_time(*text) : std::nullopt) {
            out = *time;
        } else {
            complain(*node, fmt::format("{} is a time like \"20ms\", \"1.5s\" or \"2min\"", key));
        }
    }
}

void TableReader::read_rate(std::string_view key, double& out) {
    if (const auto* node = find(key)) {
        const auto text = node->value_exact<std::string_view>();
        if (const auto rate = text ? parse_rate(*text) : std::nullopt) {
            out = *rate;
        } else {
            complain(*node, fmt::format("{} is a rate like \"20mbit\" or \"64kbit\"", key));
        }
    }
}

void TableReader::read_size(std::string_view key, std::size_t& out) {
    if (const auto* node = find(key)) {
        const auto text = node->value_exact<std::string_view>();
        const auto bytes = node->value_exact<std::int64_t>();
        if (const auto size = text ? parse_size(*text) : std::nullopt) {
            out = *size;
        } else if (bytes && *bytes >= 0) {
            out = static_cast<std::size_t>(*bytes);
        } else {
            complain(*node, fmt::format("{} is a size like \"64kB\" or \"2MB\"", key));
        }
    }
}

void TableReader::finish() {
    const toml::key* unknown = nullptr;
    for (const auto& [key, node] : *table_) {
        if (!known_.contains(key.str()) &&
            (unknown == nullptr || key.source().begin.line < unknown->source().begin.line)) {
            unknown = &key;
        }
    }
    if (unknown != nullptr && !*mistake_) {
        std::string known;
        for (const auto& key : known_) {
            known += (known.empty() ? "" : ", ") + key;
        }
        *mistake_ = {.line = unknown->source().begin.line,
                     .sentence = fmt::format("{} has no key \"{}\"; it has {}.", what_, shown(unknown->str()), known)};
    }
}

}  // namespace pinhole::lab
