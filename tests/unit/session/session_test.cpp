// Two sessions, a rendezvous server reduced to passing messages on, and a network reduced to one delay, in virtual
// time.
#include "peer/session/session.hpp"

#include "peer/session/errors.hpp"

#include <deque>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::session {
namespace {

constexpr WallTime kWall{1'760'000'000'000};

net::Endpoint endpoint(const char* text) {
    return *net::Endpoint::parse(text);
}

net::Candidate host(const net::Endpoint& at) {
    return {.type = net::CandidateType::host,
            .endpoint = at,
            .base = at,
            .priority = net::candidate_priority(net::CandidateType::host, 65535),
            .foundation = "h1"};
}

net::Candidate tcp_host(const net::Endpoint& at, net::TcpType type) {
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
std::expected<IncomingCall, RejectedCall> read_fresh(const signaling::Incoming& incoming, Peer& to,
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

TEST(Session, ConnectsAndCarriesAStream) {
    World world;
    world.alice_calls();
    world.run(2s);
    ASSERT_NE(world.alice.last<Connected>(), nullptr);
    ASSERT_NE(world.bob.last<Connected>(), nullptr);
    ASSERT_NE(world.alice.last<PathInUse>(), nullptr);
    EXPECT_EQ(world.alice.last<PathInUse>()->addresses.remote, world.bob.address);
    EXPECT_EQ(world.alice.last<PathInUse>()->strategy, "host");
    EXPECT_EQ(world.bob.last<Planned>()->topology, "test");

    auto& transport = *world.alice.session->transport();
    const auto stream = transport.open_stream(transport::Priority::chat);
    ASSERT_TRUE(stream);
    ASSERT_TRUE(transport.write(*stream, as_bytes("hello")));
    world.run(1s);
    std::array<std::uint8_t, 16> read{};
    const auto count = world.bob.session->transport()->read(*stream, read);
    ASSERT_TRUE(count);
    EXPECT_EQ(as_text(ByteView{read}.first(*count)), "hello");
}

net::Transport transport_of(const Peer& peer) {
    return peer.last<PathInUse>()->addresses.transport;
}

/// Without UDP, and with a plan for TCP.
void without_udp(World& world) {
    world.udp_open = false;
    world.offer_tcp = true;
    world.tcp_start = 200ms;
}

/// Sends so much and says whether the other side has read it all, in order, after so long.
bool carries(World& world, std::size_t bytes, Duration time) {
    auto& transport = *world.alice.session->transport();
    const auto stream = transport.open_stream(transport::Priority::file);
    Bytes sent(bytes);
    world.alice.rng.fill(sent);
    const auto taken = stream ? transport.write(*stream, sent) : Result<std::size_t>{0};
    world.run(time);
    Bytes read(bytes);
    const auto count = world.bob.session->transport()->read(*stream, read);
    return taken == bytes && count == bytes && read == sent;
}

TEST(Session, ConnectsOverTcpWhereUdpIsBlocked) {
    World world;
    without_udp(world);
    world.alice_calls();
    world.run(190ms);
    EXPECT_EQ(world.alice.last<PathInUse>(), nullptr) << "not before its instant";
    world.run(2s);
    ASSERT_NE(world.alice.last<Connected>(), nullptr);
    ASSERT_NE(world.bob.last<Connected>(), nullptr);
    EXPECT_EQ(transport_of(world.alice), net::Transport::tcp);
    EXPECT_EQ(transport_of(world.bob), net::Transport::tcp);
    EXPECT_EQ(world.alice.last<PathInUse>()->strategy, "host");
    EXPECT_TRUE(carries(world, 300'000, 2s));
    EXPECT_EQ(world.largest, 1472U) << "a stream has no packets that could be too large";
    EXPECT_EQ(world.marked, 0U);
}

TEST(Session, OffersNoCandidateThatOnlyConnects) {
    World world;
    without_udp(world);
    world.alice_calls();
    world.run(100ms);
    for (const auto& candidate : world.last_connect.candidates) {
        EXPECT_NE(candidate.tcp_type, net::TcpType::active);
    }
    EXPECT_EQ(world.last_connect.candidates.size(), 2U);
}

TEST(Session, TriesNoTcpWithoutAPlanForIt) {
    World world;
    without_udp(world);
    world.tcp_start.reset();
    world.alice_calls();
    world.run(20s);
    ASSERT_NE(world.alice.last<Ended>(), nullptr);
    EXPECT_EQ(world.alice.last<Ended>()->error.code, make_error_code(Errc::no_path));
    EXPECT_EQ(world.alice.last<Ended>()->error.message().find("TCP"), std::string::npos);
}

TEST(Session, LeavesTcpForUdpThatComesLate) {
    World world;
    without_udp(world);
    world.alice_calls();
    world.run(400ms);
    ASSERT_NE(world.alice.last<Connected>(), nullptr);
    EXPECT_EQ(transport_of(world.alice), net::Transport::tcp);
    world.udp_open = true;
    EXPECT_TRUE(carries(world, 300'000, 3s));
    EXPECT_EQ(transport_of(world.alice), net::Transport::udp);
    EXPECT_EQ(transport_of(world.bob), net::Transport::udp);
}

TEST(Session, DoesNotTouchTcpWhereUdpWorks) {
    World world;
    world.offer_tcp = true;
    world.tcp_start = 1s;
    world.alice_calls();
    world.run(5s);
    ASSERT_NE(world.alice.last<Connected>(), nullptr);
    EXPECT_EQ(transport_of(world.alice), net::Transport::udp);
    const net::PathAddresses tcp{
        .local = world.alice.address, .remote = world.bob.address, .transport = net::Transport::tcp};
    EXPECT_FALSE(world.alice.session->uses(tcp));
    EXPECT_FALSE(world.bob.session->heard_on({.local = tcp.remote, .remote = tcp.local, .transport = tcp.transport}));
}

TEST(Session, GoesOnAfterItsConnectionBroke) {
    World world;
    without_udp(world);
    world.alice_calls();
    world.run(1s);
    ASSERT_NE(world.alice.last<Connected>(), nullptr);
    world.tcp_open = false;
    const auto path = world.alice.last<PathInUse>()->addresses;
    world.alice.session->handle_path_failed(path, world.now);
    world.bob.session->handle_path_failed({.local = path.remote, .remote = path.local, .transport = path.transport},
                                          world.now);
    world.run(300ms);
    world.tcp_open = true;
    EXPECT_TRUE(carries(world, 100'000, 5s));
    EXPECT_EQ(world.alice.last<Ended>(), nullptr);
    EXPECT_EQ(world.bob.last<Ended>(), nullptr);
}

TEST(Session, BothSidesEndWhenOneCloses) {
    World world;
    world.alice_calls();
    world.run(2s);
    world.alice.session->close(Goodbye::done, world.now);
    world.run(5s);
    ASSERT_NE(world.alice.last<Ended>(), nullptr);
    EXPECT_FALSE(world.alice.last<Ended>()->error.code);
    ASSERT_NE(world.bob.last<Ended>(), nullptr);
    EXPECT_EQ(world.bob.last<Ended>()->error.code, make_error_code(Errc::peer_closed));
    EXPECT_TRUE(world.alice.session->over());
    EXPECT_EQ(world.alice.session->next_timeout(), std::nullopt);
}

TEST(Session, TellsTheOtherSideThatItWasCancelled) {
    World world;
    world.alice_calls();
    world.run(2s);
    world.alice.session->close(Goodbye::cancelled, world.now);
    world.run(5s);
    ASSERT_NE(world.bob.last<Ended>(), nullptr);
    EXPECT_EQ(world.bob.last<Ended>()->error.code, make_error_code(Errc::peer_cancelled));
}

TEST(Session, OffersOnlyTheServicesThatBothTake) {
    World world;
    world.alice_calls(static_cast<std::uint8_t>(Service::chat));
    world.run(2s);
    EXPECT_EQ(world.bob.session->services(), static_cast<std::uint8_t>(Service::chat));
    EXPECT_EQ(world.alice.session->services(), static_cast<std::uint8_t>(Service::chat));
}

TEST(Session, SaysThatThereIsNoPathAndWhy) {
    World world;
    world.network_up = false;
    world.alice_calls();
    world.run(30s);
    ASSERT_NE(world.alice.last<Ended>(), nullptr);
    EXPECT_EQ(world.alice.last<Ended>()->error.code, make_error_code(Errc::no_path));
    EXPECT_THAT(world.alice.last<Ended>()->error.detail, testing::HasSubstr("firewall"));
    ASSERT_NE(world.bob.last<Ended>(), nullptr);
}

TEST(Session, NoticesASilentPeer) {
    World world;
    world.alice_calls();
    world.run(2s);
    world.network_up = false;
    world.run(16min);
    ASSERT_NE(world.alice.last<Ended>(), nullptr);
    EXPECT_EQ(world.alice.last<Ended>()->error.code, make_error_code(Errc::peer_lost));
}

TEST(Session, RefusesAnAnswerThatWasChangedOnTheWay) {
    World world;
    world.tamper_answer = true;
    world.alice_calls();
    world.run(2s);
    ASSERT_NE(world.alice.last<Ended>(), nullptr);
    EXPECT_EQ(world.alice.last<Ended>()->error.code, make_error_code(Errc::peer_identity));
}

TEST(Session, CorrectsAWrongClockOnce) {
    World world;
    world.alice.wall = {kWall.unix_ms - 3'600'000};
    world.alice_calls();
    world.run(2s);
    EXPECT_EQ(world.connects, 2);
    EXPECT_NE(world.alice.last<Connected>(), nullptr);
}

TEST(Session, IsNotFooledByAReplayedOffer) {
    World world;
    world.alice_calls();
    world.run(2s);
    const signaling::Incoming replay{
        .call = {78}, .from = world.alice.identity.id(), .handshake = world.last_connect.handshake, .candidates = {}};
    const auto read = read_fresh(replay, world.bob, world.guard);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().end.reason, signaling::EndReason::stale);
}

TEST(Session, RefusesACallerWhoIsNotWhoTheServerSays) {
    World world;
    world.alice_calls();
    world.run(2s);
    const signaling::Incoming forged{
        .call = {78}, .from = world.bob.identity.id(), .handshake = world.last_connect.handshake, .candidates = {}};
    ReplayGuard fresh;
    const auto read = read_fresh(forged, world.bob, fresh);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().end.reason, signaling::EndReason::bad);
}

TEST(Session, EndsWhenNobodyAnswers) {
    World world;
    world.alice.session = nullptr;
    SessionConfig config;
    config.identity = &world.alice.identity;
    config.remote = world.bob.identity.id();
    Session lonely{config, signaling::CallId{1}, {}, world.alice.rng};
    lonely.call(kWall, TimePoint{});
    ASSERT_TRUE(lonely.poll_signaling());
    ASSERT_EQ(lonely.next_timeout(), TimePoint{} + 35s);
    lonely.handle_timeout(TimePoint{} + 35s);
    const auto event = lonely.poll_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(std::get<Ended>(*event).error.code, make_error_code(Errc::no_answer));
}

/// alice has called, bob has answered by hand, and the server has sent this plan.
struct Planning {
    explicit Planning(net::PunchPlan plan, std::vector<net::Strategy> without = {}) {
        SessionConfig config;
        config.identity = &world.alice.identity;
        config.remote = world.bob.identity.id();
        config.stun = net::Endpoint::parse("192.0.2.53:3478");
        config.opening_ttl = 5;
        config.without = std::move(without);
        session = std::make_unique<Session>(config, signaling::CallId{1}, std::vector{host(world.alice.address)},
                                            world.alice.rng);
        session->call(kWall, now);
        const auto connect = std::get<signaling::Connect>(session->poll_signaling().value());
        auto read = read_call({.call = connect.call,
                               .from = world.alice.identity.id(),
                               .handshake = connect.handshake,
                               .candidates = connect.candidates},
                              world.bob.identity, world.bob.rng);
        SessionConfig others;
        others.identity = &world.bob.identity;
        others.remote = world.alice.identity.id();
        Session other{others, connect.call, {}, world.bob.rng};
        other.answer(*std::move(read), now);
        const auto answer = std::get<signaling::Answer>(other.poll_signaling().value());
        net::Candidate reflexive{.type = net::CandidateType::server_reflexive,
                                 .endpoint = peer,
                                 .base = peer,
                                 .priority = 100,
                                 .foundation = "r"};
        session->handle_signaling(
            signaling::Answered{.call = connect.call, .handshake = answer.handshake, .candidates = {reflexive}}, kWall,
            now);
        session->handle_signaling(signaling::Go{.call = connect.call, .delay_us = 10'000, .plan = std::move(plan)},
                                  kWall, now);
    }

    template <class T>
    std::vector<T> socket_requests() {
        std::vector<T> found;
        while (const auto request = session->poll_socket_request()) {
            if (const auto* match = std::get_if<T>(&*request)) {
                found.push_back(*match);
            }
        }
        return found;
    }

    std::vector<net::Transmit> sent() {
        std::vector<net::Transmit> all;
        while (auto transmit = session->poll_stun()) {
            all.push_back(*std::move(transmit));
        }
        return all;
    }

    void run(Duration time) {
        const auto end = now + time;
        for (auto next = session->next_timeout(); next && *next <= end; next = session->next_timeout()) {
            now = std::max(now, *next);
            session->handle_timeout(now);
        }
        now = end;
    }

    World world;
    net::Endpoint peer = *net::Endpoint::parse("198.51.100.7:4000");
    TimePoint now{};
    std::unique_ptr<Session> session;
};

net::PunchStep opening(const net::Endpoint& target) {
    return {.strategy = net::Strategy::birthday,
            .act = net::PunchAct::open,
            .budget = 12s,
            .sockets = 3,
            .first_ttl = 4,
            .target = target};
}

TEST(Punching, OpensTheNatsOnTheWayBeforeItChecks) {
    Planning planning{{.topology = "two NATs", .steps = {}}};
    const auto before = planning.sent();
    ASSERT_FALSE(before.empty());
    for (const auto& transmit : before) {
        EXPECT_EQ(transmit.ttl, 5) << "must not reach the other side";
        EXPECT_EQ(transmit.path.remote, planning.peer);
    }
    planning.run(100ms);
    for (const auto& transmit : planning.sent()) {
        EXPECT_EQ(transmit.ttl, 0);
    }
}

TEST(Punching, AsksForSocketsAndProbesFromThem) {
    Planning planning{{.topology = "two NATs", .steps = {opening(*net::Endpoint::parse("198.51.100.7:1"))}}};
    planning.sent();
    planning.run(20ms);
    std::vector<net::Endpoint> locals;
    for (const auto& open : planning.socket_requests<punch::OpenSocket>()) {
        const auto port = static_cast<std::uint16_t>(6000 + locals.size());
        locals.push_back({.address = planning.world.alice.address.address, .port = port});
        planning.session->handle_socket(open.token, {.address = net::Address::any(net::Family::v4), .port = port},
                                        planning.now);
    }
    ASSERT_EQ(locals.size(), 3U);
    planning.run(10ms);
    const auto sent = planning.sent();
    for (const auto& local : locals) {
        EXPECT_TRUE(std::ranges::any_of(sent, [&](const auto& transmit) {
            return transmit.path == net::PathAddresses{.local = local, .remote = planning.peer} && transmit.ttl >= 2 &&
                   transmit.ttl <= 4;
        })) << "to the port of the candidate, not that of the plan";
    }
    // What comes in there is checked there.
    const auto probe = punch::make_probe(planning.world.bob.rng);
    const net::PathAddresses path{.local = locals[1], .remote = planning.peer};
    planning.session->handle_stun(path, probe, planning.now);
    planning.run(50ms);
    const auto checks = planning.sent();
    EXPECT_TRUE(std::ranges::any_of(checks, [&](const auto& transmit) { return transmit.path == path; }));
    planning.session->close(Goodbye::done, planning.now);
    EXPECT_EQ(planning.socket_requests<punch::CloseSocket>().size(), 3U);
}

TEST(Punching, LeavesOutWhatMustNotBeUsed) {
    Planning planning{
        {.topology = "two NATs",
         .steps = {net::PunchStep{.strategy = net::Strategy::udp}, opening(*net::Endpoint::parse("198.51.100.7:1"))}},
        {net::Strategy::birthday}};
    planning.run(1s);
    EXPECT_TRUE(planning.socket_requests<punch::OpenSocket>().empty());
    const auto event = planning.session->poll_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(std::get<Planned>(*event).topology, "two NATs");
    EXPECT_THAT(std::get<Planned>(*event).steps, testing::ElementsAre("udp"));
}

TEST(Punching, IsAsPatientAsThePlanAndTellsTheServerTheOutcome) {
    Planning planning{{.topology = "two NATs", .steps = {opening(*net::Endpoint::parse("198.51.100.7:1"))}}};
    planning.run(13s);
    EXPECT_FALSE(planning.session->over());
    planning.run(2s);
    EXPECT_TRUE(planning.session->over());
    std::optional<signaling::PunchOutcome> outcome;
    while (const auto message = planning.session->poll_signaling()) {
        if (const auto* told = std::get_if<signaling::PunchOutcome>(&*message)) {
            outcome = *told;
        }
    }
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->strategy, std::nullopt);
}

}  // namespace
}  // namespace pinhole::session
