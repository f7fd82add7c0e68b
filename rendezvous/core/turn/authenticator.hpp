// Who may use the relay: long-term credentials (RFC 8489 §9.2) of users with a password of their own, and of whoever
// has time-limited ones made with a shared secret, "EXPIRY:NAME" and base64(HMAC-SHA1(secret, username)), as coturn's
// use-auth-secret has it. Nonces carry their time and are bound to the source address by a MAC, so that nothing is kept
// about strangers. Knows neither allocations nor what may be relayed.
#pragma once

#include "common/base/rng.hpp"
#include "common/base/time.hpp"
#include "common/crypto/keys.hpp"
#include "common/net/endpoint.hpp"
#include "common/stun/builder.hpp"
#include "common/stun/message.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pinhole::turn {

/// The username of time-limited credentials. `expiry` in seconds of Unix time.
[[nodiscard]] std::string rest_username(std::chrono::seconds expiry, std::string_view name);
[[nodiscard]] std::string rest_password(std::string_view secret, std::string_view username);

enum class IntegrityKind : std::uint8_t { sha1, sha256 };

/// The key of long-term credentials: 16 bytes of MD5 or 32 of SHA-256.
struct IntegrityKey {
    std::array<std::uint8_t, 32> bytes{};
    std::uint8_t size = 0;

    [[nodiscard]] ByteView view() const { return ByteView{bytes}.first(size); }
};

/// How an answer is protected (RFC 8489 §9.2.4).
struct Protection {
    IntegrityKind kind = IntegrityKind::sha1;
    IntegrityKey key;
    bool fingerprint = false;
};

/// A request whose sender has proved who it is.
struct Authenticated {
    /// Whom allocations and bytes are counted for: time-limited credentials of one NAME are one account, whatever their
    /// expiry, so that a client goes on with fresh ones.
    std::string account;
    std::string username;
    /// Time-limited credentials past their time: good for what was made with them only.
    bool expired = false;
    Protection protection;
};

class Authenticator {
  public:
    struct User {
        std::string name;
        std::string password;
    };

    struct Config {
        std::string realm = "pinhole";
        /// All of them are good, so that a secret can be changed while clients have credentials of the old one.
        std::vector<std::string> secrets{};
        std::vector<User> users{};
        /// RFC 8656 §5: at most an hour. A client pays one round trip for a new one.
        Duration nonce_lifetime = 10min;
        /// Unix time of a steady point: for the expiry of time-limited credentials.
        std::chrono::seconds unix_time{};
        TimePoint unix_time_at{};
    };

    /// `rng` makes the key of nonces and is not kept.
    Authenticator(const Config& config, Rng& rng);

    /// The clock of the system has been set.
    void set_unix_time(std::chrono::seconds unix_time, TimePoint at);

    /// 400, 401 or 438 where it is not good (RFC 8489 §9.2.4). A nonce is good for all ports of the host that got it: a
    /// client's connections of RFC 6062 begin with the one that it has.
    [[nodiscard]] std::expected<Authenticated, std::uint16_t> authenticate(const stun::MessageView& request,
                                                                           const net::Address& source,
                                                                           TimePoint now) const;
    /// REALM, NONCE and PASSWORD-ALGORITHMS, for answers with 401 and 438.
    void challenge(stun::MessageBuilder& answer, const net::Endpoint& source, TimePoint now) const;

  private:
    struct Secret {
        std::string account;
        std::string password;
        bool expired = false;
    };

    [[nodiscard]] std::string nonce(const net::Endpoint& source, std::uint32_t second) const;
    [[nodiscard]] bool is_fresh(std::string_view nonce, const net::Address& source, TimePoint now) const;
    [[nodiscard]] std::string cookie() const;
    /// Passwords that this name may have; empty: unknown.
    [[nodiscard]] std::vector<Secret> secrets_of(std::string_view username, TimePoint now) const;
    /// The name in clear, also where the request shows its hash only.
    [[nodiscard]] std::optional<std::string> username_of(const stun::MessageView& request) const;

    Config config_;
    crypto::SecretKey nonce_key_;
    std::vector<stun::Userhash> userhashes_;
};

}  // namespace pinhole::turn
