// Our client against our server, both without sockets, in virtual time: lifetimes of seconds, two clients that meet at
// the relay, and nothing left behind.
#include "common/stun/channel_data.hpp"
#include "peer/relay/turn_client.hpp"
#include "rendezvous/core/turn/turn_server.hpp"

#include <array>
#include <map>
#include <memory>

#include <gtest/gtest.h>

namespace pinhole::relay {
namespace {

constexpr Duration kLatency = 10ms;
const net::Endpoint kServer = *net::Endpoint::parse("203.0.113.1:3478");
const net::Endpoint kOutside = *net::Endpoint::parse("198.51.100.7:5000");

turn::TurnConfig short_lifetimes() {
    turn::TurnConfig config;
    config.lifetimes.allocation = 12s;
    config.lifetimes.max_allocation = 12s;
    config.lifetimes.permission = 10s;
    config.lifetimes.channel = 20s;
    config.lifetimes.channel_rest = 5s;
    return config;
}

class OwnServer : public ::testing::Test {
  protected:
    struct Peer {
        turn::TurnClient address;
        std::unique_ptr<TurnClient> client;
        std::vector<std::pair<net::PathAddresses, std::string>> received;
        std::vector<Event> events;
    };

    OwnServer() : OwnServer(short_lifetimes()) {}

    explicit OwnServer(const turn::TurnConfig& config)
        : lifetimes_(config.lifetimes),
          server_(config, authenticator(), turn::AddressPolicy{{.listeners = {kServer}, .own = {kServer.address}}},
                  rng_) {
        add("192.0.2.5:4000", turn::TurnTransport::udp);
        add("192.0.2.6:4000", turn::TurnTransport::tcp);
    }

    turn::Authenticator authenticator() {
        return turn::Authenticator{{.secrets = {"north"}, .unix_time = std::chrono::seconds{1'000'000}}, rng_};
    }

    void add(const char* address, turn::TurnTransport transport) {
        const auto username = turn::rest_username(std::chrono::seconds{2'000'000}, std::to_string(peers_.size()));
        // No answer says how long permissions and channels last: both sides have to know.
        Config config{.stream = transport != turn::TurnTransport::udp,
                      .credentials = {.username = username, .password = turn::rest_password("north", username)},
                      .permission_lifetime = lifetimes_.permission,
                      .channel_lifetime = lifetimes_.channel};
        peers_.push_back(
            {.address = {.path = {.local = kServer, .remote = *net::Endpoint::parse(address)}, .transport = transport},
             .client = std::make_unique<TurnClient>(std::move(config), rng_),
             .received = {},
             .events = {}});
    }

    void allocate() {
        for (auto& peer : peers_) {
            peer.client->allocate(now_);
        }
        run_for(100ms);
    }

    bool send(std::size_t from, const net::Endpoint& to, std::string_view text) {
        auto& peer = peers_[from];
        std::array<std::uint8_t, 1500> out{};
        const auto message = peer.client->wrap({.local = relayed(from), .remote = to}, as_bytes(text), out, now_);
        // As the shell does: what has to be asked first leaves first.
        drain();
        if (!message.empty()) {
            to_server_.emplace(now_ + kLatency, std::pair{from, to_bytes(message)});
        }
        return !message.empty();
    }

    net::Endpoint relayed(std::size_t index) const {
        const auto& relayed = peers_[index].client->relayed();
        return relayed.empty() ? net::Endpoint{} : relayed.front();
    }

    void run_for(Duration duration) {
        const auto end = now_ + duration;
        drain();
        while (const auto due = next()) {
            if (*due > end) {
                break;
            }
            now_ = std::max(now_, *due);
            deliver();
            for (auto& peer : peers_) {
                peer.client->handle_timeout(now_);
            }
            server_.handle_timeout(now_);
            drain();
        }
        now_ = end;
    }

    /// Both send to the other once a second.
    void expect_no_loss(std::size_t seconds) {
        allocate();
        ASSERT_TRUE(peers_[0].client->allocated());
        ASSERT_TRUE(peers_[1].client->allocated());
        peers_[0].client->permit(relayed(1), now_);
        peers_[1].client->permit(relayed(0), now_);
        run_for(100ms);
        for (std::size_t second = 0; second < seconds; ++second) {
            EXPECT_TRUE(send(0, relayed(1), "there"));
            EXPECT_TRUE(send(1, relayed(0), "back"));
            run_for(1s);
        }
        EXPECT_EQ(peers_[0].received.size(), seconds);
        EXPECT_EQ(peers_[1].received.size(), seconds);
        EXPECT_EQ(peers_[1].received.back().first, (net::PathAddresses{.local = relayed(1), .remote = relayed(0)}));
        EXPECT_EQ(peers_[1].received.back().second, "there");
        EXPECT_EQ(server_.counts().channels, 2U);
    }

    SeededRng rng_{3};
    TimePoint now_{};
    turn::TurnConfig::Lifetimes lifetimes_;
    turn::TurnServer server_;
    std::vector<Peer> peers_;
    std::vector<turn::ToPeer> outside_;
    /// Requests with a nonce, as they came in.
    std::vector<Bytes> signed_;

  private:
    std::optional<TimePoint> next() {
        auto next = server_.next_timeout();
        for (const auto& peer : peers_) {
            next = earliest(next, peer.client->next_timeout());
        }
        for (const auto* queue : {&to_server_, &to_client_}) {
            next = queue->empty() ? next : earliest(next, queue->begin()->first);
        }
        return next;
    }

    void deliver() {
        while (!to_server_.empty() && to_server_.begin()->first <= now_) {
            const auto [from, message] = std::move(to_server_.begin()->second);
            to_server_.erase(to_server_.begin());
            if (const auto view = stun::MessageView::parse(message); view && view->nonce()) {
                signed_.push_back(message);
            }
            server_.handle_client(peers_[from].address, message, now_);
            drain_server();
        }
        while (!to_client_.empty() && to_client_.begin()->first <= now_) {
            auto [to, message] = std::move(to_client_.begin()->second);
            to_client_.erase(to_client_.begin());
            if (const auto data = peers_[to].client->handle_message(message, now_)) {
                peers_[to].received.emplace_back(data->path, std::string{as_text(data->payload)});
            }
        }
    }

    void drain() {
        for (std::size_t i = 0; i < peers_.size(); ++i) {
            while (auto message = peers_[i].client->poll_transmit()) {
                to_server_.emplace(now_ + kLatency, std::pair{i, *std::move(message)});
            }
            while (auto event = peers_[i].client->poll_event()) {
                peers_[i].events.push_back(*std::move(event));
            }
        }
        drain_server();
    }

    void drain_server() {
        while (auto output = server_.poll_output()) {
            if (const auto* answer = std::get_if<turn::ToClient>(&*output)) {
                const std::size_t index = answer->client == peers_[0].address ? 0 : 1;
                to_client_.emplace(now_ + kLatency, std::pair{index, answer->message});
            } else if (const auto* open = std::get_if<turn::OpenRelay>(&*output)) {
                const net::Endpoint relayed{.address = kServer.address, .port = ++last_port_};
                relays_[relayed] = open->relay;
                server_.handle_relay_opened(open->relay, relayed, now_);
            } else if (auto* datagram = std::get_if<turn::ToPeer>(&*output)) {
                relay(*datagram);
            }
        }
    }

    void relay(const turn::ToPeer& datagram) {
        const auto target = relays_.find(datagram.peer);
        if (target == relays_.end()) {
            outside_.push_back(datagram);
            return;
        }
        for (const auto& [endpoint, relay] : relays_) {
            if (relay == datagram.relay) {
                server_.handle_peer(target->second, endpoint, datagram.payload, now_);
                return;
            }
        }
    }

    std::uint16_t last_port_ = 50000;
    std::map<net::Endpoint, turn::RelayId> relays_;
    std::multimap<TimePoint, std::pair<std::size_t, Bytes>> to_server_;
    std::multimap<TimePoint, std::pair<std::size_t, Bytes>> to_client_;
};

TEST_F(OwnServer, TwoClientsMeetAtTheRelayAndLoseNothingForTenMinutes) {
    expect_no_loss(660);
}

class OwnServerAsUsual : public OwnServer {
  protected:
    OwnServerAsUsual() : OwnServer(turn::TurnConfig{}) {}
};

TEST_F(OwnServerAsUsual, ThreeHoursLoseNothingWithTheLifetimesOfTheRfc) {
    expect_no_loss(3 * 3600);
}

TEST_F(OwnServer, DataLeavesWithTheRequestForItsPermission) {
    allocate();
    const auto began = now_;
    EXPECT_TRUE(send(0, kOutside, "first"));
    while (outside_.empty() && now_ - began < 1s) {
        run_for(1ms);
    }
    ASSERT_EQ(outside_.size(), 1U);
    EXPECT_EQ(now_ - began, kLatency);
    EXPECT_EQ(outside_[0].peer, kOutside);
}

TEST_F(OwnServer, WhatIsRefusedByPolicyIsNotSent) {
    allocate();
    const auto inside = *net::Endpoint::parse("192.168.1.1:80");
    static_cast<void>(send(0, inside, "request"));
    run_for(100ms);
    EXPECT_FALSE(send(0, inside, "request"));
    EXPECT_TRUE(outside_.empty());
}

TEST_F(OwnServer, NothingIsLeftOfWhatIsGivenBack) {
    allocate();
    EXPECT_TRUE(send(0, kOutside, "data"));
    run_for(1s);
    EXPECT_EQ(server_.counts().allocations, 2U);
    for (auto& peer : peers_) {
        peer.client->release(now_);
    }
    run_for(1min);
    EXPECT_EQ(server_.counts(), turn::TurnCounts{});
}

TEST_F(OwnServer, RequestsAreSignedWithSha256Alone) {
    allocate();
    ASSERT_TRUE(peers_[0].client->allocated());
    ASSERT_EQ(signed_.size(), 2U);
    for (const auto& message : signed_) {
        const auto view = stun::MessageView::parse(message);
        ASSERT_TRUE(view);
        EXPECT_EQ(view->password_algorithm(), stun::PasswordAlgorithm::sha256);
        EXPECT_FALSE(view->integrity());
    }
}

TEST_F(OwnServer, MeasuringAllocatesNothing) {
    peers_[0].client->measure(now_);
    run_for(100ms);
    ASSERT_EQ(peers_[0].events.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<Challenged>(peers_[0].events[0]));
    EXPECT_EQ(server_.counts(), turn::TurnCounts{});
}

}  // namespace
}  // namespace pinhole::relay
