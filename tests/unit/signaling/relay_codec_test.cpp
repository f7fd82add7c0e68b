#include "common/base/limits.hpp"
#include "common/signaling/codec.hpp"

#include <gtest/gtest.h>

namespace pinhole::signaling {
namespace {

Relay own() {
    return {.udp = true, .tcp = true, .tls = true, .username = "1795233906:a", .password = "cGFzcw==", .lifetime = 12h};
}

Relay other() {
    return {.host = "relay.example",
            .port = 5349,
            .tls = true,
            .username = "1795233906:a",
            .password = "cGFzcw==",
            .lifetime = 1s,
            .certificate = std::array<std::uint8_t, 32>{1, 2, 3}};
}

Result<ToPeer> through(const Relay& relay) {
    return parse_to_peer(serialize(ToPeer{Relays{.relays = {relay}}}));
}

/// `relay` after one change.
Relay with(auto change) {
    auto relay = other();
    change(relay);
    return relay;
}

std::error_code refusal(const Relay& relay) {
    const auto parsed = through(relay);
    return parsed ? std::error_code{} : parsed.error().code;
}

TEST(RelayCodec, AListOfRelaysComesThrough) {
    const Relays list{.relays = {own(), other()}};
    const auto bytes = serialize(ToPeer{list});
    const auto parsed = parse_to_peer(bytes);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(std::get<Relays>(*parsed).relays, list.relays);
    EXPECT_EQ(serialize(*parsed), bytes);
    EXPECT_EQ(call_of(*parsed), std::nullopt);
}

TEST(RelayCodec, AnEmptyListComesThrough) {
    const auto parsed = parse_to_peer(serialize(ToPeer{Relays{}}));
    ASSERT_TRUE(parsed);
    EXPECT_TRUE(std::get<Relays>(*parsed).relays.empty());
}

TEST(RelayCodec, RefusesMoreRelaysThanAPeerWouldMeasure) {
    const Relays full{.relays = std::vector<Relay>(limits::kMaxRelays, own())};
    EXPECT_TRUE(parse_to_peer(serialize(ToPeer{full})));
    const Relays over{.relays = std::vector<Relay>(limits::kMaxRelays + 1, own())};
    EXPECT_EQ(parse_to_peer(serialize(ToPeer{over})).error().code, Errc::too_large);
}

TEST(RelayCodec, AHostGoesWithAPortAndThisServerWithNone) {
    EXPECT_EQ(refusal(with([](auto& relay) { relay.port = 0; })), Errc::malformed);
    EXPECT_EQ(refusal(with([](auto& relay) { relay.host.clear(); })), Errc::malformed);
}

TEST(RelayCodec, AHostIsANameOrAnAddress) {
    for (const auto* host : {"198.51.100.1", "2001:db8::1", "xn--bcher-kva.example", "a_b"}) {
        EXPECT_EQ(refusal(with([&](auto& relay) { relay.host = host; })), std::error_code{}) << host;
    }
    for (const auto* host : {"a b", "user@host", "host/path", "[::1]", "evil\x1b[31m", "%00", "b\xc3\xbc"}) {
        EXPECT_EQ(refusal(with([&](auto& relay) { relay.host = host; })), Errc::malformed) << host;
    }
    EXPECT_EQ(refusal(with([](auto& relay) { relay.host.assign(257, 'a'); })), Errc::malformed);
}

TEST(RelayCodec, ARelayIsReachedSomehow) {
    EXPECT_EQ(refusal(with([](auto& relay) { relay.tls = false; })), Errc::malformed);
}

TEST(RelayCodec, RefusesCredentialsThatAreNoneOrTooLong) {
    for (const auto& text : {std::string{}, std::string(257, 'x'), std::string{"a\nb"}}) {
        EXPECT_EQ(refusal(with([&](auto& relay) { relay.username = text; })), Errc::malformed);
        EXPECT_EQ(refusal(with([&](auto& relay) { relay.password = text; })), Errc::malformed);
    }
    EXPECT_EQ(refusal(with([](auto& relay) { relay.password.assign(256, 'x'); })), std::error_code{});
}

TEST(RelayCodec, RefusesALifetimeThatIsNoneOrForEver) {
    EXPECT_EQ(refusal(with([](auto& relay) { relay.lifetime = 0s; })), Errc::malformed);
    EXPECT_EQ(refusal(with([](auto& relay) { relay.lifetime = limits::kMaxRelayLifetime; })), std::error_code{});
    EXPECT_EQ(refusal(with([](auto& relay) { relay.lifetime = limits::kMaxRelayLifetime + 1s; })), Errc::malformed);
}

TEST(RelayCodec, RefusesADigestOfAnotherSize) {
    Bytes body{0x0a, 1, 'h', 0x10, 1, 0x18, 1, 0x32, 1, 'u', 0x3a, 1, 'p', 0x40, 1};
    body.insert(body.end(), {0x4a, 0x02, 1, 2});
    Bytes relays{0x0a, static_cast<std::uint8_t>(body.size())};
    relays.insert(relays.end(), body.begin(), body.end());
    Bytes message{0x7a, static_cast<std::uint8_t>(relays.size())};
    message.insert(message.end(), relays.begin(), relays.end());
    EXPECT_EQ(parse_to_peer(message).error().code, Errc::malformed);
}

}  // namespace
}  // namespace pinhole::signaling
