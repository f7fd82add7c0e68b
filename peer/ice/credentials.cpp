#include "peer/ice/agent.hpp"

namespace pinhole::ice {

namespace {

/// RFC 8445 §5.3: ufrag carries at least 24 random bits and pwd at least 128; 6 bits a character.
constexpr std::size_t kUfragSize = 8;
constexpr std::size_t kPwdSize = 24;

std::string random_ice_chars(Rng& rng, std::size_t count) {
    // RFC 8839 §5.4: ice-char; exactly 64 of them.
    static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text(count, '\0');
    for (auto& character : text) {
        character = kAlphabet[rng.below(kAlphabet.size())];
    }
    return text;
}

}  // namespace

Credentials Credentials::generate(Rng& rng) {
    Credentials credentials;
    credentials.ufrag = random_ice_chars(rng, kUfragSize);
    credentials.pwd = random_ice_chars(rng, kPwdSize);
    return credentials;
}

}  // namespace pinhole::ice
