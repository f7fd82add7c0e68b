// The one place that writes to the terminal. With --json stdout carries events only, one object a line; without it,
// plain sentences and a progress line. Errors go to stderr in both cases, one line each.
#pragma once

#include "peer/cli/failure.hpp"

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pinhole::cli {

using Json = nlohmann::ordered_json;

class Output {
  public:
    enum class Format : std::uint8_t { human, json };

    explicit Output(Format format);
    ~Output();
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    [[nodiscard]] bool json() const { return format_ == Format::json; }

    /// An event of the contract; nothing without --json. Strings that are not UTF-8 are shown with U+FFFD.
    void event(std::string_view name, Json fields);
    /// A sentence for a person on stdout; nothing with --json.
    void say(std::string_view text);
    /// A sentence for a person that is not the result (stderr); nothing with --json.
    void note(std::string_view text);
    /// The error event, and one line on stderr.
    void fail(const Failure& failure);
    /// Replaces the progress line; on a terminal only.
    void progress(std::string_view text);
    void clear_progress();

    [[nodiscard]] bool shows_progress() const { return progress_terminal_; }

    /// Columns of the terminal, 80 if unknown.
    [[nodiscard]] static std::size_t columns();

  private:
    Format format_;
    bool progress_terminal_;
    bool progress_shown_ = false;
};

/// "1.4 GB", "312 kB", "17 B": powers of 1000, as disks and links are labelled.
[[nodiscard]] std::string human_bytes(double bytes);
/// "0:07", "12:34", "1:02:03".
[[nodiscard]] std::string human_duration(double seconds);

}  // namespace pinhole::cli
