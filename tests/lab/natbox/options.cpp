#include "tests/lab/natbox/options.hpp"

#include "tests/lab/natbox/link_settings.hpp"

#include <algorithm>
#include <deque>
#include <utility>

#include <CLI/CLI.hpp>

namespace pinhole::natbox {

namespace {

constexpr auto kAbout =
    "An emulated network of NATs, routers and links between real network namespaces, over TUN devices.\n"
    "Prints one line of JSON when it is ready and serves until stdin ends, SIGINT or SIGTERM.";

constexpr auto kExample = R"(Example, as root:
  ip netns add alice; ip netns add bob
  natbox --topology two-homes.toml --host alice=/run/netns/alice --host bob=/run/netns/bob

Commands on stdin, one a line, each answered by one line, "ok" or "error: why":
  rebind NAT                          a reboot: all mappings are gone, new ones get other ports
  expire NAT                          all idle timers run out
  block NAT udp|tcp                   and unblock NAT udp|tcp
  link HOST|NAT up|down|both KEY=VALUE…
                                      as in a topology; up=false cuts the line
  cut HOST|NAT HOST|NAT               two neighbours do not reach each other any more; restore, as before
  background NAT RATE                 new mappings per second by other traffic
  move HOST NAT|internet              plugs a host in elsewhere: it gets a new address
  stats                               answered by one line of JSON)";

constexpr auto kLinkAbout = "One line between two devices, for routers that are real kernels.";

constexpr auto kLinkFooter = R"(It assigns no addresses. Prints "ready" and serves until stdin ends, SIGINT or SIGTERM.
Commands on stdin: link up|down|both KEY=VALUE…, stats.)";

/// Cut at the first or last `separator`, with something on both sides.
bool cut(const std::string& text, std::size_t at, std::string& before, std::string& after) {
    if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
        return false;
    }
    before = text.substr(0, at);
    after = text.substr(at + 1);
    return true;
}

/// The words of the command line, before they mean anything.
struct Words {
    struct Setting {
        std::string option;
        std::string_view key;
        bool up = true;
        bool down = true;
        std::string value;
    };

    std::vector<std::string> hosts;
    std::string a;
    std::string b;
    /// CLI11 writes into them, so they stay where they are.
    std::deque<Setting> settings;
};

void add_network(CLI::App& app, NetworkOptions& options, Words& words) {
    app.add_option("--topology", options.topology, "TOML file; its format is README.md of tests/lab")
        ->type_name("FILE");
    app.add_option("--host", words.hosts,
                   "a host of the topology and its network namespace; those not named are not there")
        ->type_name("NAME=NETNS_PATH");
    app.add_option("--device", options.device, "name of the TUN device in each")
        ->type_name("NAME")
        ->capture_default_str();
    app.add_option("--capture", options.capture, "writes HOST.pcap there")->type_name("FOLDER");
    app.add_option("--snaplen", options.snap_length, "bytes of each packet in a capture")
        ->capture_default_str()
        ->check(CLI::Range(64, 65535))
        ->type_name("BYTES");
}

CLI::Option* add_setting(CLI::App& app, Words& words, const LinkKey& key, const char* direction) {
    std::string option = std::string("--") + direction + std::string(key.name);
    std::ranges::replace(option, '_', '-');
    const std::string_view only{direction};
    auto& setting = words.settings.emplace_back(option, key.name, only != "down-", only != "up-");
    return app.add_option(option, setting.value, key.value)->type_name("");
}

void add_link(CLI::App& app, LinkOptions& options, Words& words) {
    app.footer(kLinkFooter);
    app.add_option("--a", words.a, "one end")->required()->type_name("NETNS_PATH:INTERFACE");
    app.add_option("--b", words.b, "the other")->required()->type_name("NETNS_PATH:INTERFACE");
    app.add_option("--seed", options.seed, "of every draw of chance")->type_name("N")->capture_default_str();
    for (const auto& key : link_keys()) {
        // `--up` would read as a direction, and a line that is down from the beginning has no use.
        if (key.name == "up") {
            continue;
        }
        add_setting(app, words, key, "")
            ->group("Both directions, or as --up-… from a to b only and as --down-… from b to a");
        add_setting(app, words, key, "up-")->group("");
        add_setting(app, words, key, "down-")->group("");
    }
}

void read_hosts(const Words& words, NetworkOptions& options) {
    for (const auto& word : words.hosts) {
        NamedNamespace host;
        if (!cut(word, word.find('='), host.name, host.netns)) {
            throw CLI::ValidationError("--host", "a host is NAME=NETNS_PATH, not " + word);
        }
        options.hosts.push_back(host);
    }
    if (options.topology.empty() || options.hosts.empty()) {
        throw CLI::RequiredError("--topology and at least one --host");
    }
}

NamedNamespace read_end(const char* option, const std::string& word) {
    NamedNamespace end;
    if (!cut(word, word.rfind(':'), end.netns, end.name)) {
        throw CLI::ValidationError(option, "an end is NETNS_PATH:INTERFACE, not " + word);
    }
    return end;
}

void read_link(const Words& words, LinkOptions& options) {
    options.a = read_end("--a", words.a);
    options.b = read_end("--b", words.b);
    const auto apply = [](const Words::Setting& setting, bool wanted, lab::LinkConfig& link) {
        if (!wanted) {
            return;
        }
        if (const auto status = set_link(link, setting.key, setting.value); !status) {
            throw CLI::ValidationError(setting.option, status.error().detail);
        }
    };
    for (const auto& setting : words.settings) {
        apply(setting, setting.up && !setting.value.empty(), options.link.up);
        apply(setting, setting.down && !setting.value.empty(), options.link.down);
    }
}

}  // namespace

std::variant<Options, int> parse_options(int argc, char** argv) {
    CLI::App app{kAbout, "natbox"};
    app.footer(kExample);
    NetworkOptions network;
    LinkOptions link;
    Words words;
    add_network(app, network, words);
    auto* link_app = app.add_subcommand("link", kLinkAbout);
    add_link(*link_app, link, words);
    try {
        app.parse(argc, argv);
        if (link_app->parsed()) {
            read_link(words, link);
            return Options{link};
        }
        read_hosts(words, network);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    return Options{network};
}

}  // namespace pinhole::natbox
