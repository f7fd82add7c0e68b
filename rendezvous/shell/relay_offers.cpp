#include "rendezvous/shell/relay_offers.hpp"

#include "common/base/encoding.hpp"
#include "common/base/limits.hpp"
#include "common/crypto/hash.hpp"
#include "rendezvous/core/turn/authenticator.hpp"

#include <algorithm>
#include <charconv>

namespace pinhole::rendezvous {

namespace {

/// RFC 7065 §3.2: of turns.
constexpr std::uint16_t kTlsPort = 5349;
/// 80 bits of a name: enough that no two peers share an account.
constexpr std::size_t kAccountBytes = 10;

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool whole = result.ec == std::errc{} && result.ptr == text.data() + text.size();
    return whole && port != 0 ? std::optional{port} : std::nullopt;
}

bool is_name(std::string_view host) {
    return !host.empty() && host.size() < limits::kMaxRelayText &&
           std::ranges::all_of(
               host,
               [](char c) {
                   return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                          c == '-' || c == '_';
               });
}

/// HOST, HOST:PORT, [V6] or [V6]:PORT; the default port stays when none is named.
bool parse_authority(std::string_view text, RelayOffer& into) {
    auto port = std::string_view{};
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        const auto address =
            end == std::string_view::npos ? std::nullopt : net::Address::parse(text.substr(1, end - 1));
        if (!address || address->is_v4()) {
            return false;
        }
        into.host = address->text();
        port = text.substr(end + 1);
    } else {
        const auto colon = text.find(':');
        into.host = text.substr(0, colon);
        port = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
        if (!is_name(into.host)) {
            return false;
        }
    }
    if (port.empty()) {
        return true;
    }
    const auto number = port.starts_with(':') ? parse_port(port.substr(1)) : std::nullopt;
    into.port = number.value_or(0);
    return number.has_value();
}

/// What stands for the peer in user names: the same for each of its connections, and nothing to those who read along.
std::string account_of(const crypto::PeerId& peer, const std::string& secret) {
    const crypto::SecretKey key{crypto::blake2b(as_bytes(secret))};
    const auto digest = crypto::derive_key(key, peer.text());
    return to_base32(digest.view().first(kAccountBytes));
}

}  // namespace

std::optional<RelayOffer> parse_turn_url(std::string_view url) {
    RelayOffer offer;
    if (url.starts_with("turns:")) {
        url.remove_prefix(6);
        offer.tls = true;
        offer.port = kTlsPort;
    } else if (url.starts_with("turn:")) {
        url.remove_prefix(5);
        offer.udp = offer.tcp = true;
        offer.port = limits::kServerPort;
    } else {
        return std::nullopt;
    }
    const auto query = url.find('?');
    const auto transport = query == std::string_view::npos ? std::string_view{} : url.substr(query);
    if (transport == "?transport=udp" && !offer.tls) {
        offer.tcp = false;
    } else if (transport == "?transport=tcp") {
        offer.udp = false;
    } else if (!transport.empty()) {
        return std::nullopt;
    }
    return parse_authority(url.substr(0, query), offer) ? std::optional{offer} : std::nullopt;
}

std::string relay_secret(const crypto::KeyPair& keys) {
    const auto secret = crypto::derive_key(keys.secret, "pinhole relay credentials");
    return to_base32(secret.view());
}

signaling::Relays relays_for(const std::vector<RelayOffer>& offers, const crypto::PeerId& peer,
                             std::chrono::seconds unix_time) {
    const auto expiry = unix_time + std::chrono::duration_cast<std::chrono::seconds>(kCredentialLifetime);
    signaling::Relays result;
    for (const auto& offer : offers) {
        auto username = turn::rest_username(expiry, account_of(peer, offer.secret));
        auto password = turn::rest_password(offer.secret, username);
        result.relays.push_back({.host = offer.host,
                                 .port = offer.port,
                                 .udp = offer.udp,
                                 .tcp = offer.tcp,
                                 .tls = offer.tls,
                                 .username = std::move(username),
                                 .password = std::move(password),
                                 .lifetime = kCredentialLifetime,
                                 .certificate = offer.certificate});
    }
    return result;
}

}  // namespace pinhole::rendezvous
