// A server and its peers in one process under virtual time, joined by byte queues without delay.
#pragma once

#include "common/base/limits.hpp"
#include "common/signaling/codec.hpp"
#include "common/signaling/secure_link.hpp"
#include "rendezvous/core/server.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::rendezvous {

using signaling::CallId;
using signaling::End;
using signaling::EndReason;

/// The client's end of one connection.
struct Peer {
    crypto::PeerId id;
    signaling::SecureLink link;
    ConnectionId connection;
    std::vector<signaling::ToPeer> inbox{};
    std::optional<std::string> closed{};  ///< the server's reason
    bool answers_pings = true;
    bool reads = true;
    std::uint64_t last_ping = 0;

    void send(const signaling::ToServer& message) { ASSERT_TRUE(link.send(signaling::serialize(message))); }

    template <class T>
    [[nodiscard]] std::vector<T> all() const {
        std::vector<T> found;
        for (const auto& message : inbox) {
            if (const auto* body = std::get_if<T>(&message)) {
                found.push_back(*body);
            }
        }
        return found;
    }

    /// The only message of its kind.
    template <class T>
    [[nodiscard]] T one() const {
        const auto found = all<T>();
        EXPECT_EQ(found.size(), 1U);
        return found.empty() ? T{} : found.front();
    }
};

inline crypto::Identity identity(std::uint8_t number) {
    crypto::Key32 seed{};
    seed.fill(number);
    return crypto::Identity::from_seed(crypto::SecretKey{seed});
}

inline net::Endpoint from(const char* text) {
    return *net::Endpoint::parse(text);
}

inline net::Candidate candidate(std::uint16_t port) {
    return {.type = net::CandidateType::host,
            .endpoint = {.address = net::Address::v4({192, 0, 2, 9}), .port = port},
            .base = {},
            .priority = 1,
            .foundation = "1"};
}

class World {
  public:
    explicit World(const Config& config = {}, std::uint64_t seed = 1)
        : rng_(seed), server_(make_keys(), config, rng_) {}

    /// A connection whose handshake has been started, but nothing delivered.
    Peer& open(std::uint8_t number, const char* address = "198.51.100.1:1000") {
        const auto who = identity(number);
        return open_as(who.id(), who.noise_keys(), address);
    }

    Peer& open_as(const crypto::PeerId& id, crypto::KeyPair keys, const char* address, std::uint32_t version = 1) {
        return add(id, std::move(keys), version, server_.open(from(address), now_));
    }

    /// At an address of the server that has this other STUN port.
    Peer& open_at(std::uint8_t number, std::uint16_t second_stun_port) {
        const auto who = identity(number);
        const auto connection = server_.open(from("198.51.100.1:1000"), now_, second_stun_port);
        return add(who.id(), who.noise_keys(), 1, connection);
    }

    Peer& log_in(std::uint8_t number, const char* address = "198.51.100.1:1000") {
        auto& peer = open(number, address);
        pump();
        EXPECT_FALSE(peer.closed) << *peer.closed;
        return peer;
    }

    /// Moves bytes until nobody has any left.
    void pump() {
        bool moved = true;
        while (moved) {
            moved = false;
            for (const auto& peer : peers_) {
                if (const auto bytes = peer->closed ? Bytes{} : peer->link.poll_output(); !bytes.empty()) {
                    server_.handle_bytes(peer->connection, bytes, now_);
                    moved = true;
                }
            }
            moved = drain() || moved;
        }
    }

    /// Lets time pass, with every timer at its own instant.
    void advance(Duration duration) {
        const auto end = now_ + duration;
        pump();
        for (auto next = server_.next_timeout(); next && *next <= end; next = server_.next_timeout()) {
            now_ = std::max(now_, *next);
            server_.handle_timeout(now_);
            pump();
        }
        now_ = end;
    }

    void hang_up(Peer& peer) {
        peer.closed = "by the test";
        server_.handle_closed(peer.connection, now_);
        pump();
    }

    void answer_ping(Peer& peer) {
        peer.send(signaling::Pong{.token = peer.last_ping});
        pump();
    }

    void expect_empty() const {
        const auto stats = server_.stats();
        EXPECT_EQ(stats.connections, 0U);
        EXPECT_EQ(stats.identities, 0U);
        EXPECT_EQ(stats.calls, 0U);
        EXPECT_EQ(server_.next_timeout(), std::nullopt);
    }

    [[nodiscard]] Server& server() { return server_; }

    [[nodiscard]] TimePoint now() const { return now_; }

    [[nodiscard]] SeededRng& rng() { return rng_; }

    [[nodiscard]] std::vector<std::unique_ptr<Peer>>& peers() { return peers_; }

  private:
    static crypto::KeyPair make_keys() {
        EXPECT_TRUE(crypto::initialize());
        return identity(255).noise_keys();
    }

    Peer& add(const crypto::PeerId& id, crypto::KeyPair keys, std::uint32_t version, ConnectionId connection) {
        const signaling::Hello hello{.id = id, .version = version, .agent = "test"};
        peers_.push_back(std::make_unique<Peer>(
            Peer{.id = id,
                 .link = signaling::SecureLink::client(std::move(keys), signaling::serialize(hello), rng_),
                 .connection = connection}));
        return *peers_.back();
    }

    Peer* find(ConnectionId connection) {
        for (const auto& peer : peers_) {
            if (peer->connection == connection) {
                return peer.get();
            }
        }
        return nullptr;
    }

    bool drain() {
        bool moved = false;
        while (const auto output = server_.poll_output()) {
            if (auto* peer = find(output->connection)) {
                read(*peer, output->bytes);
            }
            moved = true;
        }
        while (const auto close = server_.poll_close()) {
            if (auto* peer = find(close->connection)) {
                peer->closed = close->reason;
            }
            moved = true;
        }
        return moved;
    }

    static void read(Peer& peer, ByteView bytes) {
        if (peer.closed || !peer.reads) {
            return;
        }
        ASSERT_TRUE(peer.link.handle_bytes(bytes));
        while (const auto frame = peer.link.poll_frame()) {
            const auto message = signaling::parse_to_peer(*frame);
            ASSERT_TRUE(message);
            if (const auto* ping = std::get_if<signaling::Ping>(&*message)) {
                peer.last_ping = ping->token;
                if (peer.answers_pings) {
                    peer.send(signaling::Pong{.token = ping->token});
                }
            } else {
                peer.inbox.push_back(*message);
            }
        }
    }

    SeededRng rng_;
    TimePoint now_{1h};
    Server server_;
    std::vector<std::unique_ptr<Peer>> peers_;
};

inline signaling::Connect call_to(const Peer& callee, std::uint64_t id = 1) {
    return {.call = {id}, .to = callee.id, .handshake = {1, 2, 3}, .candidates = {candidate(1)}};
}

}  // namespace pinhole::rendezvous
