// The long-term credential mechanism as a client uses it (RFC 8489 §9.2): what proves to a relay that we may ask, and
// that an answer is its own. Knows no requests; TurnClient drives it.
#pragma once

#include "common/stun/builder.hpp"
#include "common/stun/digest.hpp"
#include "common/stun/message.hpp"

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
};

class Authenticator {
  public:
    Authenticator(Credentials credentials, std::optional<Challenge> challenge);

    /// Counts from the next request on.
    void replace(Credentials credentials);
    void handle_challenge(Challenge challenge);

    /// Appends USERNAME, REALM, NONCE and MESSAGE-INTEGRITY; nothing as long as the relay has not challenged us.
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
    stun::Md5 key_{};
};

/// REALM and NONCE of a 401 or 438, if both are there and no longer than RFC 8489 §14.9 and §14.10 allow.
[[nodiscard]] std::optional<Challenge> challenge_of(const stun::MessageView& answer);

}  // namespace pinhole::relay
