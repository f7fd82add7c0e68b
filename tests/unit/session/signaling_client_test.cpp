#include "peer/session/signaling_client.hpp"

#include "common/base/limits.hpp"
#include "common/signaling/codec.hpp"
#include "peer/session/errors.hpp"

#include <gtest/gtest.h>

namespace pinhole::session {
namespace {

class SignalingClientTest : public testing::Test {
  protected:
    SignalingClientTest()
        : rng_(5),
          identity_(crypto::Identity::generate(rng_)),
          server_identity_(crypto::Identity::generate(rng_)),
          server_(signaling::SecureLink::server(server_identity_.noise_keys(), rng_)) {}

    SignalingClient make(std::optional<crypto::Key32> pinned = {}) {
        return SignalingClient{{.identity = &identity_, .pinned = pinned, .agent = "test"}, rng_};
    }

    template <class T>
    std::optional<T> next(SignalingClient& client) {
        while (auto event = client.poll_event()) {
            if (auto* match = std::get_if<T>(&*event)) {
                return std::move(*match);
            }
        }
        return std::nullopt;
    }

    void exchange(SignalingClient& client) {
        while (true) {
            const auto up = client.poll_output();
            if (!up.empty()) {
                ASSERT_TRUE(server_.handle_bytes(up));
            }
            const auto down = server_.poll_output();
            if (!down.empty()) {
                client.handle_bytes(down, now_);
            }
            if (up.empty() && down.empty()) {
                return;
            }
        }
    }

    void log_in(SignalingClient& client) {
        client.start(now_);
        ASSERT_TRUE(next<SignalingClient::ConnectNow>(client));
        client.handle_connected(now_);
        exchange(client);
        ASSERT_TRUE(server_.established());
        say(signaling::Welcome{
            .observed = *net::Endpoint::parse("192.0.2.1:5"), .version = 1, .second_stun_port = 3479});
        exchange(client);
    }

    void say(const signaling::ToPeer& message) { ASSERT_TRUE(server_.send(signaling::serialize(message))); }

    SeededRng rng_;
    crypto::Identity identity_;
    crypto::Identity server_identity_;
    signaling::SecureLink server_;
    TimePoint now_{};
};

TEST_F(SignalingClientTest, ANewNetworkEndsTheConnectionAndConnectsAtOnce) {
    auto client = make();
    log_in(client);
    ASSERT_TRUE(next<SignalingClient::Online>(client));
    client.reconnect(now_);
    const auto lost = client.poll_event();
    ASSERT_TRUE(lost && std::holds_alternative<SignalingClient::Lost>(*lost));
    EXPECT_TRUE(std::get<SignalingClient::Lost>(*lost).was_online);
    EXPECT_TRUE(next<SignalingClient::ConnectNow>(client));
    EXPECT_FALSE(client.next_timeout());
    server_ = signaling::SecureLink::server(server_identity_.noise_keys(), rng_);
    client.handle_connected(now_);
    exchange(client);
    EXPECT_TRUE(server_.established());
}

TEST_F(SignalingClientTest, ANewNetworkEndsTheWaitForTheNextAttempt) {
    auto client = make();
    client.start(now_);
    client.handle_closed({}, now_);
    ASSERT_TRUE(next<SignalingClient::Lost>(client));
    client.reconnect(now_);
    const auto event = client.poll_event();
    ASSERT_TRUE(event);
    EXPECT_TRUE(std::holds_alternative<SignalingClient::ConnectNow>(*event));
}

TEST_F(SignalingClientTest, ANewNetworkDoesNotMakeAWrongKeyRight) {
    crypto::Key32 other{};
    auto client = make(other);
    client.start(now_);
    client.handle_connected(now_);
    exchange(client);
    ASSERT_TRUE(next<SignalingClient::Lost>(client));
    client.reconnect(now_);
    EXPECT_FALSE(client.poll_event());
}

TEST_F(SignalingClientTest, LogsInAndReportsTheKeyToPin) {
    auto client = make();
    log_in(client);
    const auto online = next<SignalingClient::Online>(client);
    ASSERT_TRUE(online);
    EXPECT_EQ(online->server_key, server_identity_.noise_keys().public_key);
    EXPECT_EQ(online->observed.text(), "192.0.2.1:5");
    EXPECT_EQ(online->second_stun_port, 3479);
    const auto hello = signaling::parse_hello(server_.hello());
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->id, identity_.id());
}

TEST_F(SignalingClientTest, RefusesAServerWithAnotherKeyAndDoesNotTryAgain) {
    auto client = make(crypto::Key32{1, 2, 3});
    client.start(now_);
    ASSERT_TRUE(next<SignalingClient::ConnectNow>(client));
    client.handle_connected(now_);
    exchange(client);
    const auto lost = next<SignalingClient::Lost>(client);
    ASSERT_TRUE(lost);
    EXPECT_EQ(lost->error.code, make_error_code(Errc::server_key_changed));
    EXPECT_EQ(client.next_timeout(), std::nullopt);
}

TEST_F(SignalingClientTest, BacksOffWithJitterBetweenAttempts) {
    auto client = make();
    client.start(now_);
    Duration previous{};
    for (int attempt = 0; attempt < 12; ++attempt) {
        ASSERT_TRUE(next<SignalingClient::ConnectNow>(client)) << attempt;
        client.handle_closed({.code = make_error_code(Errc::server_unreachable), .detail = {}}, now_);
        ASSERT_TRUE(next<SignalingClient::Lost>(client));
        const auto wait = *client.next_timeout() - now_;
        EXPECT_GE(wait, 250ms);
        EXPECT_LE(wait, 45s);
        if (attempt == 11) {
            EXPECT_GE(wait, 15s);
        }
        previous = wait;
        now_ = *client.next_timeout();
        client.handle_timeout(now_);
    }
    EXPECT_GT(previous, 1s);
}

TEST_F(SignalingClientTest, AServerInDoubtIsKeptIfItIsHeardSoon) {
    auto client = make();
    log_in(client);
    ASSERT_TRUE(next<SignalingClient::Online>(client));
    client.doubt(now_);
    ASSERT_TRUE(server_.send(signaling::serialize(signaling::ToPeer{signaling::Pong{.token = 1}})));
    client.handle_bytes(server_.poll_output(), now_ + 2s);
    client.handle_timeout(now_ + SignalingClient::kDoubt);
    EXPECT_TRUE(client.online());
}

TEST_F(SignalingClientTest, AServerInDoubtThatIsNotHeardIsGivenUpSoon) {
    auto client = make();
    log_in(client);
    ASSERT_TRUE(next<SignalingClient::Online>(client));
    client.doubt(now_);
    EXPECT_FALSE(client.poll_output().empty()) << "it is asked";
    client.doubt(now_ + 1s);
    client.handle_timeout(now_ + SignalingClient::kDoubt - 1ms);
    EXPECT_TRUE(client.online());
    client.handle_timeout(now_ + SignalingClient::kDoubt);
    EXPECT_FALSE(client.online());
}

TEST_F(SignalingClientTest, PingsASilentServerAndGivesItUpWithinThirtySeconds) {
    auto client = make();
    log_in(client);
    ASSERT_TRUE(next<SignalingClient::Online>(client));
    bool pinged = false;
    const auto start = now_;
    std::optional<SignalingClient::Lost> lost;
    while (!lost && now_ - start < 60s) {
        now_ = *client.next_timeout();
        client.handle_timeout(now_);
        const auto output = client.poll_output();
        if (!output.empty()) {
            ASSERT_TRUE(server_.handle_bytes(output));
            const auto frame = server_.poll_frame();
            ASSERT_TRUE(frame);
            const auto message = signaling::parse_to_server(*frame);
            ASSERT_TRUE(message);
            pinged = pinged || std::holds_alternative<signaling::Ping>(*message);
        }
        lost = next<SignalingClient::Lost>(client);
    }
    ASSERT_TRUE(lost);
    EXPECT_TRUE(pinged);
    EXPECT_TRUE(lost->was_online);
    EXPECT_LT(now_ - start, 30s);
}

TEST_F(SignalingClientTest, AnswersPingsAndPassesCallsOn) {
    auto client = make();
    log_in(client);
    say(signaling::Ping{.token = 42});
    say(signaling::End{.call = {9}, .reason = signaling::EndReason::offline});
    exchange(client);
    const auto frame = server_.poll_frame();
    ASSERT_TRUE(frame);
    const auto pong = signaling::parse_to_server(*frame);
    ASSERT_TRUE(pong);
    EXPECT_EQ(std::get<signaling::Pong>(*pong).token, 42U);
    const auto message = next<signaling::ToPeer>(client);
    ASSERT_TRUE(message);
    EXPECT_EQ(std::get<signaling::End>(*message).call.value, 9U);
}

TEST_F(SignalingClientTest, SurvivesGarbageFromTheServer) {
    auto client = make();
    client.start(now_);
    ASSERT_TRUE(next<SignalingClient::ConnectNow>(client));
    client.handle_connected(now_);
    client.handle_bytes(Bytes(300, 0xff), now_);
    EXPECT_TRUE(next<SignalingClient::Lost>(client));
    EXPECT_TRUE(client.next_timeout());
}

TEST_F(SignalingClientTest, GivesUpOnAServerThatNeverSaysWelcome) {
    auto client = make();
    client.start(now_);
    ASSERT_TRUE(next<SignalingClient::ConnectNow>(client));
    client.handle_connected(now_);
    EXPECT_EQ(client.next_timeout(), now_ + limits::kHandshakeTimeout);
    client.handle_timeout(now_ + limits::kHandshakeTimeout);
    EXPECT_TRUE(next<SignalingClient::Lost>(client));
}

}  // namespace
}  // namespace pinhole::session
