// A TURN server with virtual time, a shell that opens whatever is wanted, and clients that know their part of the
// credentials (RFC 8489 §9.2.5).
#pragma once

#include "common/base/rng.hpp"
#include "common/stun/builder.hpp"
#include "common/stun/channel_data.hpp"
#include "common/stun/integrity.hpp"
#include "common/stun/message.hpp"
#include "rendezvous/core/turn/turn_server.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace pinhole::turn::test {

using stun::AttributeType;
using stun::MessageBuilder;
using stun::MessageClass;
using stun::MessageView;

inline net::Endpoint endpoint(std::string_view text) {
    return *net::Endpoint::parse(text);
}

inline net::Address address(std::string_view text) {
    return *net::Address::parse(text);
}

inline constexpr std::string_view kSecret = "a secret of the test";
inline constexpr std::chrono::seconds kUnixTime{1'800'000'000};
inline const net::Endpoint kServer = endpoint("203.0.113.10:3478");
inline const net::Endpoint kServerV6 = endpoint("[2001:db8::10]:3478");
inline const net::Endpoint kPeer = endpoint("198.51.100.7:7000");
inline const net::Endpoint kOtherPeer = endpoint("198.51.100.8:8000");
inline const net::Endpoint kPeerV6 = endpoint("[2001:db8:7::7]:7000");

/// One message that a client got; it keeps its bytes.
class Reply {
  public:
    explicit Reply(Bytes bytes) : bytes_(std::move(bytes)) {}

    [[nodiscard]] MessageView view() const { return MessageView::parse(bytes_).value(); }

    [[nodiscard]] const Bytes& bytes() const { return bytes_; }

    [[nodiscard]] bool ok() const { return view().message_class() == MessageClass::success; }

    /// 0 for a success.
    [[nodiscard]] int error() const { return ok() ? 0 : view().error_code().value().code; }

  private:
    Bytes bytes_;
};

struct Client {
    TurnClient tuple;
    std::string username;
    std::string password;
    std::string nonce{};
    std::string realm{};
    bool sha256 = false;

    [[nodiscard]] Bytes key() const {
        return sha256 ? to_bytes(stun::long_term_key_sha256(username, realm, password))
                      : to_bytes(stun::long_term_key(username, realm, password));
    }

    void sign(MessageBuilder& builder) const {
        builder.text(AttributeType::username, username)
            .text(AttributeType::realm, realm)
            .text(AttributeType::nonce, nonce);
        if (sha256) {
            builder.password_algorithms(std::array{stun::PasswordAlgorithm::sha256, stun::PasswordAlgorithm::md5})
                .password_algorithm(stun::PasswordAlgorithm::sha256)
                .integrity_sha256(key());
        } else {
            builder.integrity(key());
        }
    }
};

using Fill = std::function<void(MessageBuilder&)>;

inline Fill nothing() {
    return [](MessageBuilder&) {};
}

inline Fill udp() {
    return [](MessageBuilder& builder) { builder.requested_transport(stun::kTransportUdp); };
}

inline Fill tcp() {
    return [](MessageBuilder& builder) { builder.requested_transport(stun::kTransportTcp); };
}

inline Fill to(const net::Endpoint& peer) {
    return [peer](MessageBuilder& builder) { builder.address(AttributeType::xor_peer_address, peer); };
}

inline Fill channel(std::uint16_t number, const net::Endpoint& peer) {
    return
        [=](MessageBuilder& builder) { builder.channel_number(number).address(AttributeType::xor_peer_address, peer); };
}

inline Fill lasting(int seconds) {
    return [=](MessageBuilder& builder) {
        builder.requested_transport(stun::kTransportUdp).lifetime(std::chrono::seconds{seconds});
    };
}

struct Setup {
    TurnConfig config{.v6 = true};
    std::vector<Authenticator::User> users{{.name = "user", .password = "password"}};
    std::vector<AddressRange> allow{};
    std::vector<std::string> secrets{std::string{kSecret}};
};

class World {
  public:
    explicit World(const Setup& setup = {}, std::uint64_t seed = 1)
        : rng_(seed),
          server(
              setup.config,
              Authenticator{
                  {.secrets = setup.secrets, .users = setup.users, .unix_time = kUnixTime, .unix_time_at = now}, rng_},
              AddressPolicy{{.allow = setup.allow,
                             .listeners = {kServer, kServerV6},
                             .own = {kServer.address, kServerV6.address}}},
              rng_) {}

    [[nodiscard]] Client client(std::uint16_t port = 40000, TurnTransport transport = TurnTransport::udp) {
        return {
            .tuple = {.path = {.local = kServer, .remote = {.address = net::Address::v4({192, 0, 2, 9}), .port = port}},
                      .transport = transport},
            .username = "user",
            .password = "password"};
    }

    [[nodiscard]] stun::TransactionId transaction() { return stun::TransactionId::generate(rng_); }

    void send(const Client& client, const Bytes& message) {
        server.handle_client(client.tuple, message, now);
        drain();
    }

    /// A request as it stands, once; nullopt if there is no answer.
    std::optional<Reply> ask_once(const Client& client, stun::Method method, const Fill& fill,
                                  std::optional<stun::TransactionId> id = {}) {
        MessageBuilder builder{MessageClass::request, method, id ? *id : transaction()};
        fill(builder);
        if (!client.nonce.empty()) {
            client.sign(builder);
        }
        send(client, builder.finish());
        return take(client);
    }

    /// As a client does it: with a new nonce where the server wants one.
    Reply ask(Client& client, stun::Method method, const Fill& fill, std::optional<stun::TransactionId> id = {}) {
        for (int attempt = 0;; ++attempt) {
            auto reply = ask_once(client, method, fill, id).value();
            const auto code = reply.error();
            if (attempt == 2 || (code != 438 && (code != 401 || !client.nonce.empty()))) {
                return reply;
            }
            client.nonce = *reply.view().nonce();
            client.realm = *reply.view().realm();
        }
    }

    net::Endpoint allocate(Client& client, const Fill& fill = udp()) {
        return ask(client, stun::kAllocate, fill).view().xor_relayed_address().value();
    }

    void indicate(const Client& client, const net::Endpoint& peer, std::string_view data) {
        MessageBuilder builder{MessageClass::indication, stun::kSend, transaction()};
        builder.address(AttributeType::xor_peer_address, peer).text(AttributeType::data, data);
        send(client, builder.finish());
    }

    /// What comes out of a channel, as the shell would pass it on.
    void on_channel(const Client& client, std::uint16_t number, std::string_view data) {
        send(client, stun::channel_message({.channel = number, .payload = as_bytes(data)}, client.tuple.is_stream()));
    }

    void from_peer(const net::Endpoint& relayed, const net::Endpoint& peer, std::string_view data) {
        const auto found = relays.find(relayed);
        if (found != relays.end()) {
            server.handle_peer(found->second, peer, as_bytes(data), now);
            drain();
        }
    }

    /// Through every deadline in between.
    void pass(Duration time) {
        const auto end = now + time;
        for (auto next = server.next_timeout(); next && *next <= end; next = server.next_timeout()) {
            now = std::max(now, *next);
            server.handle_timeout(now);
            drain();
        }
        now = end;
    }

    /// The oldest message to this client.
    std::optional<Reply> take(const Client& client) {
        auto& inbox = to_clients[client.tuple];
        if (inbox.empty()) {
            return std::nullopt;
        }
        Reply reply{std::move(inbox.front())};
        inbox.erase(inbox.begin());
        return reply;
    }

    void drain() {
        while (auto output = server.poll_output()) {
            std::visit([this](auto& what) { carry_out(what); }, *output);
        }
    }

    void open(const OpenRelay& wanted) {
        auto port = next_port;
        next_port = static_cast<std::uint16_t>(next_port + 1);
        if (wanted.port != PortWish::any && port % 2 != 0) {
            port = next_port++;
        }
        if (wanted.next) {
            next_port = static_cast<std::uint16_t>(port + 2);
        }
        const auto host = wanted.family == net::Family::v4 ? kServer.address : kServerV6.address;
        const net::Endpoint relayed{.address = host, .port = port};
        relays[relayed] = wanted.relay;
        if (wanted.next) {
            relays[{.address = host, .port = static_cast<std::uint16_t>(port + 1)}] = *wanted.next;
        }
        server.handle_relay_opened(wanted.relay, relayed, now);
    }

    void carry_out(OpenRelay& wanted) {
        if (answers_openings) {
            open(wanted);
        } else {
            openings.push_back(wanted);
        }
    }

    void carry_out(CloseRelay& closed) {
        std::erase_if(relays, [&](const auto& entry) { return entry.second == closed.relay; });
        closed_relays.push_back(closed.relay);
    }

    void carry_out(ToClient& sent) { to_clients[sent.client].push_back(std::move(sent.message)); }

    void carry_out(ToPeer& sent) { to_peers.push_back(std::move(sent)); }

    void carry_out(ConnectPeer& wanted) { connects.push_back(wanted); }

    void carry_out(PairStreams& paired) { pairs.push_back(paired); }

    void carry_out(CloseStream& closed) { closed_streams.push_back(closed.stream); }

  private:
    SeededRng rng_;

  public:
    TimePoint now{1000s};
    TurnServer server;
    bool answers_openings = true;
    std::uint16_t next_port = 50000;
    std::map<net::Endpoint, RelayId> relays;
    std::map<TurnClient, std::vector<Bytes>> to_clients;
    std::vector<ToPeer> to_peers;
    std::vector<OpenRelay> openings;
    std::vector<RelayId> closed_relays;
    std::vector<ConnectPeer> connects;
    std::vector<PairStreams> pairs;
    std::vector<StreamId> closed_streams;
};

}  // namespace pinhole::turn::test
