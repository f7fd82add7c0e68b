#include "tests/bench/transport_options.hpp"

#include "peer/transport/congestion.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

namespace pinhole::bench {

namespace {

constexpr auto kAbout =
    "Drives the transport over a real UDP socket, without signaling: both ends know each other's address and their "
    "keys "
    "are fixed.\nPrints `ready` and, at the end, one line of JSON.";

constexpr std::array kCiphers{
    std::pair{std::string_view{"chacha"}, crypto::Cipher::chacha20_poly1305},
    std::pair{std::string_view{"aes"}, crypto::Cipher::aes256_gcm},
};
constexpr std::array kTasks{
    std::pair{std::string_view{"send"}, Task::send},
    std::pair{std::string_view{"receive"}, Task::receive},
    std::pair{std::string_view{"idle-send"}, Task::idle_send},
    std::pair{std::string_view{"idle-receive"}, Task::idle_receive},
    std::pair{std::string_view{"floor-send"}, Task::floor_send},
    std::pair{std::string_view{"floor-receive"}, Task::floor_receive},
};

template <class Table>
std::string names(const Table& table) {
    std::string known;
    for (const auto& [name, value] : table) {
        known += (known.empty() ? "" : ", ") + std::string{name};
    }
    return known;
}

template <class Table>
auto named(const Table& table, std::string_view option, const std::string& wanted) {
    for (const auto& [name, value] : table) {
        if (name == wanted) {
            return value;
        }
    }
    throw CLI::ValidationError(std::string{option}, "one of " + names(table) + ", not '" + wanted + "'");
}

net::Endpoint endpoint(std::string_view option, const std::string& text) {
    const auto parsed = net::Endpoint::parse(text);
    if (!parsed) {
        throw CLI::ValidationError(std::string{option}, "ADDRESS:PORT, not '" + text + "'");
    }
    return *parsed;
}

template <class Table, class Value>
std::string name_of(const Table& table, Value value) {
    const auto found = std::ranges::find(table, value, [](const auto& entry) { return entry.second; });
    return found == table.end() ? "" : std::string{found->first};
}

/// The defaults are the product's.
struct Words {
    std::string task;
    std::string local;
    std::string remote;
    std::string cipher = "chacha";
    std::string congestion = "bbr";
};

void add_options(CLI::App& app, TransportOptions& options, Words& words) {
    app.add_option("task", words.task, names(kTasks))->required();
    app.add_option("--local", words.local, "where this end is, ADDRESS:PORT")->required();
    app.add_option("--remote", words.remote, "where the other end is")->required();
    app.add_option("--cipher", words.cipher, names(kCiphers))->capture_default_str();
    app.add_option("--congestion", words.congestion, "of a sender: " + names(transport::kCongestionAlgorithms))
        ->capture_default_str();
    app.add_option("--size", options.size, "bytes of the stream")->transform(CLI::AsSizeValue{false});
    app.add_option("--seconds", options.seconds, "sends for so long instead of a size");
    app.add_option("--warm-up", options.warm_up, "seconds that the receiver does not count");
    app.add_option("--bulk-rate", options.bulk_megabits, "Mbit/s at which the stream is offered");
    app.add_option("--messages", options.messages.count, "messages beside the stream; both ends must say so");
    app.add_option("--message-size", options.messages.size)->check(CLI::Range(16, 65536))->capture_default_str();
    app.add_option("--message-rate", options.messages.per_second, "messages a second")->capture_default_str();
    app.add_option("--connections", options.connections, "of an idle task")->capture_default_str();
    app.add_option("--rest", options.rest, "seconds until idle connections are weighed")->capture_default_str();
    app.add_option("--max-mtu", options.config.max_mtu, "largest UDP payload")->capture_default_str();
}

void read_words(const Words& words, TransportOptions& options) {
    options.task = named(kTasks, "task", words.task);
    options.local = endpoint("--local", words.local);
    options.remote = endpoint("--remote", words.remote);
    options.config.cipher = named(kCiphers, "--cipher", words.cipher);
    options.config.congestion = named(transport::kCongestionAlgorithms, "--congestion", words.congestion);
    options.config.role = options.sends() ? transport::Role::initiator : transport::Role::responder;
    if (!crypto::cipher_available(options.config.cipher)) {
        throw CLI::ValidationError("--cipher", "this processor has no " + words.cipher);
    }
}

}  // namespace

std::variant<TransportOptions, int> parse_transport_options(int argc, char** argv) {
    CLI::App app{kAbout, "transport-load"};
    TransportOptions options;
    Words words;
    add_options(app, options, words);
    try {
        app.parse(argc, argv);
        read_words(words, options);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    return options;
}

}  // namespace pinhole::bench
