#include "peer/cli/command_line.hpp"

#include "common/base/limits.hpp"
#include "common/base/log.hpp"
#include "peer/cli/chat_command.hpp"
#include "peer/cli/identity_commands.hpp"
#include "peer/cli/netcheck_command.hpp"
#include "peer/cli/ping_command.hpp"
#include "peer/cli/receive_command.hpp"
#include "peer/cli/send_command.hpp"
#include "peer/cli/strategy_list.hpp"
#include "peer/transport/congestion.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>

#include <CLI/CLI.hpp>
#include <sys/resource.h>

namespace pinhole::cli {

namespace {

using Command = std::function<Exit(Environment&)>;

/// Everything that parsing fills in; the chosen command reads it afterwards.
struct CommandLine {
    GlobalOptions global;
    std::string log_level = "warn";
    std::string only;
    std::string without;
    std::string congestion = "bbr";
    bool background = false;
    SendOptions send;
    ReceiveOptions receive;
    ChatOptions chat;
    PingOptions ping;
    NetcheckOptions netcheck;
    std::string lifetime;
    bool no_tcp = false;
    std::string name;
    std::string id;
    Command command;
};

void add_global_options(CLI::App& app, CommandLine& line) {
    app.add_option("--home", line.global.home, "Folder with identity, contacts and database")->type_name("DIR");
    app.add_option("--server", line.global.server,
                   "Rendezvous server; remembered by the first command that connects. KEY pins its public key")
        ->type_name("HOST[:PORT][/KEY]")
        ->check([](const std::string& text) {
            return parse_server(text) ? std::string{} : "'" + text + "' is not HOST[:PORT][/KEY]";
        });
    app.add_option("--bind", line.global.bind, "Use this local address only")
        ->type_name("ADDR")
        ->check([](const std::string& text) {
            return net::Address::parse(text) ? std::string{} : "'" + text + "' is not an IP address";
        });
    auto* only = app.add_option("--only", line.only,
                                "Connect by these strategies only: any of host, reverse, udp, predict, birthday, "
                                "tcp, relay")
                     ->type_name("LIST")
                     ->check([](const std::string& text) {
                         const auto excluded = excluded_by_only(text);
                         return excluded ? std::string{} : excluded.error();
                     });
    app.add_option("--without", line.without, "Do not connect by these strategies")
        ->type_name("LIST")
        ->excludes(only)
        ->check([](const std::string& text) {
            const auto excluded = excluded_by(text);
            return excluded ? std::string{} : excluded.error();
        });
    app.add_option(
           "--congestion", line.congestion,
           "How what is sent shares the line with others: bbr keeps queues short and bears losses, cubic does as "
           "TCP does, ledbat gives way to everything else")
        ->check([](const std::string& text) {
            return transport::congestion_algorithm(text) ? std::string{} : "'" + text + "' is not bbr, cubic or ledbat";
        })
        ->capture_default_str();
    app.add_flag("--json", line.global.json, "Events as JSON, one object a line, on standard output");
    app.add_option("--log-level", line.log_level, "Log on standard error")
        ->check(CLI::IsMember({"error", "warn", "info", "debug", "trace"}))
        ->capture_default_str();
    app.set_version_flag("--version", std::string{"pinhole "} + PINHOLE_VERSION);
}

void add_transfer_commands(CLI::App& app, CommandLine& line) {
    auto* send = app.add_subcommand("send", "Send files and folders to a contact");
    send->footer(
        "Example:\n  pinhole send film.mkv holiday/ --to bob\n  tar c src | pinhole send - --to bob\n"
        "  pinhole send backup.tar --to bob --background");
    send->add_option("PATH", line.send.paths, "Files and folders; - is standard input")->required();
    send->add_option("--to", line.send.to, "Contact, by name or ID")->required()->type_name("NAME|ID");
    send->add_flag("--background", line.background, "Give way to everything else on the line (--congestion ledbat)");
    send->callback([&line] {
        const bool mixed = line.send.paths.size() > 1 && std::ranges::count(line.send.paths, "-") > 0;
        if (mixed) {
            throw CLI::ValidationError("PATH", "- (standard input) cannot be mixed with other paths");
        }
        line.command = [&line](Environment& environment) { return SendCommand{environment, line.send}.execute(); };
    });

    auto* receive = app.add_subcommand("receive", "Wait for files from your contacts");
    receive->footer("Example:\n  pinhole receive --into ~/Downloads\n  pinhole receive --stdout --yes | tar x");
    receive->add_option("--into", line.receive.into, "Folder to store files in")
        ->capture_default_str()
        ->type_name("DIR");
    receive->add_flag("--yes", line.receive.yes, "Accept every offer of a contact without asking");
    receive->add_flag("--once", line.receive.once, "End after one transfer");
    receive->add_flag("--stdout", line.receive.to_stdout, "Write one file to standard output; implies --once");
    receive->callback([&line] {
        if (line.receive.to_stdout && line.global.json) {
            throw CLI::ValidationError("--stdout", "cannot be used with --json: both write to standard output");
        }
        line.command = [&line](Environment& environment) {
            return ReceiveCommand{environment, line.receive}.execute();
        };
    });
}

void add_chat_command(CLI::App& app, CommandLine& line) {
    auto* chat = app.add_subcommand("chat", "Exchange messages with a contact");
    chat->footer("Example:\n  pinhole chat bob\n  echo \"backup done\" | pinhole chat bob");
    chat->add_option("NAME", line.chat.with, "Contact, by name or ID; without it wait for a call")
        ->type_name("NAME|ID");
    chat->add_flag("--wait", line.chat.wait, "Stay after the end of standard input, and wait for the other side");
    chat->callback([&line] {
        line.command = [&line](Environment& environment) { return ChatCommand{environment, line.chat}.execute(); };
    });
}

void add_ping_command(CLI::App& app, CommandLine& line) {
    auto* ping = app.add_subcommand("ping", "Measure round trips to a contact, and say by which path");
    ping->footer("Example:\n  pinhole ping bob --count 3\n  pinhole ping bob --until-direct");
    ping->add_option("NAME", line.ping.to, "Contact, by name or ID")->required()->type_name("NAME|ID");
    auto* count = ping->add_option("--count", line.ping.count, "End after so many answers")
                      ->type_name("N")
                      ->check(CLI::Range(1U, 1'000'000U))
                      ->capture_default_str();
    ping->add_flag("--until-direct", line.ping.until_direct,
                   "End with the first answer over a direct path; without a path, call again until there is one")
        ->excludes(count);
    ping->callback([&line] {
        line.command = [&line](Environment& environment) { return PingCommand{environment, line.ping}.execute(); };
    });
}

void add_netcheck_command(CLI::App& app, CommandLine& line) {
    auto* netcheck = app.add_subcommand("netcheck", "Measure this network and say what it means for connecting");
    netcheck->footer("Example:\n  pinhole netcheck\n  pinhole netcheck --stun stun.example.org --json");
    netcheck
        ->add_option("--stun", line.netcheck.stun,
                     "Measure against this STUN server (RFC 5780) instead of the rendezvous server")
        ->type_name("HOST[:PORT]")
        ->check([](const std::string& text) {
            return net::parse_host_port(text, limits::kServerPort) ? std::string{}
                                                                   : "'" + text + "' is not HOST[:PORT]";
        });
    auto* lifetime =
        netcheck
            ->add_option("--lifetime", line.lifetime,
                         "Also measure how long mappings live without traffic, for up to DURATION (10s to 5min)")
            ->type_name("[DURATION]")
            ->expected(0, 1)
            ->default_str(std::to_string(kDefaultLifetime.count()) + "s")
            ->check([](const std::string& text) {
                return text.empty() || parse_lifetime(text) ? std::string{}
                                                            : "'" + text + "' is not a time from 10s to 5min";
            });
    netcheck->add_flag("--no-tcp", line.no_tcp, "Leave out what can be measured over TCP");
    netcheck->add_flag("--watch", line.netcheck.watch, "Stay, and measure again whenever the network changes");
    netcheck->callback([&line, lifetime] {
        line.netcheck.tcp = !line.no_tcp;
        if (lifetime->count() > 0) {
            line.netcheck.lifetime = parse_lifetime(line.lifetime).value_or(kDefaultLifetime);
        }
        line.command = [&line](Environment& environment) {
            return NetcheckCommand{environment, line.netcheck}.execute();
        };
    });
}

void add_identity_commands(CLI::App& app, CommandLine& line) {
    auto* id = app.add_subcommand("id", "Show this peer's ID and fingerprint words");
    id->footer("Example:\n  pinhole id");
    id->callback([&line] { line.command = show_id; });

    auto* contacts = app.add_subcommand("contacts", "People you exchange files and messages with");
    contacts->footer("Example:\n  pinhole contacts add bob 3q2x...the 52 characters that pinhole id prints there");
    contacts->require_subcommand(1);
    contacts->add_subcommand("list", "Show all contacts")->callback([&line] { line.command = list_contacts; });

    auto* add = contacts->add_subcommand("add", "Add a contact");
    add->add_option("NAME", line.name)->required();
    add->add_option("ID", line.id, "What pinhole id prints there")->required();
    add->callback([&line] {
        line.command = [&line](Environment& environment) { return add_contact(environment, line.name, line.id); };
    });

    auto* remove = contacts->add_subcommand("remove", "Remove a contact");
    remove->add_option("NAME", line.name, "Name or ID")->required();
    remove->callback([&line] {
        line.command = [&line](Environment& environment) { return remove_contact(environment, line.name); };
    });

    auto* rename = contacts->add_subcommand("rename", "Give a contact another name");
    rename->add_option("OLD", line.id, "Name or ID")->required();
    rename->add_option("NEW", line.name)->required();
    rename->callback([&line] {
        line.command = [&line](Environment& environment) { return rename_contact(environment, line.id, line.name); };
    });
}

/// A burst of punching opens some hundred sockets.
constexpr rlim_t kOpenFiles = 1024;

void raise_file_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < kOpenFiles && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

Exit execute(CommandLine& line, std::chrono::steady_clock::time_point started) {
    line.global.without = (line.only.empty() ? excluded_by(line.without) : excluded_by_only(line.only))
                              .value_or(std::vector<net::Strategy>{});
    const auto congestion = transport::congestion_algorithm(line.background ? "ledbat" : line.congestion);
    line.global.congestion = congestion.value_or(line.global.congestion);
    Output output{line.global.json ? Output::Format::json : Output::Format::human};
    auto environment = Environment::open(line.global, output, started);
    if (!environment) {
        output.fail({Exit::failure, "home", environment.error().message(), ""});
        return Exit::failure;
    }
    return line.command(*environment);
}

}  // namespace

int run_command_line(int argc, char** argv) {
    const auto started = std::chrono::steady_clock::now();
    std::ignore = std::signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    CommandLine line;
    CLI::App app{"Send files and chat directly between two machines, encrypted end to end", "pinhole"};
    app.footer("Example:\n  pinhole --server rendezvous.example.org send film.mkv --to bob");
    app.require_subcommand(1);
    app.fallthrough();
    add_global_options(app, line);
    add_transfer_commands(app, line);
    add_chat_command(app, line);
    add_ping_command(app, line);
    add_netcheck_command(app, line);
    add_identity_commands(app, line);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
    }
    log::set_level(*log::parse_level(line.log_level));
    return static_cast<int>(execute(line, started));
}

}  // namespace pinhole::cli
