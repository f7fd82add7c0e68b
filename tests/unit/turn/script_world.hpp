// A TURN server that lives through a script of anything that clients, peers, the shell and time can do, in any order,
// with a shell that keeps books: what the server has and what the shell has open must agree after every step, and when
// all time is over nothing may be left. For the fuzzer, and for scripts from a seed.
#pragma once

#include "tests/fuzz/script.hpp"
#include "tests/unit/turn/world.hpp"

#include <array>
#include <set>
#include <vector>

namespace pinhole::turn::test {

class ScriptWorld {
  public:
    explicit ScriptWorld(std::uint64_t seed)
        : rng_(seed),
          server_(config(),
                  Authenticator{{.secrets = {std::string{kSecret}},
                                 .users = {{.name = "user", .password = "password"}},
                                 .unix_time = kUnixTime,
                                 .unix_time_at = now_},
                                rng_},
                  policy(), rng_) {
        constexpr std::array kTransports{TurnTransport::udp, TurnTransport::udp, TurnTransport::tcp,
                                         TurnTransport::tls, TurnTransport::tcp, TurnTransport::tcp};
        for (std::size_t i = 0; i < kTransports.size(); ++i) {
            Client client{.tuple = {.path = {.local = kServer,
                                             .remote = {.address = net::Address::v4({192, 0, 2, 9}),
                                                        .port = static_cast<std::uint16_t>(1000 + i)}},
                                    .transport = kTransports[i]},
                          .username = "user",
                          .password = "password"};
            if (i % 2 == 1) {
                client.username = rest_username(kUnixTime + 1000s, "peer");
                client.password = rest_password(kSecret, client.username);
            }
            clients_.push_back(client);
        }
    }

    void step(fuzz::ScriptReader& script) {
        auto& client = clients_[script.byte() % clients_.size()];
        // What is needed to come far is more likely than what ends it.
        static constexpr std::array kWhats{0, 0, 1, 2, 2, 2, 3, 3, 3, 4, 4,  5,  5,  5,  6,  6,  6,  6, 7,
                                           7, 7, 8, 8, 8, 8, 8, 9, 9, 9, 10, 10, 10, 11, 12, 13, 14, 15};
        const auto what = kWhats[script.byte() % kWhats.size()];
        if (what < 8) {
            client_acts(client, what, script);
        } else {
            others_act(client, what, script);
        }
        drain();
        check();
    }

    /// Nobody does anything any more.
    void end() {
        for (auto next = server_.next_timeout(); next; next = server_.next_timeout()) {
            fuzz::require(*next <= now_ + 3600s + 900s + 60s);
            server_.handle_timeout(*next);
            drain();
            check();
        }
        fuzz::require(server_.counts() == TurnCounts{});
        fuzz::require(relays_.empty() && streams_.empty());
    }

    [[nodiscard]] const TurnStats& stats() const { return server_.stats(); }

    [[nodiscard]] std::uint64_t paired() const { return paired_; }

  private:
    static TurnConfig config() {
        TurnConfig config{.v6 = true};
        config.limits.allocations = 5;
        config.limits.allocations_per_account = 4;
        config.limits.permissions = 3;
        config.limits.channels = 3;
        config.limits.streams = 2;
        config.limits.account_bytes_per_second = 10'000;
        config.strangers = {.per_second = 1e9, .burst = 1e9};
        return config;
    }

    static AddressPolicy policy() {
        return AddressPolicy{{.listeners = {kServer}, .own = {kServer.address, kServerV6.address}}};
    }

    /// Short, so that a script says much.
    static Bytes blob(fuzz::ScriptReader& script) {
        Bytes bytes(script.byte() % 16U);
        std::ranges::generate(bytes, [&] { return script.byte(); });
        return bytes;
    }

    net::Endpoint peer(fuzz::ScriptReader& script) {
        static const std::array kPeers{kPeer,
                                       kOtherPeer,
                                       kPeerV6,
                                       kServer,
                                       endpoint("127.0.0.1:7"),
                                       endpoint("203.0.113.10:50000"),
                                       endpoint("[2001:db8::10]:50001"),
                                       endpoint("[::ffff:198.51.100.7]:7000"),
                                       endpoint("198.51.100.9:9"),
                                       endpoint("[fe80::1]:9")};
        return kPeers[script.byte() % kPeers.size()];
    }

    void client_acts(Client& client, int what, fuzz::ScriptReader& script) {
        switch (what) {
            case 0:
                return ask(client, stun::kAllocate, wishes(script));
            case 1: {
                const std::chrono::seconds lifetime{script.byte() * 16};
                return ask(client, stun::kRefresh, [=](auto& builder) { builder.lifetime(lifetime); });
            }
            case 2:
                return ask(client, stun::kCreatePermission, to(peer(script)));
            case 3: {
                const auto number = static_cast<std::uint16_t>(0x3fff + script.byte() % 5);
                return ask(client, stun::kChannelBind, channel(number, peer(script)));
            }
            case 4:
                return say(client, MessageBuilder{MessageClass::indication, stun::kSend, transaction()}
                                       .address(AttributeType::xor_peer_address, peer(script))
                                       .attribute(AttributeType::data, blob(script))
                                       .finish());
            case 5: {
                const auto number = static_cast<std::uint16_t>(0x3fff + script.byte() % 5);
                return say(client, stun::channel_message({.channel = number, .payload = blob(script)}, false));
            }
            case 6:
                return ask(client, stun::kConnect, to(peer(script)));
            default: {
                const auto id = connections_.empty() ? 0 : connections_[script.byte() % connections_.size()];
                return ask(client, stun::kConnectionBind,
                           [=](auto& builder) { builder.u32(AttributeType::connection_id, id); });
            }
        }
    }

    void others_act(Client& client, int what, fuzz::ScriptReader& script) {
        switch (what) {
            case 8:
                return open_or_fail(script);
            case 9: {
                // By a peer, at any name that there is, was, or never was.
                const auto relay = relay_of(script);
                server_.handle_peer(relay, peer(script), blob(script), now_);
                return;
            }
            case 10:
                return stream_event(script);
            case 11:
                server_.handle_client_closed(client.tuple, now_);
                return;
            case 12:
                return pass(std::chrono::seconds{script.byte()});
            case 13:
                return anything(client, script);
            case 14:
                return say(client, blob(script));
            default:
                server_.handle_icmp(relay_of(script), peer(script), {.type = script.byte(), .code = script.byte()},
                                    now_);
        }
    }

    Fill wishes(fuzz::ScriptReader& script) {
        const unsigned flags = script.byte();
        const auto token = tokens_.empty() ? 0 : tokens_[script.byte() % tokens_.size()];
        return [=](MessageBuilder& builder) {
            builder.requested_transport((flags & 1U) != 0 ? stun::kTransportTcp : stun::kTransportUdp);
            if ((flags & 2U) != 0) {
                builder.even_port((flags & 4U) != 0);
            }
            if ((flags & 24U) == 8) {
                builder.address_family(AttributeType::requested_address_family,
                                       (flags & 32U) != 0 ? net::Family::v6 : net::Family::v4);
            }
            if ((flags & 24U) == 16) {
                builder.address_family(AttributeType::additional_address_family, net::Family::v6);
            }
            if ((flags & 192U) == 64) {
                builder.u64(AttributeType::reservation_token, token);
            }
        };
    }

    /// A well-signed message with any method and any attributes.
    void anything(Client& client, fuzz::ScriptReader& script) {
        const stun::Method method{script.byte()};
        std::vector<std::pair<AttributeType, Bytes>> attributes;
        for (unsigned left = script.byte() % 6U; left > 0; --left) {
            const AttributeType type{
                static_cast<std::uint16_t>(script.byte() % 0x30 | (script.byte() % 4 == 0 ? 0x8000 : 0))};
            if (type != AttributeType::message_integrity && type != AttributeType::message_integrity_sha256) {
                attributes.emplace_back(type, blob(script));
            }
        }
        ask(client, method, [&](MessageBuilder& builder) {
            for (const auto& [type, value] : attributes) {
                builder.attribute(type, value);
            }
        });
    }

    void ask(Client& client, stun::Method method, const Fill& fill) {
        for (int attempt = 0; attempt < 2; ++attempt) {
            MessageBuilder builder{MessageClass::request, method, transaction()};
            fill(builder);
            if (!client.nonce.empty()) {
                client.sign(builder);
            }
            say(client, builder.finish());
            if (!std::exchange(challenged_, false)) {
                return;
            }
        }
    }

    void say(const Client& client, const Bytes& message) {
        server_.handle_client(client.tuple, message, now_);
        drain();
    }

    stun::TransactionId transaction() { return stun::TransactionId::generate(rng_); }

    void open_or_fail(fuzz::ScriptReader& script) {
        if (openings_.empty()) {
            return;
        }
        const auto place = openings_.begin() + script.byte() % static_cast<std::ptrdiff_t>(openings_.size());
        const auto wanted = *place;
        openings_.erase(place);
        if (script.byte() % 4 == 0) {
            forget(wanted);
            server_.handle_relay_failed(wanted.relay, now_);
            return;
        }
        const auto host = wanted.family == net::Family::v4 ? kServer.address : kServerV6.address;
        server_.handle_relay_opened(wanted.relay, {.address = host, .port = next_port_}, now_);
        next_port_ = static_cast<std::uint16_t>(next_port_ < 65000 ? next_port_ + 2 : 50000);
    }

    void stream_event(fuzz::ScriptReader& script) {
        const auto what = script.byte() % 4;
        if (what == 0) {
            if (const auto stream = server_.handle_peer_accepted(relay_of(script), peer(script), now_)) {
                fuzz::require(streams_.insert(*stream).second);
            }
            return;
        }
        if (known_streams_.empty()) {
            return;
        }
        const auto stream = known_streams_[script.byte() % known_streams_.size()];
        (void)server_.allow_stream_bytes(stream, script.word(), now_);
        if (what == 1) {
            server_.handle_peer_connected(stream, now_);
        } else if (what == 2) {
            // What the shell says must be so: only a connection that is being made can fail.
            if (connecting_.erase(stream) > 0) {
                streams_.erase(stream);
                server_.handle_peer_failed(stream, now_);
            }
        } else {
            streams_.erase(stream);
            server_.handle_stream_closed(stream, now_);
        }
        connecting_.erase(stream);
    }

    RelayId relay_of(fuzz::ScriptReader& script) {
        return known_relays_.empty() ? RelayId{script.word()} : known_relays_[script.byte() % known_relays_.size()];
    }

    void pass(Duration time) {
        now_ += time;
        server_.handle_timeout(now_);
        const auto next = server_.next_timeout();
        fuzz::require(!next || *next > now_);
    }

    void drain() {
        while (auto output = server_.poll_output()) {
            std::visit([this](auto& what) { carry_out(what); }, *output);
        }
    }

    void carry_out(const OpenRelay& wanted) {
        openings_.push_back(wanted);
        fuzz::require(relays_.insert(wanted.relay).second);
        known_relays_.push_back(wanted.relay);
        if (wanted.next) {
            fuzz::require(relays_.insert(*wanted.next).second);
            known_relays_.push_back(*wanted.next);
        }
    }

    void carry_out(const CloseRelay& closed) {
        for (const auto& opening : std::vector{openings_}) {
            if (opening.relay == closed.relay) {
                forget(opening);
                std::erase_if(openings_, [&](const auto& other) { return other.relay == closed.relay; });
                return;
            }
        }
        fuzz::require(relays_.erase(closed.relay) == 1);
    }

    void forget(const OpenRelay& opening) {
        fuzz::require(relays_.erase(opening.relay) == 1);
        fuzz::require(!opening.next || relays_.erase(*opening.next) == 1);
    }

    void carry_out(const ToClient& sent) {
        const auto client = std::ranges::find(clients_, sent.client, &Client::tuple);
        fuzz::require(client != clients_.end());
        if (stun::is_channel_data(sent.message)) {
            return;
        }
        const auto message = MessageView::parse(sent.message);
        fuzz::require(message.has_value());
        if (const auto nonce = message->nonce()) {
            challenged_ = *nonce != client->nonce;
            client->nonce = *nonce;
            client->realm = message->realm().value();
        }
        if (const auto id = message->connection_id(); id && message->method() != stun::kConnectionBind) {
            connections_.push_back(*id);
        }
        if (const auto token = message->reservation_token()) {
            tokens_.push_back(*token);
        }
    }

    void carry_out(const ToPeer& sent) {
        fuzz::require(policy().permits(sent.peer) && relays_.contains(sent.relay));
        fuzz::require(!sent.peer.address.is_loopback() && !sent.peer.address.is_link_local());
    }

    void carry_out(const ConnectPeer& wanted) {
        fuzz::require(policy().permits(wanted.peer) && relays_.contains(wanted.relay));
        fuzz::require(streams_.insert(wanted.stream).second);
        connecting_.insert(wanted.stream);
        known_streams_.push_back(wanted.stream);
    }

    void carry_out(const PairStreams& paired) {
        fuzz::require(streams_.contains(paired.stream) && paired.client.is_stream());
        ++paired_;
    }

    void carry_out(const CloseStream& closed) { fuzz::require(streams_.erase(closed.stream) == 1); }

    void check() const {
        const auto counts = server_.counts();
        fuzz::require(counts.relays == relays_.size() && counts.streams == streams_.size());
        fuzz::require(counts.allocations + counts.reservations <= 5 && counts.permissions <= 3 * counts.allocations &&
                      counts.channels <= 3 * counts.allocations && counts.streams <= 2 * counts.allocations);
        fuzz::require((counts.accounts == 0) == (counts.allocations + counts.reservations == 0));
    }

    SeededRng rng_;
    TimePoint now_{1000s};
    TurnServer server_;
    std::vector<Client> clients_;
    std::vector<OpenRelay> openings_;
    std::set<RelayId> relays_;
    std::set<StreamId> streams_;
    std::set<StreamId> connecting_;
    std::vector<RelayId> known_relays_;
    std::vector<StreamId> known_streams_;
    std::vector<std::uint32_t> connections_;
    std::vector<std::uint64_t> tokens_;
    std::uint16_t next_port_ = 50000;
    std::uint64_t paired_ = 0;
    bool challenged_ = false;
};

}  // namespace pinhole::turn::test
