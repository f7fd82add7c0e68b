// Reads one table of a TOML file into values: every key that is asked for is known, all others are mistakes. Keeps the
// first mistake of a file, with its line. Slow to compile, for toml++; only topology_file.cpp includes it.
#pragma once

#include "common/base/time.hpp"
#include "tests/lab/model/toml.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace pinhole::lab {

struct Mistake {
    std::uint32_t line = 0;
    std::string sentence;

    /// "Line 7: …", or the sentence alone.
    [[nodiscard]] std::string text() const;
};

class TableReader {
  public:
    /// `what` is for sentences: "[[nat]]". All are borrowed.
    TableReader(const toml::table& table, std::string_view what, std::optional<Mistake>& mistake)
        : table_(&table), what_(what), mistake_(&mistake) {}

    // Each leaves the value alone if the key is not there or wrong. Numbers are from 0 (or `first`) to `last`.
    void read(std::string_view key, std::string& out);
    void read(std::string_view key, bool& out);
    void read(std::string_view key, double& out, double last);
    void read(std::string_view key, Duration& out);

    template <class Integer>
    void read(std::string_view key, Integer& out, std::int64_t first, std::int64_t last) {
        if (const auto* node = find(key)) {
            if (const auto number = integer(key, *node, first, last)) {
                out = static_cast<Integer>(*number);
            }
        }
    }

    void read_rate(std::string_view key, double& out);
    void read_size(std::string_view key, std::size_t& out);

    template <class Value>
    using Words = std::initializer_list<std::pair<std::string_view, Value>>;

    template <class Value, class Out>
    void read_word(std::string_view key, Out& out, Words<Value> words) {
        if (const auto* node = find(key)) {
            if (const auto value = word(key, *node, words)) {
                const Value known = *value;
                out = known;
            }
        }
    }

    template <class Value>
    [[nodiscard]] std::optional<Value> word(std::string_view key, const toml::node& node, Words<Value> words) {
        const auto text = node.value_exact<std::string_view>();
        std::string known;
        for (const auto& [name, value] : words) {
            if (text && *text == name) {
                return value;
            }
            known += (known.empty() ? "\"" : ", \"") + std::string{name} + '"';
        }
        complain(node, std::string{key} + " is one of " + known);
        return std::nullopt;
    }

    /// The node of a key, for what is no simple value.
    [[nodiscard]] const toml::node* find(std::string_view key);
    [[nodiscard]] const toml::table* find_table(std::string_view key);
    /// nullptr, after a complaint, if it is there and no list.
    [[nodiscard]] const toml::array* find_list(std::string_view key);
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, const toml::node& node, std::int64_t first,
                                                      std::int64_t last);

    [[nodiscard]] bool has(std::string_view key) const { return table_->contains(key); }

    void complain(const toml::node& node, std::string sentence);
    /// Complains of the first key that nobody asked for.
    void finish();

  private:
    const toml::table* table_;
    std::string_view what_;
    std::optional<Mistake>* mistake_;
    std::set<std::string, std::less<>> known_;
};

}  // namespace pinhole::lab
