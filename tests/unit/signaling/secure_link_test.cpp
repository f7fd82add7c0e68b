#include "common/signaling/secure_link.hpp"

#include "common/base/rng.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace pinhole::signaling {
namespace {

constexpr std::string_view kHello = "who I am";

class SecureLinkTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(crypto::initialize()); }

    SecureLink make_client() {
        return SecureLink::client({.secret = client_keys_.secret.clone(), .public_key = client_keys_.public_key},
                                  to_bytes(as_bytes(kHello)), rng_);
    }

    SecureLink make_server() {
        return SecureLink::server({.secret = server_keys_.secret.clone(), .public_key = server_keys_.public_key}, rng_);
    }

    /// Moves bytes both ways until both sides are silent.
    static Status exchange(SecureLink& a, SecureLink& b) {
        for (;;) {
            const auto from_a = a.poll_output();
            if (auto status = b.handle_bytes(from_a); !status) {
                return status;
            }
            const auto from_b = b.poll_output();
            if (auto status = a.handle_bytes(from_b); !status) {
                return status;
            }
            if (from_a.empty() && from_b.empty()) {
                return {};
            }
        }
    }

    struct Pair {
        SecureLink client;
        SecureLink server;
    };

    Pair connected() {
        Pair pair{.client = make_client(), .server = make_server()};
        EXPECT_TRUE(exchange(pair.client, pair.server));
        EXPECT_TRUE(pair.client.established() && pair.server.established());
        return pair;
    }

    /// A server that waits for a frame of the handshake.
    SecureLink greeted() {
        auto server = make_server();
        EXPECT_TRUE(server.handle_bytes(kPreamble));
        return server;
    }

    SeededRng rng_{5};
    crypto::KeyPair client_keys_ = crypto::KeyPair::generate(rng_);
    crypto::KeyPair server_keys_ = crypto::KeyPair::generate(rng_);
};

/// Feeds `bytes` in pieces of random size.
Status feed(SecureLink& link, ByteView bytes, Rng& rng) {
    while (!bytes.empty()) {
        const auto count = 1 + rng.below(std::min<std::size_t>(bytes.size(), 40));
        if (auto status = link.handle_bytes(bytes.first(count)); !status) {
            return status;
        }
        bytes = bytes.subspan(count);
    }
    return {};
}

std::string next_text(SecureLink& link) {
    const auto frame = link.poll_frame();
    return frame ? std::string{as_text(*frame)} : "<none>";
}

TEST_F(SecureLinkTest, BothSidesLearnWhoTheOtherIs) {
    auto [client, server] = connected();
    EXPECT_EQ(client.remote_static(), server_keys_.public_key);
    EXPECT_EQ(server.remote_static(), client_keys_.public_key);
    EXPECT_EQ(as_text(server.hello()), kHello);
}

TEST_F(SecureLinkTest, BeginsWithThePreambleAndOneFrame) {
    auto client = make_client();
    const auto first = client.poll_output();
    ASSERT_EQ(first.size(), 4U + 2U + 32U);
    EXPECT_TRUE(std::ranges::equal(ByteView{first}.first(4), kPreamble));
    EXPECT_EQ(first[4], 0);
    EXPECT_EQ(first[5], 32);
    EXPECT_TRUE(client.poll_output().empty());
}

TEST_F(SecureLinkTest, ClientCanRefuseTheServerBeforeItSaysWhoItIs) {
    auto client = make_client();
    auto server = make_server();
    ASSERT_TRUE(server.handle_bytes(client.poll_output()));
    ASSERT_TRUE(client.handle_bytes(server.poll_output()));
    EXPECT_EQ(client.remote_static(), server_keys_.public_key) << "known while the hello still waits in poll_output";
    EXPECT_FALSE(server.established());
}

TEST_F(SecureLinkTest, CarriesFramesOfEverySizeInOrder) {
    auto [client, server] = connected();
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{255}, std::size_t{256}, limits::kMaxFramePlaintext}) {
        const Bytes text(size, 0x33);
        ASSERT_TRUE(client.send(text));
        ASSERT_TRUE(server.send(text));
        ASSERT_TRUE(exchange(client, server));
        EXPECT_EQ(server.poll_frame(), text);
        EXPECT_EQ(client.poll_frame(), text);
    }
    ASSERT_TRUE(client.send(as_bytes("one")));
    ASSERT_TRUE(client.send(as_bytes("two")));
    ASSERT_TRUE(exchange(client, server));
    EXPECT_EQ(next_text(server), "one");
    EXPECT_EQ(next_text(server), "two");
    EXPECT_EQ(next_text(server), "<none>");
}

TEST_F(SecureLinkTest, WorksByteByByte) {
    auto client = make_client();
    auto server = make_server();
    for (int turn = 0; turn < 4; ++turn) {
        for (const auto byte : client.poll_output()) {
            ASSERT_TRUE(server.handle_bytes({&byte, 1}));
        }
        for (const auto byte : server.poll_output()) {
            ASSERT_TRUE(client.handle_bytes({&byte, 1}));
        }
    }
    ASSERT_TRUE(client.established() && server.established());
}

TEST_F(SecureLinkTest, WorksInRandomPiecesWithFramesBehindTheHandshake) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        SeededRng rng{seed};
        auto client = make_client();
        auto server = make_server();
        ASSERT_TRUE(feed(server, client.poll_output(), rng));
        ASSERT_TRUE(feed(client, server.poll_output(), rng));
        ASSERT_TRUE(client.established());
        ASSERT_TRUE(client.send(as_bytes("at once")));
        ASSERT_TRUE(client.send(Bytes(1000, 1)));
        ASSERT_TRUE(feed(server, client.poll_output(), rng));
        EXPECT_EQ(next_text(server), "at once");
        EXPECT_EQ(server.poll_frame(), Bytes(1000, 1));
    }
}

TEST_F(SecureLinkTest, RefusesAnotherPreambleAtItsFirstWrongByte) {
    for (std::size_t wrong = 0; wrong < kPreamble.size(); ++wrong) {
        auto server = make_server();
        for (std::size_t i = 0; i < wrong; ++i) {
            ASSERT_TRUE(server.handle_bytes({&kPreamble[i], 1}));
        }
        EXPECT_EQ(server.handle_bytes(Bytes{0x16}).error().code, LinkErrc::bad_preamble) << wrong;
        EXPECT_TRUE(server.poll_output().empty()) << "a stranger learns nothing";
    }
}

TEST_F(SecureLinkTest, RefusesHandshakeFramesOfImpossibleLengthBeforeTheyArrive) {
    for (const auto& header : {Bytes{0, 0}, Bytes{2, 1}, Bytes{0xff, 0xff}}) {
        EXPECT_EQ(greeted().handle_bytes(header).error().code, LinkErrc::handshake_failed);
    }
    EXPECT_TRUE(greeted().handle_bytes(Bytes{2, 0}));
}

TEST_F(SecureLinkTest, RefusesShortFirstMessagesAndPayloadInThem) {
    for (const std::uint8_t size : Bytes{1, 31, 33}) {
        Bytes frame(2U + size, 9);
        frame[0] = 0;
        frame[1] = size;
        EXPECT_EQ(greeted().handle_bytes(frame).error().code, LinkErrc::handshake_failed) << int{size};
    }
}

TEST_F(SecureLinkTest, RefusesALowOrderFirstMessage) {
    Bytes frame(2 + 32);
    frame[1] = 32;
    auto server = greeted();
    EXPECT_EQ(server.handle_bytes(frame).error().code, LinkErrc::handshake_failed);
    EXPECT_TRUE(server.poll_output().empty());
}

TEST_F(SecureLinkTest, RefusesAnyChangedByteOfTheHandshake) {
    const auto length = [&] {
        auto client = make_client();
        auto server = make_server();
        EXPECT_TRUE(server.handle_bytes(client.poll_output()));
        EXPECT_TRUE(client.handle_bytes(server.poll_output()));
        return client.poll_output().size();
    }();
    for (std::size_t i = 0; i < length; ++i) {
        auto client = make_client();
        auto server = make_server();
        ASSERT_TRUE(server.handle_bytes(client.poll_output()));
        auto second = server.poll_output();
        ASSERT_TRUE(client.handle_bytes(second));
        auto third = client.poll_output();
        third[i] ^= 1;
        const auto status = server.handle_bytes(third);
        // A longer length waits for bytes that never come; the owner's handshake timeout ends that.
        EXPECT_FALSE(status && server.established()) << i;
        auto other = make_client();
        static_cast<void>(other.poll_output());
        EXPECT_EQ(other.handle_bytes(second).error().code, LinkErrc::handshake_failed) << "meant for another client";
    }
}

TEST_F(SecureLinkTest, RefusesAnyChangedByteOfAFrame) {
    const std::size_t length = 2 + 5 + 16;
    for (std::size_t i = 0; i < length; ++i) {
        auto [client, server] = connected();
        ASSERT_TRUE(client.send(as_bytes("hello")));
        auto bytes = client.poll_output();
        ASSERT_EQ(bytes.size(), length);
        bytes[i] ^= 0x40;
        const auto status = server.handle_bytes(bytes);
        EXPECT_FALSE(server.poll_frame()) << i;
        if (i >= 2) {
            EXPECT_EQ(status.error().code, LinkErrc::bad_frame) << i;
            EXPECT_FALSE(server.established());
        }
    }
}

TEST_F(SecureLinkTest, RefusesReplayedReorderedAndReflectedFrames) {
    {
        auto [client, server] = connected();
        ASSERT_TRUE(client.send(as_bytes("pay")));
        const auto bytes = client.poll_output();
        ASSERT_TRUE(server.handle_bytes(bytes));
        EXPECT_EQ(server.handle_bytes(bytes).error().code, LinkErrc::bad_frame);
    }
    {
        auto [client, server] = connected();
        ASSERT_TRUE(client.send(as_bytes("one")));
        static_cast<void>(client.poll_output());
        ASSERT_TRUE(client.send(as_bytes("two")));
        EXPECT_EQ(server.handle_bytes(client.poll_output()).error().code, LinkErrc::bad_frame);
    }
    {
        auto [client, server] = connected();
        ASSERT_TRUE(client.send(as_bytes("mirror")));
        EXPECT_EQ(client.handle_bytes(client.poll_output()).error().code, LinkErrc::bad_frame);
    }
}

TEST_F(SecureLinkTest, RefusesFramesTooShortForATagBeforeTheyArrive) {
    auto [client, server] = connected();
    EXPECT_EQ(server.handle_bytes(Bytes{0, 15}).error().code, LinkErrc::bad_frame);
    EXPECT_EQ(client.handle_bytes(Bytes{0, 0}).error().code, LinkErrc::bad_frame);
}

TEST_F(SecureLinkTest, AnErrorIsFinal) {
    auto [client, server] = connected();
    ASSERT_TRUE(client.send(as_bytes("good")));
    const auto good = client.poll_output();
    ASSERT_FALSE(server.handle_bytes(Bytes{0, 0}));
    EXPECT_EQ(server.handle_bytes(good).error().code, LinkErrc::bad_frame);
    EXPECT_EQ(server.send(as_bytes("x")).error().code, LinkErrc::bad_frame);
    EXPECT_FALSE(server.poll_frame());
}

TEST_F(SecureLinkTest, SurvivesGarbage) {
    constexpr std::uint64_t kSeed = 77;
    SCOPED_TRACE(kSeed);
    SeededRng rng{kSeed};
    for (int i = 0; i < 200; ++i) {
        auto server = rng.below(2) == 0 ? make_server() : greeted();
        Bytes garbage(rng.below(2000));
        rng.fill(garbage);
        static_cast<void>(feed(server, garbage, rng));
        EXPECT_FALSE(server.established());
        EXPECT_FALSE(server.poll_frame());
    }
}

TEST_F(SecureLinkTest, RefusesToSendTooEarlyOrTooMuchWithoutBreaking) {
    auto early = make_client();
    EXPECT_EQ(early.send(as_bytes("x")).error().code, Errc::invalid_argument);
    auto [client, server] = connected();
    EXPECT_EQ(client.send(Bytes(limits::kMaxFramePlaintext + 1)).error().code, Errc::too_large);
    ASSERT_TRUE(client.send(as_bytes("still here")));
    ASSERT_TRUE(exchange(client, server));
    EXPECT_EQ(next_text(server), "still here");
}

TEST_F(SecureLinkTest, EndsWhenTheOtherSideDoesNotRead) {
    auto [client, server] = connected();
    const Bytes largest(limits::kMaxFramePlaintext);
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(server.send(largest));
    }
    EXPECT_EQ(server.send({}).error().code, LinkErrc::backlog);
    EXPECT_LE(server.poll_output().size(), limits::kMaxSignalingBacklog);
    EXPECT_EQ(server.send({}).error().code, LinkErrc::backlog) << "final";
}

TEST_F(SecureLinkTest, ReadingTheOutputMakesRoom) {
    auto [client, server] = connected();
    const Bytes largest(limits::kMaxFramePlaintext);
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(server.send(largest));
        ASSERT_TRUE(client.handle_bytes(server.poll_output()));
        ASSERT_TRUE(client.poll_frame());
    }
}

TEST_F(SecureLinkTest, AHelloAboveTheHandshakeLimitFailsHere) {
    auto client = SecureLink::client(crypto::KeyPair::generate(rng_), Bytes(600), rng_);
    auto server = make_server();
    ASSERT_TRUE(server.handle_bytes(client.poll_output()));
    EXPECT_EQ(client.handle_bytes(server.poll_output()).error().code, LinkErrc::handshake_failed);
    EXPECT_TRUE(client.poll_output().empty());
    EXPECT_FALSE(client.established());
}

TEST_F(SecureLinkTest, SurvivesBeingMovedInTheMiddle) {
    auto client = make_client();
    auto server = make_server();
    ASSERT_TRUE(server.handle_bytes(client.poll_output()));
    auto moved = std::move(server);
    ASSERT_TRUE(exchange(client, moved));
    EXPECT_TRUE(moved.established());
}

}  // namespace
}  // namespace pinhole::signaling
