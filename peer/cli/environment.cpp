#include "peer/cli/environment.hpp"

#include "common/base/encoding.hpp"
#include "common/base/limits.hpp"
#include "common/base/log.hpp"
#include "peer/store/errors.hpp"

#include <algorithm>

namespace pinhole::cli {

std::optional<ServerAddress> parse_server(const std::string& text) {
    const auto slash = text.find('/');
    const auto host = net::parse_host_port(text.substr(0, slash), limits::kServerPort);
    if (!host) {
        return std::nullopt;
    }
    ServerAddress server{.host = *host, .key = {}};
    if (slash != std::string::npos) {
        const auto bytes = from_base32(text.substr(slash + 1));
        if (!bytes || bytes->size() != server.key.emplace().size()) {
            return std::nullopt;
        }
        std::ranges::copy(*bytes, server.key->begin());
    }
    return server;
}

Result<Environment> Environment::open(const GlobalOptions& options, Output& output,
                                      std::chrono::steady_clock::time_point started) {
    if (!crypto::initialize()) {
        return fail(pinhole::make_error_code(pinhole::Errc::not_supported), "libsodium");
    }
    auto home = peer_store::Home::open(options.home);
    if (!home) {
        return std::unexpected(home.error());
    }
    crypto::SystemRng rng;
    auto identity = peer_store::load_or_create_identity(*home, rng);
    if (!identity) {
        return std::unexpected(identity.error());
    }
    auto database = peer_store::PeerDatabase::open(*home);
    if (!database) {
        return std::unexpected(database.error());
    }
    return Environment{options, output, *std::move(identity), *std::move(database), started};
}

std::int64_t Environment::elapsed_ms() const {
    const auto elapsed = std::chrono::steady_clock::now() - started_;
    return std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count();
}

Result<ServerAddress> Environment::server() {
    auto settings = database_.settings();
    std::string text;
    if (options_.server) {
        text = *options_.server;
    } else {
        auto remembered = settings.server();
        if (!remembered) {
            return std::unexpected(remembered.error());
        }
        if (!*remembered) {
            return fail(pinhole::make_error_code(pinhole::Errc::invalid_argument),
                        "no rendezvous server is known; name one with --server HOST[:PORT]");
        }
        text = **remembered;
    }
    auto server = parse_server(text);
    if (!server) {
        return fail(pinhole::make_error_code(pinhole::Errc::invalid_argument),
                    "--server " + text + " is not HOST[:PORT][/KEY]");
    }
    if (!server->key) {
        auto pin = settings.server_pin(server->text());
        if (!pin) {
            return std::unexpected(pin.error());
        }
        server->key = *pin;
    }
    return *std::move(server);
}

void Environment::remember_server(const ServerAddress& server, const crypto::Key32& key) {
    auto settings = database_.settings();
    for (const auto& status : {settings.set_server(server.text()), settings.set_server_pin(server.text(), key)}) {
        if (!status) {
            log::warn("cannot remember the server: {}", status.error().message());
        }
    }
}

Result<peer_store::Contact> Environment::contact(const std::string& name_or_id) {
    auto found = database_.contacts().find(name_or_id);
    if (!found) {
        return std::unexpected(found.error());
    }
    if (!*found) {
        return fail(peer_store::make_error_code(peer_store::Errc::unknown_contact), printable(name_or_id));
    }
    return **std::move(found);
}

std::string Environment::name_of(const crypto::PeerId& id) {
    const auto found = database_.contacts().find(id);
    return found && *found ? (*found)->name : id.text();
}

}  // namespace pinhole::cli
