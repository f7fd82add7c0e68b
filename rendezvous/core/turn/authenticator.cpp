#include "rendezvous/core/turn/authenticator.hpp"

#include "common/base/encoding.hpp"
#include "common/crypto/hash.hpp"
#include "common/stun/integrity.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace pinhole::turn {

namespace {

using stun::AttributeType;
using stun::PasswordAlgorithm;

/// RFC 8489 §9.2: what begins every nonce of a server that knows its section 18.5, followed by 24 bits of features.
constexpr std::string_view kNonceCookie = "obMatJos2";
/// §18.1: bit 0, the most significant one, is "Password algorithms", bit 1 "Username anonymity"; in base64.
constexpr std::string_view kAlgorithms = "gAAA";
constexpr std::string_view kAlgorithmsAndAnonymity = "wAAA";
/// Seconds modulo 194 days, and the port, by which no two clients get the same one (RFC 8489 §9.2.4).
constexpr std::size_t kNonceTime = 3;
constexpr std::uint32_t kNonceSeconds = 0xffffff;
constexpr std::size_t kNoncePort = 2;
/// Enough that nobody hits one: a nonce alone opens nothing.
constexpr std::size_t kNonceMac = 6;
/// RFC 8489 §14.3, §14.9: the longest that a name, or a realm in UTF-8, can be.
constexpr std::size_t kMaxName = 763;

constexpr std::array kOffered{PasswordAlgorithm::sha256, PasswordAlgorithm::md5};

std::uint32_t second_of(TimePoint now) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
    return static_cast<std::uint32_t>(seconds.count()) & kNonceSeconds;
}

/// "EXPIRY:NAME", or "EXPIRY" alone.
struct TimedName {
    std::chrono::seconds expiry{};
    std::string_view name;
};

std::optional<TimedName> timed_name(std::string_view username) {
    const auto colon = username.find(':');
    const auto number = username.substr(0, colon);
    std::int64_t expiry = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), expiry);
    if (error != std::errc{} || end != number.data() + number.size() || expiry < 0) {
        return std::nullopt;
    }
    return TimedName{.expiry = std::chrono::seconds{expiry},
                     .name = colon == std::string_view::npos ? username : username.substr(colon + 1)};
}

template <std::size_t N>
IntegrityKey key_of(const std::array<std::uint8_t, N>& digest) {
    IntegrityKey key{.size = static_cast<std::uint8_t>(N)};
    std::ranges::copy(digest, key.bytes.begin());
    return key;
}

/// RFC 8489 §9.2.4; nullopt: 400.
std::optional<PasswordAlgorithm> algorithm_of(const stun::MessageView& request) {
    const bool chooses = request.has(AttributeType::password_algorithm);
    const bool repeats = request.has(AttributeType::password_algorithms);
    if (!chooses && !repeats) {
        return PasswordAlgorithm::md5;
    }
    const auto algorithm = request.password_algorithm();
    if (!algorithm || !std::ranges::equal(request.password_algorithms(), kOffered) ||
        std::ranges::find(kOffered, *algorithm) == kOffered.end()) {
        return std::nullopt;
    }
    return algorithm;
}

bool verify(const stun::MessageView& request, const IntegrityKey& key) {
    return request.integrity_sha256() ? stun::verify_integrity_sha256(request, key.view())
                                      : stun::verify_integrity(request, key.view());
}

}  // namespace

std::string rest_username(std::chrono::seconds expiry, std::string_view name) {
    return std::to_string(expiry.count()).append(":").append(name);
}

std::string rest_password(std::string_view secret, std::string_view username) {
    return to_base64(stun::hmac_sha1(as_bytes(secret), as_bytes(username)));
}

Authenticator::Authenticator(const Config& config, Rng& rng) : config_(config) {
    rng.fill(nonce_key_.mutable_view());
    for (const auto& user : config_.users) {
        userhashes_.push_back(stun::userhash(user.name, config_.realm));
    }
}

void Authenticator::set_unix_time(std::chrono::seconds unix_time, TimePoint at) {
    config_.unix_time = unix_time;
    config_.unix_time_at = at;
}

std::string Authenticator::cookie() const {
    // Names of time-limited credentials are made elsewhere, so that nobody can be found by the hash of one.
    const bool anonymity = config_.secrets.empty() && !config_.users.empty();
    return std::string{kNonceCookie}.append(anonymity ? kAlgorithmsAndAnonymity : kAlgorithms);
}

std::string Authenticator::nonce(const net::Endpoint& source, std::uint32_t second) const {
    Bytes body{static_cast<std::uint8_t>(second >> 16), static_cast<std::uint8_t>(second >> 8),
               static_cast<std::uint8_t>(second), static_cast<std::uint8_t>(source.port >> 8),
               static_cast<std::uint8_t>(source.port)};
    auto text = body;
    const auto address = source.address.unmapped();
    text.insert(text.end(), address.bytes().begin(), address.bytes().end());
    const auto mac = stun::hmac_sha256(nonce_key_.view(), text);
    body.insert(body.end(), mac.begin(), mac.begin() + kNonceMac);
    return cookie().append(to_base32(body));
}

bool Authenticator::is_fresh(std::string_view text, const net::Address& source, TimePoint now) const {
    const auto prefix = cookie();
    if (!text.starts_with(prefix)) {
        return false;
    }
    const auto body = from_base32(text.substr(prefix.size()));
    if (!body || body->size() != kNonceTime + kNoncePort + kNonceMac) {
        return false;
    }
    const auto& bytes = *body;
    const auto second = static_cast<std::uint32_t>(bytes[0] << 16 | bytes[1] << 8 | bytes[2]);
    const net::Endpoint given{.address = source, .port = static_cast<std::uint16_t>(bytes[3] << 8 | bytes[4])};
    // A time that is still to come is far in the past.
    const std::chrono::seconds age{(second_of(now) - second) & kNonceSeconds};
    return age <= config_.nonce_lifetime && crypto::equal_constant_time(as_bytes(nonce(given, second)), as_bytes(text));
}

void Authenticator::challenge(stun::MessageBuilder& answer, const net::Endpoint& source, TimePoint now) const {
    answer.text(AttributeType::realm, config_.realm)
        .text(AttributeType::nonce, nonce(source, second_of(now)))
        .password_algorithms(kOffered);
}

std::optional<std::string> Authenticator::username_of(const stun::MessageView& request) const {
    if (const auto name = request.username()) {
        return std::string{*name};
    }
    const auto hash = request.userhash();
    for (std::size_t i = 0; hash && i < userhashes_.size(); ++i) {
        if (userhashes_[i] == *hash) {
            return config_.users[i].name;
        }
    }
    return std::nullopt;
}

std::vector<Authenticator::Secret> Authenticator::secrets_of(std::string_view username, TimePoint now) const {
    std::vector<Secret> found;
    for (const auto& user : config_.users) {
        if (user.name == username) {
            found.push_back({.account = "user:" + user.name, .password = user.password});
        }
    }
    const auto timed = timed_name(username);
    if (!timed || !found.empty()) {
        return found;
    }
    const auto unix_now =
        config_.unix_time + std::chrono::duration_cast<std::chrono::seconds>(now - config_.unix_time_at);
    for (const auto& secret : config_.secrets) {
        found.push_back({.account = std::string{"peer:"}.append(timed->name),
                         .password = rest_password(secret, username),
                         .expired = timed->expiry <= unix_now});
    }
    return found;
}

// RFC 8489 §9.2.4. The nonce is judged before the rest, because it costs one MAC and proves that answers arrive where
// the request says that it came from.
std::expected<Authenticated, std::uint16_t> Authenticator::authenticate(const stun::MessageView& request,
                                                                        const net::Address& source,
                                                                        TimePoint now) const {
    constexpr std::uint16_t kBad = 400;
    constexpr std::uint16_t kUnauthorized = 401;
    constexpr std::uint16_t kStale = 438;
    if (!request.integrity() && !request.integrity_sha256()) {
        return std::unexpected{kUnauthorized};
    }
    const auto realm = request.realm();
    const auto nonce = request.nonce();
    const bool named = request.has(AttributeType::username) || request.has(AttributeType::userhash);
    if (!named || !realm || !nonce || realm->size() > kMaxName || request.username().value_or("").size() > kMaxName) {
        return std::unexpected{kBad};
    }
    if (!is_fresh(*nonce, source, now)) {
        return std::unexpected{kStale};
    }
    const auto algorithm = algorithm_of(request);
    if (!algorithm) {
        return std::unexpected{kBad};
    }
    const auto username = username_of(request);
    if (!username || *realm != config_.realm) {
        return std::unexpected{kUnauthorized};
    }
    // §9.2.4: answers are protected with SHA-256 for whoever knows of algorithms.
    Protection protection{
        .kind = request.has(AttributeType::password_algorithm) ? IntegrityKind::sha256 : IntegrityKind::sha1,
        .key = {},
        .fingerprint = request.fingerprint().has_value()};
    for (auto& secret : secrets_of(*username, now)) {
        protection.key = *algorithm == PasswordAlgorithm::sha256
                             ? key_of(stun::long_term_key_sha256(*username, *realm, secret.password))
                             : key_of(stun::long_term_key(*username, *realm, secret.password));
        if (verify(request, protection.key)) {
            return Authenticated{.account = std::move(secret.account),
                                 .username = *username,
                                 .expired = secret.expired,
                                 .protection = protection};
        }
    }
    return std::unexpected{kUnauthorized};
}

}  // namespace pinhole::turn
