// A TURN server as the client sees one, with an oracle's memory: which permissions and channels exist, and when they
// end. Made for one client, in virtual time; refuses what it is told to refuse.
#pragma once

#include "common/stun/builder.hpp"
#include "common/stun/message.hpp"
#include "peer/relay/turn_client.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pinhole::relay::testing {

[[nodiscard]] net::Endpoint at(std::string_view text);

class FakeServer {
  public:
    struct Settings {
        Credentials credentials{.username = "2000000000:peer", .password = "secret"};
        std::string realm = "lab";
        std::vector<net::Endpoint> relayed{at("198.51.100.9:50000")};
        Duration lifetime = 10min;
        Duration permission_lifetime = 5min;
        Duration channel_lifetime = 10min;
        bool challenges = true;
        /// In PASSWORD-ALGORITHMS, and told by the nonce; empty: the server is older than RFC 8489.
        std::vector<stun::PasswordAlgorithm> algorithms{};
    };

    Settings settings{};
    std::string nonce = "n1";
    /// Answered to the next request of this method instead of what is right.
    std::map<std::uint16_t, std::deque<std::uint16_t>> errors{};
    bool silent = false;
    /// Answers without MESSAGE-INTEGRITY.
    bool unsigned_answers = false;
    /// Somebody on the way takes PASSWORD-ALGORITHMS out of answers, or puts another one in.
    bool algorithms_removed = false;
    /// And a nonce that tells of none.
    std::optional<std::string> nonce_replaced{};
    std::optional<std::vector<stun::PasswordAlgorithm>> algorithms_replaced{};
    /// What each request was signed with; nullopt: MD5 and SHA-1.
    std::vector<std::optional<stun::PasswordAlgorithm>> signed_with{};

    struct Delivered {
        net::Endpoint peer;
        Bytes payload;
        bool in_channel = false;
    };

    /// Requests by method, as they came in.
    std::vector<std::uint16_t> requests{};
    std::vector<Delivered> delivered{};
    int dropped = 0;

    /// What the server says to one message of the client.
    std::vector<Bytes> handle(ByteView message, TimePoint now);
    /// A peer's datagram as the client gets it; nullopt: it has no permission.
    [[nodiscard]] std::optional<Bytes> from_peer(const net::Endpoint& peer, ByteView payload, TimePoint now) const;

    [[nodiscard]] bool allocated(TimePoint now) const { return allocation_ && *allocation_ > now; }

    [[nodiscard]] bool permits(const net::Address& peer, TimePoint now) const;
    [[nodiscard]] std::optional<std::uint16_t> channel_of(const net::Endpoint& peer, TimePoint now) const;

    void forget() { allocation_.reset(); }

    [[nodiscard]] std::size_t count(stun::Method method) const;

  private:
    struct Channel {
        net::Endpoint peer;
        TimePoint expires{};
    };

    Bytes answer(const stun::MessageView& request, TimePoint now);
    [[nodiscard]] std::optional<std::uint16_t> judge(const stun::MessageView& request);
    [[nodiscard]] Bytes key(const std::optional<stun::PasswordAlgorithm>& algorithm) const;
    [[nodiscard]] std::string full_nonce() const;
    Bytes refuse(const stun::MessageView& request, std::uint16_t code) const;
    Bytes finish(stun::MessageBuilder builder) const;
    void deliver(const net::Endpoint& peer, ByteView payload, bool in_channel, TimePoint now);

    std::optional<TimePoint> allocation_;
    std::map<net::Address, TimePoint> permissions_;
    std::map<std::uint16_t, Channel> channels_;
};

/// A client and a server with 10 ms each way between them, and time that jumps.
class World {
  public:
    explicit World(Config config = {}, FakeServer::Settings settings = {});

    void run_for(Duration duration);

    /// Until nothing is under way.
    void settle() { run_for(200ms); }

    /// The client sends a payload; false if it does not take it.
    bool send(const net::Endpoint& peer, std::string_view payload);
    void peer_sends(const net::Endpoint& peer, std::string_view payload);

    template <class T>
    [[nodiscard]] const T* last() const {
        for (auto event = events.rbegin(); event != events.rend(); ++event) {
            if (const auto* found = std::get_if<T>(&*event)) {
                return found;
            }
        }
        return nullptr;
    }

    SeededRng rng{11};
    TimePoint now{};
    FakeServer server;
    TurnClient client;
    std::vector<Event> events{};
    std::vector<std::pair<net::PathAddresses, std::string>> received{};

  private:
    void drain();
    [[nodiscard]] std::optional<TimePoint> next() const;

    std::multimap<TimePoint, Bytes> to_server_;
    std::multimap<TimePoint, Bytes> to_client_;
};

/// The same, with the allocation made.
class AllocatedWorld : public World {
  public:
    explicit AllocatedWorld(Config config = {}, FakeServer::Settings settings = {});
};

}  // namespace pinhole::relay::testing
