#include "peer/cli/output.hpp"

#include "common/base/encoding.hpp"

#include <array>
#include <cmath>

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace pinhole::cli {

namespace {

void write_all(int file, std::string_view text) {
    while (!text.empty()) {
        const auto written = ::write(file, text.data(), text.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0 && errno == EAGAIN) {  // a terminal whose input somebody reads without blocking
            pollfd wait{.fd = file, .events = POLLOUT, .revents = 0};
            ::poll(&wait, 1, -1);
            continue;
        }
        if (written <= 0) {
            return;  // the reader of our output is gone; the exit code still tells
        }
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace

Output::Output(Format format)
    : format_(format), progress_terminal_(format == Format::human && ::isatty(STDERR_FILENO) == 1) {}

Output::~Output() {
    clear_progress();
}

void Output::event(std::string_view name, Json fields) {
    if (!json()) {
        return;
    }
    Json line;
    line["event"] = name;
    line.update(fields);
    write_all(STDOUT_FILENO, line.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n');
}

void Output::say(std::string_view text) {
    if (!json()) {
        clear_progress();
        write_all(STDOUT_FILENO, std::string{text} + '\n');
    }
}

void Output::note(std::string_view text) {
    if (!json()) {
        clear_progress();
        write_all(STDERR_FILENO, std::string{text} + '\n');
    }
}

void Output::fail(const Failure& failure) {
    clear_progress();
    Json fields{{"code", failure.code}, {"message", failure.message}};
    std::string line = "pinhole: " + failure.message;
    if (!failure.hint.empty()) {
        fields["hint"] = failure.hint;
        line += "; " + failure.hint;
    }
    event("error", std::move(fields));
    write_all(STDERR_FILENO, printable(line) + '\n');
}

void Output::progress(std::string_view text) {
    if (progress_terminal_) {
        progress_shown_ = true;
        write_all(STDERR_FILENO, fmt::format("\r\x1b[K{}", text));
    }
}

void Output::clear_progress() {
    if (progress_shown_) {
        progress_shown_ = false;
        write_all(STDERR_FILENO, "\r\x1b[K");
    }
}

std::size_t Output::columns() {
    winsize size{};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

std::string human_bytes(double bytes) {
    constexpr std::array<const char*, 6> kUnits{"B", "kB", "MB", "GB", "TB", "PB"};
    std::size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < kUnits.size()) {
        bytes /= 1000;
        ++unit;
    }
    return bytes < 9.95 && unit > 0 ? fmt::format("{:.1f} {}", bytes, kUnits[unit])
                                    : fmt::format("{:.0f} {}", bytes, kUnits[unit]);
}

std::string human_duration(double seconds) {
    const auto total = static_cast<long>(std::lround(std::max(seconds, 0.0)));
    const auto hours = total / 3600;
    const auto minutes = total / 60 % 60;
    return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60)
                     : fmt::format("{}:{:02}", minutes, total % 60);
}

}  // namespace pinhole::cli
