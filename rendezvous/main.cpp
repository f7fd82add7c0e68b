// pinhole-rendezvous, the server's program: options, key, listeners, then it serves until it is told to stop.
#include "common/base/encoding.hpp"
#include "common/base/limits.hpp"
#include "common/io/interfaces.hpp"
#include "rendezvous/options.hpp"
#include "rendezvous/shell/history_store.hpp"
#include "rendezvous/shell/key_file.hpp"
#include "rendezvous/shell/service.hpp"

#include <csignal>
#include <exception>
#include <iostream>
#include <string>
#include <tuple>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/resource.h>

namespace pinhole::rendezvous {
namespace {

constexpr int kFailure = 1;

/// One descriptor a connection; the usual soft limit of 1024 is for programs that use select().
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void print_line(const std::string& line) {
    std::cout << line << '\n' << std::flush;
}

std::string dump(const nlohmann::ordered_json& event) {
    return event.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

int fail_with(const Options& options, const char* code, const std::string& message, const std::string& hint) {
    std::cerr << "pinhole-rendezvous: " << message << (hint.empty() ? "" : "; ") << hint << '\n';
    if (options.json) {
        nlohmann::ordered_json event{{"event", "error"}, {"code", code}, {"message", message}};
        if (!hint.empty()) {
            event["hint"] = hint;
        }
        print_line(dump(event));
    }
    return kFailure;
}

/// All addresses of both families; a machine without one of them serves the other.
const std::vector<net::Endpoint> kEverywhere{
    {.address = net::Address::any(net::Family::v6), .port = limits::kServerPort},
    {.address = net::Address::any(net::Family::v4), .port = limits::kServerPort}};

/// One family may be missing, unless it was asked for with --alternate.
Status listen_everywhere(Service& service, const Place& v6, const Place& v4) {
    const auto first = service.listen(v6);
    if (!first && (v6.alternate || first.error().code == std::errc::address_in_use)) {
        return first;
    }
    const auto second = service.listen(v4);
    const bool expendable = !v4.alternate && !second && second.error().code != std::errc::address_in_use;
    return first && expendable ? Status{} : second;
}

Status listen_as_asked(Service& service, const Options& options, const std::vector<Place>& places) {
    if (options.listen.empty()) {
        return listen_everywhere(service, places.front(), places.back());
    }
    for (const auto& place : places) {
        if (auto status = service.listen(place); !status) {
            return status;
        }
    }
    return {};
}

std::string hint_for(const std::error_code& code, bool has_alternate) {
    if (code == std::errc::address_in_use) {
        return "try another port with --listen ADDR:PORT, or stop what listens there";
    }
    if (code == std::errc::permission_denied) {
        return "try a port above 1023 with --listen ADDR:PORT";
    }
    return has_alternate ? "--listen and --alternate take addresses of this machine"
                         : "try an address of this machine with --listen ADDR";
}

/// `key` is what peers pin: the Noise static public key in base32.
void announce(const Service& service, const std::string& key, bool json) {
    std::vector<std::string> addresses;
    std::string list;
    for (const auto& endpoint : service.listening()) {
        addresses.push_back(endpoint.text());
        list += (list.empty() ? "" : ", ") + endpoint.text();
    }
    if (json) {
        print_line(dump({{"event", "ready"}, {"listen", addresses}, {"key", key}}));
    } else {
        print_line("listening on " + list + ", key " + key);
    }
}

int serve(const Options& options) {
    if (!crypto::initialize()) {
        return fail_with(options, "no-randomness", "the system gives no randomness", "");
    }
    if (options.data.empty()) {
        return fail_with(options, "no-data-folder", "there is no home folder to keep the server key in",
                         "say where with --data DIR");
    }
    crypto::SystemRng rng;
    const auto identity = load_or_create_key(options.data, rng);
    if (!identity) {
        return fail_with(options, "key", identity.error().message(), "");
    }
    const auto places =
        plan_places(options.listen.empty() ? kEverywhere : options.listen, options.alternate, io::local_addresses());
    if (!places) {
        return fail_with(options, "alternate", places.error().message(), "");
    }
    auto tls = make_tls(options.tls);
    if (!tls) {
        return fail_with(options, "tls", tls.error().message(), "");
    }
    HistoryStore history{options.data};
    Service service{
        identity->noise_keys(), rng, {.relay = options.relay, .others = options.other_relays, .tls = *std::move(tls)}};
    service.keep_history(history);
    if (const auto status = listen_as_asked(service, options, *places); !status) {
        return fail_with(options, "cannot-listen", "cannot listen on " + status.error().message(),
                         hint_for(status.error().code, !options.alternate.empty()));
    }
    service.open_second_ports();
    announce(service, to_base32(identity->noise_keys().public_key), options.json);
    service.run();
    return 0;
}

}  // namespace
}  // namespace pinhole::rendezvous

int main(int argc, char** argv) {
    using namespace pinhole::rendezvous;
    std::ignore = std::signal(SIGPIPE, SIG_IGN);  // a reader of our log that went away is no reason to stop
    try {
        const auto parsed = parse_options(argc, argv);
        if (const auto* code = std::get_if<int>(&parsed)) {
            return *code;
        }
        const auto& options = std::get<Options>(parsed);
        pinhole::log::set_level(options.log_level);
        raise_descriptor_limit();
        return serve(options);
    } catch (const std::exception& error) {
        std::cerr << "pinhole-rendezvous: " << error.what() << '\n';
        return kFailure;
    }
}
