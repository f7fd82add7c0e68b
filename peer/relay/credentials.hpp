// The long-term credential mechanism as a client uses it (RFC 8489 §9.2): what proves to a relay that we may ask, and
// that an answer is its own. With SHA-256 where the relay offers it, and then with nothing less. Knows no requests;
// TurnClient drives it.
#pragma once

#include "common/stun/builder.hpp"
#include "common/stun/message.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

namespace pinhole::relay {

struct Credentials {
    std::string username;
    std::string password;

    friend bool operator==(const Credentials&, const Credentials&) = default;
};

/// What a relay asks to be repeated to it. As long as the relay takes the nonce, a new allocation saves the round trip
/// that asks for one.
struct Challenge {
    std::string realm;
    std::string nonce;
    /// What we use of PASSWORD-ALGORITHMS; nullopt: the relay knows nothing but MD5 and SHA-1.
    std::optional<stun::PasswordAlgorithm> algorithm{};
    /// The value of PASSWORD-ALGORITHMS, for the relay to see that it is its own.
    Bytes offered{};
};

/// Why a 401 or 438 cannot be answered.
enum class Unusable : std::uint8_t {
    incomplete,  ///< REALM or NONCE is missing, or longer than RFC 8489 §14.9 and §14.10 allow
    tampered,    ///< the nonce says that there are algorithms to choose from, and somebody has taken them away (§9.2.5)
    unknown      ///< none of the algorithms is one of ours
};

class Authenticator {
  public:
    Authenticator(Credentials credentials, std::optional<Challenge> challenge);

    /// Counts from the next request on.
    void replace(Credentials credentials);
    void handle_challenge(Challenge challenge);
    /// It asks for less than the one before: not what the same relay would do.
    [[nodiscard]] bool weakened_by(const Challenge& challenge) const;

    /// Appends USERNAME, REALM, NONCE, the algorithm and MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256; nothing as long
    /// as the relay has not challenged us.
    void sign(stun::MessageBuilder& request) const;
    /// The answer was made by who knows the password. Without a challenge there is no key, so nothing is.
    [[nodiscard]] bool authentic(const stun::MessageView& answer) const;

    [[nodiscard]] bool challenged() const { return challenge_.has_value(); }

    [[nodiscard]] const std::optional<Challenge>& challenge() const { return challenge_; }

    [[nodiscard]] const Credentials& credentials() const { return credentials_; }

  private:
    void derive();

    Credentials credentials_;
    std::optional<Challenge> challenge_;
    Bytes key_;
};

/// Of a 401 or 438.
[[nodiscard]] std::expected<Challenge, Unusable> challenge_of(const stun::MessageView& answer);

}  // namespace pinhole::relay
