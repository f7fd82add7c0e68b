// RFC 8489 §9.2 at the server, and time-limited credentials.
#include "rendezvous/core/turn/authenticator.hpp"

#include "tests/unit/turn/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::turn {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace): the fixture of this folder

Client timed(World& world, std::chrono::seconds left, std::string_view name = "peer",
             std::string_view secret = kSecret) {
    auto client = world.client();
    client.username = rest_username(kUnixTime + left, name);
    client.password = rest_password(secret, client.username);
    return client;
}

TEST(TurnCredentials, AreMadeAsCoturnMakesThem) {
    EXPECT_EQ(rest_username(std::chrono::seconds{1'800'000'000}, "alice"), "1800000000:alice");
    // printf 1800000000:alice | openssl dgst -sha1 -hmac north -binary | base64
    EXPECT_EQ(rest_password("north", "1800000000:alice"), "sIm7pn/teO7y3AyXGeXl/xAQR6Q=");
}

TEST(TurnCredentials, WithTimeAreGoodUntilItIsOver) {
    World world;
    auto client = timed(world, 60s);
    EXPECT_TRUE(world.ask(client, stun::kAllocate, udp()).ok());
    world.pass(60s);
    auto late = timed(world, 60s);
    late.tuple.path.remote.port = 40001;
    EXPECT_EQ(world.ask(late, stun::kAllocate, udp()).error(), 401);
}

TEST(TurnCredentials, GoOnWithWhatTheyMade) {
    World world;
    auto client = timed(world, 60s);
    world.allocate(client);
    world.pass(590s);
    EXPECT_TRUE(world.ask(client, stun::kRefresh, nothing()).ok());
    // Those of another name do not, nor expired ones of the same name that have never been used for it.
    auto other = timed(world, 3600s, "somebody");
    EXPECT_EQ(world.ask(other, stun::kRefresh, nothing()).error(), 441);
    auto stale = timed(world, 61s);
    EXPECT_EQ(world.ask(stale, stun::kRefresh, nothing()).error(), 401);
}

TEST(TurnCredentials, AreReplacedByFreshOnes) {
    World world;
    auto client = timed(world, 60s);
    world.allocate(client);
    world.pass(590s);
    auto fresh = timed(world, 700s);
    EXPECT_TRUE(world.ask(fresh, stun::kRefresh, nothing()).ok());
    world.pass(590s);
    EXPECT_TRUE(world.ask(fresh, stun::kRefresh, nothing()).ok());
    EXPECT_EQ(world.ask(client, stun::kRefresh, nothing()).error(), 401);
}

TEST(TurnCredentials, OfAnotherSecretAreNone) {
    World world;
    auto client = timed(world, 60s, "peer", "another");
    EXPECT_EQ(world.ask(client, stun::kAllocate, udp()).error(), 401);
    World changed{{.secrets = {std::string{kSecret}, "another"}}};
    for (const std::string_view secret : {std::string_view{"another"}, kSecret}) {
        client = timed(changed, 60s, "peer", secret);
        client.tuple.path.remote.port = secret == kSecret ? 1 : 2;
        EXPECT_TRUE(changed.ask(client, stun::kAllocate, udp()).ok());
    }
}

TEST(TurnCredentials, FollowTheSystemsClock) {
    World world;
    world.server.authenticator().set_unix_time(kUnixTime + 1h, world.now);
    auto client = timed(world, 60s);
    EXPECT_EQ(world.ask(client, stun::kAllocate, udp()).error(), 401);
    client = timed(world, 2h);
    EXPECT_TRUE(world.ask(client, stun::kAllocate, udp()).ok());
}

TEST(TurnCredentials, OfNobodyAreNone) {
    World world;
    for (const auto& [name, password] : {std::pair{"user", "wrong"}, {"nobody", "password"}, {"", "password"}}) {
        auto client = world.client();
        client.username = name;
        client.password = password;
        EXPECT_EQ(world.ask(client, stun::kAllocate, udp()).error(), 401);
    }
    EXPECT_EQ(world.server.counts(), TurnCounts{});
}

TEST(TurnCredentials, AUserCannotUseAnothersAllocation) {
    World world{{.users = {{.name = "user", .password = "password"}, {.name = "other", .password = "word"}}}};
    auto client = world.client();
    world.allocate(client);
    auto other = world.client();
    other.username = "other";
    other.password = "word";
    for (const auto method : {stun::kRefresh, stun::kCreatePermission, stun::kChannelBind, stun::kConnect}) {
        EXPECT_EQ(world.ask(other, method, channel(0x4000, kPeer)).error(), 441);
    }
}

TEST(TurnCredentials, MayBeProvedWithSha256) {
    World world;
    auto client = world.client();
    client.sha256 = true;
    const auto reply = world.ask(client, stun::kAllocate, udp());
    ASSERT_TRUE(reply.ok());
    EXPECT_TRUE(stun::verify_integrity_sha256(reply.view(), client.key()));
    EXPECT_FALSE(reply.view().integrity());
}

Bytes with_attributes(const Client& client, const Fill& fill) {
    MessageBuilder builder{MessageClass::request, stun::kAllocate, stun::TransactionId{}};
    builder.requested_transport(stun::kTransportUdp);
    fill(builder);
    return builder.integrity(client.key()).finish();
}

int answer_to(World& world, const Client& client, const Fill& fill) {
    world.send(client, with_attributes(client, fill));
    return world.take(client).value().error();
}

TEST(TurnCredentials, OfWhichPartsAreMissingAreABadRequest) {
    using enum AttributeType;
    World world;
    auto client = world.client();
    world.ask(client, stun::kRefresh, nothing());
    const auto named = [&](auto& builder) { builder.text(username, client.username); };
    const auto in_realm = [&](auto& builder) { builder.text(realm, client.realm); };
    const auto fresh = [&](auto& builder) { builder.text(nonce, client.nonce); };
    EXPECT_EQ(answer_to(world, client, [&](auto& b) { named(b), in_realm(b); }), 400);
    EXPECT_EQ(answer_to(world, client, [&](auto& b) { named(b), fresh(b); }), 400);
    EXPECT_EQ(answer_to(world, client, [&](auto& b) { in_realm(b), fresh(b); }), 400);
    EXPECT_EQ(answer_to(world, client, [&](auto& b) { named(b), in_realm(b), fresh(b); }), 0);
}

// RFC 8489 §9.2.4: who took the list of algorithms away made a weaker one be chosen.
TEST(TurnCredentials, TheListOfAlgorithmsMustBeTheOneThatWasOffered) {
    using enum stun::PasswordAlgorithm;
    World world;
    auto client = world.client();
    world.ask(client, stun::kRefresh, nothing());
    const auto complete = [&](auto& b) {
        b.text(AttributeType::username, client.username)
            .text(AttributeType::realm, client.realm)
            .text(AttributeType::nonce, client.nonce);
    };
    EXPECT_EQ(answer_to(world, client, [&](auto& b) { complete(b), b.password_algorithm(md5); }), 400);
    EXPECT_EQ(answer_to(world, client, [&](auto& b) { complete(b), b.password_algorithms(std::array{sha256, md5}); }),
              400);
    EXPECT_EQ(answer_to(world, client,
                        [&](auto& b) {
                            complete(b);
                            b.password_algorithms(std::array{md5}).password_algorithm(md5);
                        }),
              400);
    world.send(client, with_attributes(client, [&](auto& b) {
                   complete(b);
                   b.password_algorithms(std::array{sha256, md5}).password_algorithm(md5);
               }));
    const auto reply = world.take(client).value();
    EXPECT_TRUE(reply.ok());
    EXPECT_TRUE(stun::verify_integrity_sha256(reply.view(), client.key()));
}

TEST(TurnCredentials, OfALongTermUserMayShowAHashForAName) {
    World world{{.secrets = {}}};
    auto client = world.client();
    world.ask(client, stun::kRefresh, nothing());
    EXPECT_TRUE(client.nonce.starts_with("obMatJos2wAAA"));
    EXPECT_EQ(answer_to(world, client,
                        [&](auto& b) {
                            b.attribute(AttributeType::userhash, stun::userhash(client.username, client.realm))
                                .text(AttributeType::realm, client.realm)
                                .text(AttributeType::nonce, client.nonce);
                        }),
              0);
    World timed_ones;
    auto other = timed_ones.client();
    timed_ones.ask(other, stun::kRefresh, nothing());
    EXPECT_TRUE(other.nonce.starts_with("obMatJos2gAAA"));
}

TEST(TurnNonce, GrowsOldAndIsRenewed) {
    World world;
    auto client = world.client();
    world.allocate(client);
    const auto old = client.nonce;
    world.pass(10min - 1s);
    EXPECT_EQ(world.ask_once(client, stun::kRefresh, nothing())->error(), 0);
    world.pass(2s);
    const auto reply = world.ask_once(client, stun::kRefresh, nothing()).value();
    EXPECT_EQ(reply.error(), 438);
    EXPECT_NE(reply.view().nonce(), old);
    EXPECT_EQ(reply.view().realm(), "pinhole");
    EXPECT_TRUE(world.ask(client, stun::kRefresh, nothing()).ok());
}

TEST(TurnNonce, IsOfOneSourceOnly) {
    World world;
    auto client = world.client();
    world.allocate(client);
    auto elsewhere = client;
    elsewhere.tuple.path.remote = endpoint("192.0.2.10:40000");
    EXPECT_EQ(world.ask_once(elsewhere, stun::kAllocate, udp())->error(), 438);
    // Another port of the same host may use it: a ConnectionBind comes from one.
    auto other_port = client;
    other_port.tuple.path.remote.port = 40001;
    EXPECT_TRUE(world.ask_once(other_port, stun::kAllocate, udp())->ok());
}

TEST(TurnNonce, IsAnotherForEachPort) {
    World world;
    const auto one = world.ask_once(world.client(1), stun::kAllocate, udp()).value();
    const auto other = world.ask_once(world.client(2), stun::kAllocate, udp()).value();
    const auto again = world.ask_once(world.client(1), stun::kAllocate, udp()).value();
    EXPECT_NE(one.view().nonce(), other.view().nonce());
    EXPECT_EQ(one.view().nonce(), again.view().nonce());
}

TEST(TurnNonce, OfAnotherServerOrTheFutureIsStale) {
    World one;
    World other{{}, 2};
    auto client = one.client();
    one.allocate(client);
    EXPECT_EQ(other.ask_once(client, stun::kAllocate, udp())->error(), 438);
    one.now = TimePoint{500s};
    EXPECT_EQ(one.ask_once(client, stun::kRefresh, nothing())->error(), 438);
    for (const auto* nonce : {"", "x", "obMatJos2gAAA", "obMatJos2gAAAaaaaaaaaaaaaaaaaaa"}) {
        auto forged = other.client();
        forged.nonce = nonce[0] == 0 ? " " : nonce;
        forged.realm = "pinhole";
        EXPECT_EQ(other.ask_once(forged, stun::kAllocate, udp())->error(), 438);
    }
}

// Coturn answered 62 bytes with 150: a forged source gets less than twice what was sent for it, headers included, by
// any request of a client, and little in all.
TEST(TurnStrangers, GetLittleAndNotOften) {
    World world;
    const auto client = world.client();
    std::size_t answers = 0;
    std::size_t bytes = 0;
    for (int i = 0; i < 10000; ++i) {
        if (const auto reply = world.ask_once(client, stun::kAllocate, udp())) {
            ++answers;
            bytes += reply->bytes().size();
        }
    }
    EXPECT_LE(answers, 250U);
    EXPECT_EQ(bytes / answers, 88U);
    EXPECT_EQ(world.server.stats().limited, 10000 - answers);
    EXPECT_EQ(world.server.counts(), TurnCounts{});
    // Another network is not concerned, and the first one is answered again later.
    auto other = world.client();
    other.tuple.path.remote = endpoint("192.0.3.9:40000");
    EXPECT_TRUE(world.ask_once(other, stun::kAllocate, udp()));
    world.pass(1s);
    EXPECT_TRUE(world.ask_once(client, stun::kAllocate, udp()));
}

TEST(TurnStrangers, GetNothingForWhatIsNoRequest) {
    World world;
    const auto client = world.client();
    for (const auto kind : {MessageClass::success, MessageClass::error, MessageClass::indication}) {
        for (const auto method : {stun::kAllocate, stun::kData, stun::kSend, stun::kConnectionAttempt}) {
            world.send(client, MessageBuilder{kind, method, world.transaction()}.finish());
        }
    }
    world.send(client, {});
    world.send(client, Bytes(20, 0xff));
    auto wrong = MessageBuilder{MessageClass::request, stun::kAllocate, world.transaction()}.fingerprint().finish();
    wrong.back() ^= 1U;
    world.send(client, wrong);
    world.on_channel(client, 0x4000, "data");
    EXPECT_FALSE(world.take(client));
    EXPECT_EQ(world.server.counts(), TurnCounts{});
}

TEST(TurnStrangers, GetAFingerprintIfTheySentOne) {
    World world;
    const auto client = world.client();
    world.send(client,
               MessageBuilder{MessageClass::request, stun::kAllocate, world.transaction()}.fingerprint().finish());
    EXPECT_TRUE(stun::verify_fingerprint(world.take(client)->view()));
}

}  // namespace
}  // namespace pinhole::turn
