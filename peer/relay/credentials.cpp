#include "peer/relay/credentials.hpp"

#include "common/stun/integrity.hpp"

#include <utility>

namespace pinhole::relay {

namespace {

/// RFC 8489 §14.9, §14.10: fewer than 128 characters of at most 6 bytes.
constexpr std::size_t kMaxText = 763;

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
    const bool same_realm = challenge_ && challenge_->realm == challenge.realm;
    challenge_ = std::move(challenge);
    if (!same_realm) {
        derive();
    }
}

void Authenticator::derive() {
    if (challenge_) {
        key_ = stun::long_term_key(credentials_.username, challenge_->realm, credentials_.password);
    }
}

void Authenticator::sign(stun::MessageBuilder& request) const {
    if (challenge_) {
        request.text(stun::AttributeType::username, credentials_.username)
            .text(stun::AttributeType::realm, challenge_->realm)
            .text(stun::AttributeType::nonce, challenge_->nonce)
            .integrity(key_);
    }
}

bool Authenticator::authentic(const stun::MessageView& answer) const {
    return challenge_ && stun::verify_integrity(answer, key_);
}

std::optional<Challenge> challenge_of(const stun::MessageView& answer) {
    const auto realm = answer.realm();
    const auto nonce = answer.nonce();
    if (!realm || !nonce || realm->size() > kMaxText || nonce->size() > kMaxText) {
        return std::nullopt;
    }
    return Challenge{.realm = std::string{*realm}, .nonce = std::string{*nonce}};
}

}  // namespace pinhole::relay
