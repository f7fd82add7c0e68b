#include "rendezvous/shell/relay_offers.hpp"

#include "common/base/limits.hpp"
#include "common/signaling/codec.hpp"
#include "rendezvous/core/turn/authenticator.hpp"

#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

crypto::Identity identity(std::uint8_t number) {
    crypto::Key32 seed{};
    seed.fill(number);
    return crypto::Identity::from_seed(crypto::SecretKey{seed});
}

std::string account(const signaling::Relay& relay) {
    return relay.username.substr(relay.username.find(':') + 1);
}

class RelayOffers : public testing::Test {
  protected:
    RelayOffers() { EXPECT_TRUE(crypto::initialize()); }

    std::vector<RelayOffer> offers_{{.udp = true, .tcp = true, .secret = "own"},
                                    {.host = "relay.example", .port = 5349, .tls = true, .secret = "other"}};
};

TEST(TurnUrl, NamesHostPortAndTransports) {
    const auto plain = parse_turn_url("turn:relay.example");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->host, "relay.example");
    EXPECT_EQ(plain->port, 3478);
    EXPECT_TRUE(plain->udp && plain->tcp && !plain->tls);
    const auto udp = parse_turn_url("turn:192.0.2.1:99?transport=udp");
    ASSERT_TRUE(udp);
    EXPECT_EQ(udp->host, "192.0.2.1");
    EXPECT_EQ(udp->port, 99);
    EXPECT_TRUE(udp->udp && !udp->tcp);
    const auto tcp = parse_turn_url("turn:[2001:db8::1]:99?transport=tcp");
    ASSERT_TRUE(tcp);
    EXPECT_EQ(tcp->host, "2001:db8::1");
    EXPECT_TRUE(tcp->tcp && !tcp->udp);
    const auto tls = parse_turn_url("turns:[2001:db8::1]");
    ASSERT_TRUE(tls);
    EXPECT_EQ(tls->port, 5349);
    EXPECT_TRUE(tls->tls && !tls->udp && !tls->tcp);
}

TEST(TurnUrl, RefusesEverythingElse) {
    for (const auto* text : {"", "turn:", "turn://host", "stun:host", "relay.example", "turn:host:", "turn:host:0",
                             "turn:host:65536", "turn:host:1x", "turn:host?transport=sctp", "turns:host?transport=udp",
                             "turn:user@host", "turn:[::1", "turn:[192.0.2.1]", "turn:[]:1", "turn:2001:db8::1"}) {
        EXPECT_FALSE(parse_turn_url(text)) << text;
    }
}

TEST_F(RelayOffers, CredentialsAreThoseOfTheRestConvention) {
    const auto relays = relays_for(offers_, identity(1).id(), std::chrono::seconds{1'795'233'906}).relays;
    ASSERT_EQ(relays.size(), 2U);
    EXPECT_TRUE(relays[0].username.starts_with("1795277106:")) << "12 hours later";
    EXPECT_EQ(relays[0].password, turn::rest_password("own", relays[0].username));
    EXPECT_EQ(relays[1].password, turn::rest_password("other", relays[1].username));
    EXPECT_EQ(relays[1].host, "relay.example");
}

TEST_F(RelayOffers, AnAccountIsOnePeersAndDoesNotNameIt) {
    const auto at = [&](std::uint8_t peer, int when) {
        return relays_for(offers_, identity(peer).id(), std::chrono::seconds{when}).relays;
    };
    EXPECT_EQ(account(at(1, 5)[0]), account(at(1, 6)[0]));
    EXPECT_NE(account(at(1, 5)[0]), account(at(2, 5)[0]));
    EXPECT_NE(account(at(1, 5)[0]), account(at(1, 5)[1])) << "two relays cannot compare their clients";
    EXPECT_EQ(identity(1).id().text().find(account(at(1, 5)[0])), std::string::npos);
}

TEST_F(RelayOffers, WhatIsOfferedCanBeRead) {
    const signaling::ToPeer message{relays_for(offers_, identity(1).id(), std::chrono::seconds{1'795'233'906})};
    EXPECT_TRUE(signaling::parse_to_peer(signaling::serialize(message)));
}

TEST_F(RelayOffers, TheSecretBelongsToTheServersKey) {
    EXPECT_EQ(relay_secret(identity(1).noise_keys()), relay_secret(identity(1).noise_keys()));
    EXPECT_NE(relay_secret(identity(1).noise_keys()), relay_secret(identity(2).noise_keys()));
}

}  // namespace
}  // namespace pinhole::rendezvous
