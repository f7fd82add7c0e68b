#include "rendezvous/options.hpp"

#include "common/base/limits.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

namespace pinhole::rendezvous {

namespace {

constexpr int kUsage = 2;

std::string check_listen(const std::string& text) {
    return parse_listen(text) ? std::string{} : "'" + text + "' is not an IP address with an optional port";
}

std::string check_alternate(const std::string& text) {
    const auto address = net::Address::parse(text);
    return address && !address->is_unspecified() && !address->is_multicast()
               ? std::string{}
               : "'" + text + "' is not an IP address of this machine";
}

/// What CLI11 cannot check word by word.
const char* check_together(const Options& options) {
    const auto count = [&](net::Family family) {
        return std::ranges::count_if(options.alternate, [&](const auto& one) { return one.family() == family; });
    };
    return count(net::Family::v4) > 1 || count(net::Family::v6) > 1
               ? "--alternate takes one IPv4 and one IPv6 address at most"
               : nullptr;
}

std::string check_level(const std::string& text) {
    return log::parse_level(text) ? std::string{} : "'" + text + "' is not one of error, warn, info, debug, trace";
}

std::filesystem::path from_environment(const char* variable) {
    // The environment is read once, before there is any thread.
    const char* value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::filesystem::path{} : std::filesystem::path{value};
}

}  // namespace

std::optional<net::Endpoint> parse_listen(std::string_view text) {
    const bool bracketed = text.starts_with('[');
    if (const auto address = net::Address::parse(text)) {
        return net::Endpoint{.address = *address, .port = limits::kServerPort};
    }
    const auto colon = text.rfind(':');
    const auto end = bracketed ? text.rfind(']') : colon;
    if (end == std::string_view::npos || (bracketed && end + 1 != text.size() && end + 1 != colon)) {
        return std::nullopt;
    }
    const auto address = net::Address::parse(text.substr(bracketed ? 1 : 0, end - (bracketed ? 1 : 0)));
    if (!address || bracketed == address->is_v4()) {
        return std::nullopt;
    }
    std::uint16_t port = limits::kServerPort;
    if (!bracketed || end + 1 == colon) {
        const auto digits = text.substr(colon + 1);
        const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (digits.empty() || result.ec != std::errc{} || result.ptr != digits.data() + digits.size()) {
            return std::nullopt;
        }
    }
    return net::Endpoint{.address = *address, .port = port};
}

std::filesystem::path default_data_folder() {
    // The XDG Base Directory Specification ignores relative paths.
    if (const auto state = from_environment("XDG_STATE_HOME"); state.is_absolute()) {
        return state / "pinhole-rendezvous";
    }
    if (const auto home = from_environment("HOME"); home.is_absolute()) {
        return home / ".local" / "state" / "pinhole-rendezvous";
    }
    return {};
}

std::variant<Options, int> parse_options(int argc, char** argv) {
    CLI::App app{"The meeting point of pinhole peers: tells them their addresses and introduces them to each other.",
                 "pinhole-rendezvous"};
    app.footer(
        "Needs no options. Example, on one address, with its key in /var/lib/pinhole:\n"
        "  pinhole-rendezvous --listen 192.0.2.1 --data /var/lib/pinhole\n"
        "Peers then use: pinhole --server 192.0.2.1 …");
    std::vector<std::string> listen;
    std::vector<std::string> alternate;
    std::string data;
    std::string level = "warn";
    Options options;
    app.add_option("--listen", listen, "UDP and TCP here, repeatable; default: port 3478 on all addresses")
        ->type_name("ADDR[:PORT]")
        ->allow_extra_args(false)
        ->check(check_listen);
    app.add_option("--alternate", alternate,
                   "a second address, for peers to find out how their NATs behave; also uses the "
                   "port above; repeatable, one of each family")
        ->type_name("ADDR")
        ->allow_extra_args(false)
        ->check(check_alternate);
    app.add_option(
           "--data", data,
           "where the server keeps its key and what it learns; default: under $XDG_STATE_HOME or ~/.local/state")
        ->type_name("DIR");
    app.add_option("--log-level", level, "error, warn, info, debug or trace, to stderr; default: warn")
        ->type_name("LEVEL")
        ->check(check_level);
    app.add_flag("--json", options.json, "events as JSON lines on stdout");
    app.set_version_flag("--version", std::string{"pinhole-rendezvous "} + PINHOLE_VERSION);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) {
            return app.exit(error);
        }
        std::cerr << "pinhole-rendezvous: " << error.what() << "; see pinhole-rendezvous --help\n";
        return kUsage;
    }
    for (const auto& text : listen) {
        options.listen.push_back(*parse_listen(text));
    }
    for (const auto& text : alternate) {
        options.alternate.push_back(*net::Address::parse(text));
    }
    if (const auto* problem = check_together(options)) {
        std::cerr << "pinhole-rendezvous: " << problem << "; see pinhole-rendezvous --help\n";
        return kUsage;
    }
    options.data = data.empty() ? default_data_folder() : std::filesystem::path{data};
    options.log_level = *log::parse_level(level);
    return options;
}

}  // namespace pinhole::rendezvous
