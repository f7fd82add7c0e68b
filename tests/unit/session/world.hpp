// Two sessions, a rendezvous server reduced to passing messages on, and a network reduced to one delay, in virtual
// time.
#pragma once

#include "peer/session/errors.hpp"
#include "peer/session/session.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::session {

inline constexpr WallTime kWall{1'760'000'000'000};

inline net::Endpoint endpoint(const char* text) {
    return *net::Endpoint::parse(text);
}

inline net::Candidate host(const net::Endpoint& at) {
    return {.type = net::CandidateType::host,
            .endpoint = at,
            .base = at,
            .priority = net::candidate_priority(net::CandidateType::host, 65535),
            .foundation = "h1"};
}

inline net::Candidate tcp_host(const net::Endpoint& at, net::TcpType type) {
    return {.type = net::CandidateType::host,
            .endpoint = at,
            .base = at,
            .priority = net::candidate_priority(
                net::CandidateType::host, net::tcp_preference(net::CandidateType::host, type, 1), net::Transport::tcp),
            .foundation = "t1",
            .transport = net::Transport::tcp,
            .tcp_type = type};
}

struct Peer {
    explicit Peer(std::uint64_t seed, const char* at)
        : rng(seed), identity(crypto::Identity::generate(rng)), address(endpoint(at)) {}

    SeededRng rng;
    crypto::Identity identity;
    net::Endpoint address;
    std::unique_ptr<Session> session;
    std::vector<Event> events;
    WallTime wall = kWall;

    template <class T>
    [[nodiscard]] const T* last() const {
        const T* found = nullptr;
        for (const auto& event : events) {
            if (const auto* match = std::get_if<T>(&event)) {
                found = match;
            }
        }
        return found;
    }
};

/// As the shell does it for a contact's call.
inline std::expected<IncomingCall, RejectedCall> read_fresh(const signaling::Incoming& incoming, Peer& to,
                                                            ReplayGuard& guard) {
    auto read = read_call(incoming, to.identity, to.rng);
    if (read) {
        if (auto fresh = check_age(incoming, *read, guard, to.wall); !fresh) {
            return std::unexpected(fresh.error());
        }
    }
    return read;
}

class World {
  public:
    World() : alice(1, "198.51.100.1:1000"), bob(2, "198.51.100.2:2000") {}

    void alice_calls(std::uint8_t services = 3) {
        alice.session = std::make_unique<Session>(config(alice, bob.identity.id(), services), signaling::CallId{10},
                                                  locals(alice), alice.rng);
        alice.session->call(alice.wall, now);
        alice.session->end_of_local_candidates();
    }

    void run(Duration length) {
        const auto end = now + length;
        while (true) {
            drain(alice, bob);
            drain(bob, alice);
            std::optional<TimePoint> next;
            if (!wire_.empty()) {
                next = wire_.front().first;
            }
            for (auto* peer : {&alice, &bob}) {
                if (peer->session) {
                    next = earliest(next, peer->session->next_timeout());
                }
            }
            if (!next || *next > end) {
                now = end;
                return;
            }
            now = std::max(now, *next);
            while (!wire_.empty() && wire_.front().first <= now) {
                const auto deliver = std::move(wire_.front().second);
                wire_.pop_front();
                deliver();
            }
            for (auto* peer : {&alice, &bob}) {
                if (peer->session) {
                    peer->session->handle_timeout(now);
                }
            }
        }
    }

    /// What the server would do with a message of `from`.
    void pass_on(Peer& from, const signaling::ToServer& message, Peer& to) {
        if (const auto* connect = std::get_if<signaling::Connect>(&message)) {
            ++connects;
            last_connect = *connect;
            incoming(to, from, *connect);
        } else if (const auto* answer = std::get_if<signaling::Answer>(&message)) {
            auto handshake = answer->handshake;
            if (tamper_answer) {
                handshake.back() ^= 1;
            }
            to.session->handle_signaling(
                signaling::Answered{
                    .call = to.session->call_id(), .handshake = handshake, .candidates = answer->candidates},
                to.wall, now);
            signaling::Go go{.call = to.session->call_id(),
                             .delay_us = 0,
                             .plan = {.topology = "test", .steps = {net::PunchStep{.strategy = net::Strategy::host}}}};
            if (tcp_start) {
                go.plan.steps.push_back({.strategy = net::Strategy::tcp, .start = *tcp_start});
            }
            to.session->handle_signaling(go, to.wall, now);
            from.session->handle_signaling(go, from.wall, now);
        } else if (const auto* trickle = std::get_if<signaling::Trickle>(&message)) {
            if (to.session) {
                to.session->handle_signaling(*trickle, to.wall, now);
            }
        } else if (const auto* end = std::get_if<signaling::End>(&message)) {
            if (to.session) {
                to.session->handle_signaling(*end, to.wall, now);
            }
        }
    }

    Peer alice;
    Peer bob;
    TimePoint now{};
    ReplayGuard guard;
    bool network_up = true;
    bool udp_open = true;
    bool tcp_open = true;
    bool offer_tcp = false;
    std::optional<Duration> tcp_start;  ///< of the plan
    /// Of packets over TCP.
    std::size_t largest = 0;
    std::size_t marked = 0;
    bool tamper_answer = false;
    int connects = 0;
    signaling::Connect last_connect;
    std::optional<RejectedCall> rejected;

  private:
    [[nodiscard]] std::vector<net::Candidate> locals(const Peer& peer) const {
        std::vector candidates{host(peer.address)};
        for (const auto type : {net::TcpType::active, net::TcpType::passive}) {
            if (offer_tcp) {
                candidates.push_back(tcp_host(peer.address, type));
            }
        }
        return candidates;
    }

    static SessionConfig config(Peer& peer, const crypto::PeerId& remote, std::uint8_t services) {
        SessionConfig config;
        config.identity = &peer.identity;
        config.remote = remote;
        config.services = services;
        return config;
    }

    void incoming(Peer& to, Peer& from, const signaling::Connect& connect) {
        const signaling::Incoming message{
            .call = {77}, .from = from.identity.id(), .handshake = connect.handshake, .candidates = connect.candidates};
        auto read = read_fresh(message, to, guard);
        if (!read) {
            rejected = read.error();
            auto end = read.error().end;
            end.call = connect.call;
            from.session->handle_signaling(end, from.wall, now);
            return;
        }
        to.session = std::make_unique<Session>(config(to, read->offer.from, 3), read->call, locals(to), to.rng);
        to.session->answer(*std::move(read), now);
        to.session->end_of_local_candidates();
    }

    void drain(Peer& peer, Peer& other) {
        if (!peer.session) {
            return;
        }
        while (const auto message = peer.session->poll_signaling()) {
            pass_on(peer, *message, other);
        }
        while (auto transmit = peer.session->poll_stun()) {
            post(other, transmit->path, std::move(transmit->payload));
        }
        Bytes buffer(65536);
        while (const auto batch = peer.session->poll_packets(buffer, now)) {
            if (batch->path.transport == net::Transport::tcp) {
                largest = std::max(largest, batch->segment_size);
                marked += batch->ecn == net::Ecn::not_ect ? 0 : 1;
            }
            for (std::size_t at = 0; at < batch->size; at += batch->segment_size) {
                const auto size = std::min(batch->segment_size, batch->size - at);
                post(other, batch->path, to_bytes(ByteView{buffer}.subspan(at, size)));
            }
        }
        while (auto event = peer.session->poll_event()) {
            peer.events.push_back(*std::move(event));
        }
    }

    void post(Peer& to, const net::PathAddresses& path, Bytes payload) {
        const bool open = path.transport == net::Transport::tcp ? tcp_open : udp_open;
        if (!network_up || !open || path.remote != to.address) {
            return;
        }
        const net::PathAddresses arrived{.local = path.remote, .remote = path.local, .transport = path.transport};
        wire_.emplace_back(now + 10ms, [this, &to, arrived, payload = std::move(payload)]() mutable {
            if (!to.session) {
                return;
            }
            if (payload[0] <= 3) {
                to.session->handle_stun(arrived, payload, now);
            } else {
                to.session->handle_packet({.path = arrived, .payload = payload}, now);
            }
        });
    }

    std::deque<std::pair<TimePoint, std::function<void()>>> wire_;
};

}  // namespace pinhole::session
