#include "common/signaling/relay_codec.hpp"

#include "common/base/limits.hpp"
#include "common/signaling/text.hpp"
#include "rendezvous.pb.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace pinhole::signaling {

namespace {

namespace pb = rendezvous::v1;
using std::chrono::duration_cast;

constexpr std::uint32_t kMaxPort = 65535;

std::unexpected<Error> malformed(const char* what) {
    return fail(Errc::malformed, what);
}

bool is_credential(const std::string& text) {
    return !text.empty() && is_text(text, limits::kMaxRelayText);
}

/// What names and addresses are made of; nothing that a resolver, a URL or a terminal would take for something else.
bool is_host(const std::string& text) {
    return text.size() <= limits::kMaxRelayText && std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                      c == ':' || c == '-' || c == '_';
           });
}

void put(const Relay& from, pb::Relay& to) {
    to.set_host(from.host);
    to.set_port(from.port);
    to.set_udp(from.udp);
    to.set_tcp(from.tcp);
    to.set_tls(from.tls);
    to.set_username(from.username);
    to.set_password(from.password);
    to.set_lifetime_s(static_cast<std::uint32_t>(duration_cast<std::chrono::seconds>(from.lifetime).count()));
    if (from.certificate) {
        to.set_certificate(from.certificate->data(), from.certificate->size());
    }
}

Status get_certificate(const std::string& from, Relay& to) {
    if (from.empty()) {
        return {};
    }
    auto& digest = to.certificate.emplace();
    if (from.size() != digest.size()) {
        return malformed("relay certificate");
    }
    std::ranges::copy(as_bytes(from), digest.begin());
    return {};
}

Result<Relay> to_relay(const pb::Relay& from) {
    // A host goes with a port, and this server with the port that the peer knows already.
    if (!is_host(from.host()) || from.port() > kMaxPort || from.host().empty() != (from.port() == 0)) {
        return malformed("relay address");
    }
    if (!from.udp() && !from.tcp() && !from.tls()) {
        return malformed("relay transport");
    }
    if (!is_credential(from.username()) || !is_credential(from.password())) {
        return malformed("relay credentials");
    }
    const std::chrono::seconds lifetime{from.lifetime_s()};
    if (lifetime <= 0s || lifetime > limits::kMaxRelayLifetime) {
        return malformed("relay lifetime");
    }
    Relay relay{.host = from.host(),
                .port = static_cast<std::uint16_t>(from.port()),
                .udp = from.udp(),
                .tcp = from.tcp(),
                .tls = from.tls(),
                .username = from.username(),
                .password = from.password(),
                .lifetime = lifetime};
    if (auto status = get_certificate(from.certificate(), relay); !status) {
        return std::unexpected(status.error());
    }
    return relay;
}

}  // namespace

void put_relays(const Relays& from, pb::Relays& to) {
    for (const auto& relay : from.relays) {
        put(relay, *to.add_relays());
    }
}

Result<Relays> to_relays(const pb::Relays& from) {
    if (std::cmp_greater(from.relays_size(), limits::kMaxRelays)) {
        return fail(Errc::too_large, "relays");
    }
    Relays result;
    for (const auto& item : from.relays()) {
        auto relay = to_relay(item);
        if (!relay) {
            return std::unexpected(relay.error());
        }
        result.relays.push_back(*std::move(relay));
    }
    return result;
}

}  // namespace pinhole::signaling
