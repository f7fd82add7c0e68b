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
constexpr std::uint16_t kLastPrivilegedPort = 1023;

/// The words of the command line that stand for something else.
struct Words {
    std::vector<std::string> listen;
    std::vector<std::string> alternate;
    std::string data;
    std::string level = "warn";
    std::string relay_ports;
    bool no_relay = false;
    std::vector<std::string> users;
    std::vector<std::string> turn;
    std::string turn_secret;
    std::vector<std::string> allow;
    std::vector<std::string> external;
    std::string certificate;
    std::string key;
    /// Seconds; 0: as usual.
    int allocation_lifetime = 0;
    int nonce_lifetime = 0;
    int permission_lifetime = 0;
    int channel_lifetime = 0;
};

std::string check_listen(const std::string& text) {
    return parse_listen(text) ? std::string{} : "'" + text + "' is not an IP address with an optional port";
}

std::string check_alternate(const std::string& text) {
    const auto address = net::Address::parse(text);
    return address && !address->is_unspecified() && !address->is_multicast()
               ? std::string{}
               : "'" + text + "' is not an IP address of this machine";
}

std::string check_relay_ports(const std::string& text) {
    return parse_port_range(text) ? std::string{} : "'" + text + "' is not a range of ports above 1023, LOW-HIGH";
}

/// USER:PASSWORD; a user name has no colon, since that is how time-limited ones are told apart.
std::string check_user(const std::string& text) {
    const auto colon = text.find(':');
    const bool whole = colon != std::string::npos && colon > 0 && colon + 1 < text.size();
    return whole && text.size() <= limits::kMaxRelayText ? std::string{} : "a user is USER:PASSWORD";
}

std::string check_turn(const std::string& text) {
    return parse_turn_url(text) ? std::string{}
                                : "'" + text + "' is not turn:HOST[:PORT][?transport=udp|tcp] or turns:HOST[:PORT]";
}

std::string check_range(const std::string& text) {
    return turn::AddressRange::parse(text) ? std::string{} : "'" + text + "' is not a range of addresses, ADDR/BITS";
}

std::string check_external(const std::string& text) {
    const auto address = net::Address::parse(text);
    return address && !address->is_unspecified() && !address->is_multicast() ? std::string{}
                                                                             : "'" + text + "' is not an IP address";
}

bool one_of_each_family(const std::vector<net::Address>& addresses) {
    const auto count = [&](net::Family family) { return std::ranges::count(addresses, family, &net::Address::family); };
    return count(net::Family::v4) <= 1 && count(net::Family::v6) <= 1;
}

/// What CLI11 cannot check word by word.
const char* check_together(const Options& options) {
    if (!one_of_each_family(options.alternate)) {
        return "--alternate takes one IPv4 and one IPv6 address at most";
    }
    if (!one_of_each_family(options.relay.external)) {
        return "--external takes one IPv4 and one IPv6 address at most";
    }
    // The server itself is the first in the list that peers get.
    if (options.other_relays.size() >= limits::kMaxRelays) {
        return "--turn names too many relays";
    }
    return nullptr;
}

std::string check_level(const std::string& text) {
    return log::parse_level(text) ? std::string{} : "'" + text + "' is not one of error, warn, info, debug, trace";
}

std::filesystem::path from_environment(const char* variable) {
    // The environment is read once, before there is any thread.
    const char* value = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::filesystem::path{} : std::filesystem::path{value};
}

void add_server_options(CLI::App& app, Words& words) {
    app.add_option("--listen", words.listen, "UDP and TCP here, repeatable; default: port 3478 on all addresses")
        ->type_name("ADDR[:PORT]")
        ->allow_extra_args(false)
        ->check(check_listen);
    app.add_option("--alternate", words.alternate,
                   "a second address, for peers to find out how their NATs behave; also uses the "
                   "port above; repeatable, one of each family")
        ->type_name("ADDR")
        ->allow_extra_args(false)
        ->check(check_alternate);
    app.add_option(
           "--data", words.data,
           "where the server keeps its key and what it learns; default: under $XDG_STATE_HOME or ~/.local/state")
        ->type_name("DIR");
    app.add_option("--log-level", words.level, "error, warn, info, debug or trace, to stderr; default: warn")
        ->type_name("LEVEL")
        ->check(check_level);
}

void add_relay_options(CLI::App& app, Words& words) {
    const auto repeatable = [&app](const char* name, std::vector<std::string>& into, const char* what) {
        return app.add_option(name, into, what)->allow_extra_args(false);
    };
    repeatable("--external", words.external,
               "the address that the world sees, where the server is behind a 1:1 NAT; repeatable, one of each family")
        ->type_name("ADDR")
        ->check(check_external);
    app.add_option("--relay-ports", words.relay_ports, "ports of relayed addresses; default: 49152-65535")
        ->type_name("LOW-HIGH")
        ->check(check_relay_ports);
    app.add_flag("--no-relay", words.no_relay, "relay nothing here: peers without a direct path stay apart");
    repeatable("--turn-user", words.users,
               "a TURN user for other clients, repeatable; peers get their credentials by themselves")
        ->type_name("USER:PASSWORD")
        ->check(check_user);
    auto* turn = repeatable("--turn", words.turn, "another TURN server for the peers, repeatable; with --turn-secret")
                     ->type_name("URL")
                     ->check(check_turn);
    auto* secret = app.add_option("--turn-secret", words.turn_secret,
                                  "what those servers make time-limited credentials with (coturn: static-auth-secret)")
                       ->type_name("SECRET");
    turn->needs(secret);
    secret->needs(turn);
    repeatable("--allow-peer", words.allow,
               "relay also to addresses that are refused otherwise: loopback, private, link-local …; repeatable")
        ->type_name("ADDR/BITS")
        ->check(check_range);
    auto* certificate = app.add_option("--tls-cert", words.certificate,
                                       "a certificate with its chain, PEM, for TURN over TLS; default: one of its own")
                            ->type_name("FILE");
    auto* key = app.add_option("--tls-key", words.key, "the key of that certificate, PEM")->type_name("FILE");
    certificate->needs(key);
    key->needs(certificate);
}

void add_lifetime_options(CLI::App& app, Words& words) {
    const auto seconds = [&app](const char* name, int& into, const char* what, std::chrono::seconds most) {
        app.add_option(name, into, what)->type_name("SECONDS")->check(CLI::Range(1, static_cast<int>(most.count())));
    };
    seconds("--allocation-lifetime", words.allocation_lifetime,
            "the longest time that a TURN client gets at once; default: 3600", kMaxAllocationLifetime);
    seconds("--nonce-lifetime", words.nonce_lifetime, "how long a TURN client may use one nonce; default: 600",
            kMaxNonceLifetime);
    seconds("--permission-lifetime", words.permission_lifetime,
            "for tests of TURN clients only: RFC 8656 has every permission last 300, and clients rely on it",
            kMaxPermissionLifetime);
    seconds("--channel-lifetime", words.channel_lifetime, "the same for channels, which last 600", kMaxChannelLifetime);
}

void take_server_options(const Words& words, Options& options) {
    for (const auto& text : words.listen) {
        options.listen.push_back(*parse_listen(text));
    }
    for (const auto& text : words.alternate) {
        options.alternate.push_back(*net::Address::parse(text));
    }
    options.data = words.data.empty() ? default_data_folder() : std::filesystem::path{words.data};
    options.log_level = *log::parse_level(words.level);
    if (!words.certificate.empty()) {
        options.tls = TlsFiles{.certificate = words.certificate, .key = words.key};
    }
}

turn::TurnConfig::Lifetimes lifetimes_of(const Words& words) {
    turn::TurnConfig::Lifetimes lifetimes;
    if (words.allocation_lifetime > 0) {
        lifetimes.max_allocation = std::chrono::seconds{words.allocation_lifetime};
        lifetimes.allocation = std::min(lifetimes.allocation, lifetimes.max_allocation);
    }
    if (words.permission_lifetime > 0) {
        lifetimes.permission = std::chrono::seconds{words.permission_lifetime};
    }
    if (words.channel_lifetime > 0) {
        lifetimes.channel = std::chrono::seconds{words.channel_lifetime};
    }
    return lifetimes;
}

void take_relay_options(const Words& words, Options& options) {
    auto& relay = options.relay;
    relay.enabled = !words.no_relay;
    relay.lifetimes = lifetimes_of(words);
    if (words.nonce_lifetime > 0) {
        relay.nonce_lifetime = std::chrono::seconds{words.nonce_lifetime};
    }
    if (!words.relay_ports.empty()) {
        relay.ports = *parse_port_range(words.relay_ports);
    }
    for (const auto& text : words.external) {
        relay.external.push_back(*net::Address::parse(text));
    }
    for (const auto& text : words.allow) {
        relay.allow.push_back(*turn::AddressRange::parse(text));
    }
    for (const auto& text : words.users) {
        const auto colon = text.find(':');
        relay.users.push_back({.name = text.substr(0, colon), .password = text.substr(colon + 1)});
    }
    for (const auto& text : words.turn) {
        options.other_relays.push_back(*parse_turn_url(text));
        options.other_relays.back().secret = words.turn_secret;
    }
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

std::optional<PortRange> parse_port_range(std::string_view text) {
    PortRange range;
    const auto* const end = text.data() + text.size();
    const auto low = std::from_chars(text.data(), end, range.first);
    if (low.ec != std::errc{} || low.ptr == end || *low.ptr != '-') {
        return std::nullopt;
    }
    const auto high = std::from_chars(low.ptr + 1, end, range.last);
    const bool whole = high.ec == std::errc{} && high.ptr == end;
    return whole && range.first > kLastPrivilegedPort && range.first <= range.last ? std::optional{range}
                                                                                   : std::nullopt;
}

std::variant<Options, int> parse_options(int argc, char** argv) {
    CLI::App app{"The meeting point of pinhole peers: tells them their addresses and introduces them to each other.",
                 "pinhole-rendezvous"};
    app.footer(
        "Needs no options. Example, on one address, with its key in /var/lib/pinhole:\n"
        "  pinhole-rendezvous --listen 192.0.2.1 --data /var/lib/pinhole\n"
        "Peers then use: pinhole --server 192.0.2.1 …\n"
        "The relay needs UDP and TCP ports 49152-65535 open, too; with fewer of them:\n"
        "  pinhole-rendezvous --relay-ports 50000-51000");
    Words words;
    Options options;
    add_server_options(app, words);
    add_relay_options(app, words);
    add_lifetime_options(app, words);
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
    take_server_options(words, options);
    take_relay_options(words, options);
    if (const auto* problem = check_together(options)) {
        std::cerr << "pinhole-rendezvous: " << problem << "; see pinhole-rendezvous --help\n";
        return kUsage;
    }
    return options;
}

}  // namespace pinhole::rendezvous
