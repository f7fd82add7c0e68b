#include "peer/relay/credentials.hpp"

#include "common/stun/integrity.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace pinhole::relay {

namespace {

using stun::AttributeType;
using stun::PasswordAlgorithm;

/// RFC 8489 §14.9, §14.10: fewer than 128 characters of at most 6 bytes.
constexpr std::size_t kMaxText = 763;
/// Of PASSWORD-ALGORITHMS: two are defined, of 4 bytes each.
constexpr std::size_t kMaxOffered = 128;
/// RFC 8489 §9.2: what begins a nonce that tells of features, followed by 24 bits of them in base64.
constexpr std::string_view kNonceCookie = "obMatJos2";
constexpr std::size_t kFeatures = 4;
/// Those whose value has the uppermost of 6 bits: "Password algorithms" is the most significant one of all (§18.1).
constexpr std::string_view kUpperHalf = "ghijklmnopqrstuvwxyz0123456789+/";

bool tells_of_algorithms(std::string_view nonce) {
    return nonce.starts_with(kNonceCookie) && nonce.size() >= kNonceCookie.size() + kFeatures &&
           kUpperHalf.contains(nonce[kNonceCookie.size()]);
}

/// Ours, the better one whatever the relay prefers.
std::optional<PasswordAlgorithm> choose(const stun::MessageView& answer) {
    const auto offered = answer.password_algorithms();
    for (const auto algorithm : {PasswordAlgorithm::sha256, PasswordAlgorithm::md5}) {
        if (std::ranges::find(offered, algorithm) != offered.end()) {
            return algorithm;
        }
    }
    return std::nullopt;
}

int strength(const std::optional<PasswordAlgorithm>& algorithm) {
    if (!algorithm) {
        return 0;
    }
    return algorithm == PasswordAlgorithm::sha256 ? 2 : 1;
}

}  // namespace

Authenticator::Authenticator(Credentials credentials, std::optional<Challenge> challenge)
    : credentials_(std::move(credentials)), challenge_(std::move(challenge)) {
    derive();
}

void Authenticator::replace(Credentials credentials) {
    credentials_ = std::move(credentials);
    derive();
}

void Authenticator::handle_challenge(Challenge challenge) {
    const bool same_key =
        challenge_ && challenge_->realm == challenge.realm && challenge_->algorithm == challenge.algorithm;
    challenge_ = std::move(challenge);
    if (!same_key) {
        derive();
    }
}

bool Authenticator::weakened_by(const Challenge& challenge) const {
    return challenge_ && strength(challenge.algorithm) < strength(challenge_->algorithm);
}

void Authenticator::derive() {
    if (!challenge_) {
        return;
    }
    const auto& [username, password] = credentials_;
    if (challenge_->algorithm == PasswordAlgorithm::sha256) {
        key_ = to_bytes(stun::long_term_key_sha256(username, challenge_->realm, password));
    } else {
        key_ = to_bytes(stun::long_term_key(username, challenge_->realm, password));
    }
}

// RFC 8489 §9.2.3.2
void Authenticator::sign(stun::MessageBuilder& request) const {
    if (!challenge_) {
        return;
    }
    request.text(AttributeType::username, credentials_.username)
        .text(AttributeType::realm, challenge_->realm)
        .text(AttributeType::nonce, challenge_->nonce);
    if (challenge_->algorithm) {
        request.attribute(AttributeType::password_algorithms, challenge_->offered)
            .password_algorithm(*challenge_->algorithm)
            .integrity_sha256(key_);
    } else {
        request.integrity(key_);
    }
}

// RFC 8489 §9.2.4: who was asked with MESSAGE-INTEGRITY-SHA256 answers with it.
bool Authenticator::authentic(const stun::MessageView& answer) const {
    if (!challenge_) {
        return false;
    }
    return challenge_->algorithm ? stun::verify_integrity_sha256(answer, key_) : stun::verify_integrity(answer, key_);
}

// RFC 8489 §9.2.5. The nonce comes back to the relay under the protection of what we sign with, so that whoever takes
// the list away cannot change the nonce as well; nor the list, which goes back, too.
std::expected<Challenge, Unusable> challenge_of(const stun::MessageView& answer) {
    const auto realm = answer.realm();
    const auto nonce = answer.nonce();
    if (!realm || !nonce || realm->size() > kMaxText || nonce->size() > kMaxText) {
        return std::unexpected{Unusable::incomplete};
    }
    Challenge challenge{.realm = std::string{*realm}, .nonce = std::string{*nonce}};
    if (tells_of_algorithms(*nonce)) {
        const auto offered = answer.find(AttributeType::password_algorithms);
        if (!offered) {
            return std::unexpected{Unusable::tampered};
        }
        challenge.algorithm = choose(answer);
        if (!challenge.algorithm || offered->size() > kMaxOffered) {
            return std::unexpected{Unusable::unknown};
        }
        challenge.offered = to_bytes(*offered);
    }
    return challenge;
}

}  // namespace pinhole::relay
