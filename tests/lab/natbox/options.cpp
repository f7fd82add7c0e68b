#include "tests/lab/natbox/options.hpp"

#include "tests/lab/natbox/link_settings.hpp"

#include <algorithm>
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

CLI::Option* add_end(CLI::App& app, const char* name, NamedNamespace& end, const char* about) {
    return app
        .add_option_function<std::string>(
            name,
            [&end, name](const std::string& text) {
                if (!cut(text, text.rfind(':'), end.netns, end.name)) {
                    throw CLI::ValidationError(name, "an end is NETNS_PATH:INTERFACE, not " + text);
                }
            },
            about)
        ->required()
        ->type_name("NETNS_PATH:INTERFACE");
}

CLI::Option* add_setting(CLI::App& app, const std::string& option, const LinkKey& key,
                         std::vector<lab::LinkConfig*> links) {
    return app.add_option_function<std::string>(
        option,
        [links = std::move(links), name = key.name, option](const std::string& value) {
            for (auto* link : links) {
                if (const auto status = set_link(*link, name, value); !status) {
                    throw CLI::ValidationError(option, status.error().detail);
                }
            }
        },
        key.value);
}

void add_link(CLI::App& app, LinkOptions& options) {
    app.footer(kLinkFooter);
    add_end(app, "--a", options.a, "one end");
    add_end(app, "--b", options.b, "the other");
    app.add_option("--seed", options.seed, "of every draw of chance")->type_name("N")->capture_default_str();
    for (const auto& key : link_keys()) {
        // `--up` would read as a direction, and a line that is down from the beginning has no use.
        if (key.name == "up") {
            continue;
        }
        std::string name{key.name};
        std::ranges::replace(name, '_', '-');
        add_setting(app, "--" + name, key, {&options.link.up, &options.link.down})
            ->group("Both directions, or as --up-… from a to b only and as --down-… from b to a")
            ->type_name("");
        add_setting(app, "--up-" + name, key, {&options.link.up})->group("");
        add_setting(app, "--down-" + name, key, {&options.link.down})->group("");
    }
}

void add_network(CLI::App& app, NetworkOptions& options) {
    app.add_option("--topology", options.topology, "TOML file; its format is README.md of tests/lab")
        ->type_name("FILE");
    app.add_option_function<std::vector<std::string>>(
           "--host",
           [&options](const std::vector<std::string>& words) {
               for (const auto& word : words) {
                   NamedNamespace host;
                   if (!cut(word, word.find('='), host.name, host.netns)) {
                       throw CLI::ValidationError("--host", "a host is NAME=NETNS_PATH, not " + word);
                   }
                   options.hosts.push_back(host);
               }
           },
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

}  // namespace

std::variant<Options, int> parse_options(int argc, char** argv) {
    CLI::App app{kAbout, "natbox"};
    app.footer(kExample);
    NetworkOptions network;
    LinkOptions link;
    add_network(app, network);
    auto* link_app = app.add_subcommand("link", kLinkAbout);
    add_link(*link_app, link);
    try {
        app.parse(argc, argv);
        if (link_app->parsed()) {
            return Options{link};
        }
        if (network.topology.empty() || network.hosts.empty()) {
            throw CLI::RequiredError("--topology and at least one --host");
        }
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    return Options{network};
}

}  // namespace pinhole::natbox
