// What a puncher does on a scripted network: when it sends what from where, what it asks for, and where it stops.
#include "common/stun/builder.hpp"
#include "common/stun/integrity.hpp"
#include "common/stun/message.hpp"
#include "peer/punch/puncher.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::punch {
namespace {

using net::PunchAct;
using net::PunchStep;
using net::Strategy;

net::Endpoint at(const char* text) {
    return *net::Endpoint::parse(text);
}

const auto kMain = at("192.168.1.2:5000");
const auto kStun = at("203.0.113.10:3478");
const auto kPeer = at("198.51.100.7:41000");
const auto kStranger = at("198.51.100.8:41000");

/// The shell of a puncher: gives it sockets at once, notes what it sends, and answers as the server's STUN would.
class Rig {
  public:
    explicit Rig(std::vector<PunchStep> steps, std::optional<net::Endpoint> stun = kStun, TimePoint go = {})
        : puncher({.stun = stun, .main = kMain}, rng_) {
        puncher.start({.topology = "test", .steps = std::move(steps)}, go);
    }

    struct Sent {
        TimePoint at;
        net::PathAddresses path;
        std::uint8_t ttl;
        stun::MessageClass message_class;
        stun::TransactionId id;
    };

    void run(Duration time) {
        const auto end = now + time;
        drain();
        while (const auto next = puncher.next_timeout()) {
            if (*next > end) {
                break;
            }
            EXPECT_GE(*next, last_timeout_) << "time goes backwards";
            last_timeout_ = *next;
            now = std::max(now, *next);
            puncher.handle_timeout(now);
            drain();
        }
        now = end;
    }

    void drain() {
        while (const auto action = puncher.poll_action()) {
            if (const auto* open = std::get_if<OpenSocket>(&*action)) {
                ++opened;
                waiting.push_back(open->token);
                if (sockets_come) {
                    give_socket();
                }
            } else if (const auto* close = std::get_if<CloseSocket>(&*action)) {
                EXPECT_EQ(sockets.erase(close->local), 1U) << "closed what was not open";
            } else if (const auto* probe = std::get_if<SendProbe>(&*action)) {
                note(*probe);
            } else if (const auto* promote = std::get_if<Promote>(&*action)) {
                promoted.push_back(*promote);
            } else {
                samples.push_back(std::get<Samples>(*action));
            }
            most_sockets = std::max(most_sockets, sockets.size());
        }
    }

    void give_socket() {
        const auto token = waiting.front();
        waiting.erase(waiting.begin());
        const net::Endpoint local{.address = kMain.address, .port = next_port_++};
        sockets.insert(local);
        puncher.handle_socket(token, local, now);
    }

    /// A datagram of the other side.
    bool receive(const net::Endpoint& local, const net::Endpoint& remote) {
        const auto payload = make_probe(rng_);
        const bool dealt_with = puncher.handle_datagram({.local = local, .remote = remote}, payload, now);
        drain();
        return dealt_with;
    }

    [[nodiscard]] std::vector<Sent> probes() const {
        std::vector<Sent> found;
        std::ranges::copy_if(sent, std::back_inserter(found),
                             [](const Sent& one) { return one.message_class == stun::MessageClass::indication; });
        return found;
    }

    [[nodiscard]] std::vector<std::uint16_t> ports() const {
        std::vector<std::uint16_t> found;
        for (const auto& probe : probes()) {
            found.push_back(probe.path.remote.port);
        }
        return found;
    }

    TimePoint now{};
    bool sockets_come = true;
    /// The STUN server answers.
    bool stun_answers = true;
    std::vector<Sent> sent;
    std::set<net::Endpoint> sockets;
    std::vector<SocketToken> waiting;
    std::vector<Promote> promoted;
    std::vector<Samples> samples;
    std::size_t opened = 0;
    std::size_t most_sockets = 0;

  private:
    void note(const SendProbe& probe) {
        EXPECT_LE(probe.payload.size(), net::kMaxProbeSize);
        const auto message = stun::MessageView::parse(probe.payload);
        ASSERT_TRUE(message);
        EXPECT_TRUE(stun::verify_fingerprint(*message));
        sent.push_back({now, probe.path, probe.ttl, message->message_class(), message->transaction_id()});
        if (message->message_class() == stun::MessageClass::request && stun_answers) {
            stun::MessageBuilder answer{stun::MessageClass::success, stun::kBinding, message->transaction_id()};
            answer.address(stun::AttributeType::xor_mapped_address,
                           {.address = at("192.0.2.1:1").address, .port = external_++});
            EXPECT_TRUE(puncher.handle_datagram(probe.path, answer.finish(), now));
        }
    }

    SeededRng rng_{1};
    std::uint16_t next_port_ = 20000;
    std::uint16_t external_ = 30000;
    TimePoint last_timeout_{};

  public:
    Puncher puncher;
};

PunchStep open_step(std::uint16_t sockets, bool sample = false) {
    return {.strategy = Strategy::predict,
            .act = PunchAct::open,
            .start = 100ms,
            .budget = 6s,
            .sockets = sockets,
            .sample = sample,
            .first_ttl = 4,
            .target = kPeer};
}

PunchStep scan_step(std::vector<net::PortRange> ranges, std::uint16_t probes, bool shuffled = false) {
    return {.strategy = Strategy::birthday,
            .act = PunchAct::scan,
            .start = 50ms,
            .budget = 5s,
            .target = {.address = kPeer.address, .port = 0},
            .ranges = std::move(ranges),
            .probes = probes,
            .shuffled = shuffled};
}

TEST(Open, SendsOneProbeOfLowTtlFromEachFreshSocketInOrder) {
    Rig rig{{open_step(16)}};
    rig.run(99ms);
    EXPECT_EQ(rig.opened, 0U) << "not before its time";
    rig.run(100ms);
    const auto probes = rig.probes();
    ASSERT_EQ(probes.size(), 16U);
    std::set<net::Endpoint> from;
    for (std::size_t i = 0; i < probes.size(); ++i) {
        from.insert(probes[i].path.local);
        EXPECT_EQ(probes[i].path.remote, kPeer);
        EXPECT_EQ(probes[i].ttl, 2 + i % 3) << "each up to the plan's, for nobody knows which one opens";
        EXPECT_EQ(probes[i].at, TimePoint{} + 100ms + 1ms * static_cast<int>(i));
    }
    EXPECT_EQ(from.size(), 16U);
    EXPECT_TRUE(rig.samples.empty());
}

TEST(Open, RepeatsWithAnOrdinaryTtlUntilItsBudgetIsOverAndThenClosesItsSockets) {
    Rig rig{{open_step(3)}};
    rig.run(6s);
    ASSERT_EQ(rig.probes().size(), 6U);
    EXPECT_EQ(rig.probes()[3].at, TimePoint{} + 100ms + net::kOpenRepeat);
    EXPECT_EQ(rig.probes()[3].ttl, 0);
    EXPECT_EQ(rig.sockets.size(), 3U);
    rig.run(1s);
    EXPECT_TRUE(rig.sockets.empty());
    EXPECT_EQ(rig.puncher.next_timeout(), std::nullopt);
}

TEST(Open, SamplesBeforeAndAfterTheBurst) {
    Rig rig{{PunchStep{}, open_step(5, true)}};
    rig.run(1s);
    ASSERT_EQ(rig.sent.size(), 7U);
    EXPECT_EQ(rig.sent.front().path.remote, kStun);
    EXPECT_EQ(rig.sent.back().path.remote, kStun);
    EXPECT_NE(rig.sent.front().path.local, rig.sent.back().path.local);
    ASSERT_EQ(rig.samples.size(), 1U);
    EXPECT_EQ(rig.samples[0].step, 1U);
    EXPECT_EQ(rig.samples[0].external, at("192.0.2.1:1").address);
    EXPECT_THAT(rig.samples[0].before, testing::ElementsAre(30000));
    EXPECT_THAT(rig.samples[0].after, testing::ElementsAre(30001));
    EXPECT_EQ(rig.sockets.size(), 5U) << "sockets that have sampled are closed";
}

TEST(Open, AsksAgainForASampleFromTheSameSocketAndReportsWhatItGot) {
    Rig rig{{open_step(2, true)}};
    rig.stun_answers = false;
    rig.run(150ms);
    ASSERT_EQ(rig.sent.size(), 4U);
    const auto first = rig.sent.front();
    rig.run(300ms);
    ASSERT_EQ(rig.sent.size(), 6U);
    EXPECT_EQ(rig.sent[4].path, first.path) << "another socket would be another port";
    EXPECT_EQ(rig.sent[4].id, first.id);
    rig.run(2s);
    EXPECT_TRUE(rig.samples.empty()) << "nothing is known";
    EXPECT_EQ(rig.sent.size(), 8U) << "three times each";
}

TEST(Open, TakesNoAnswerToASampleFromAnybodyElse) {
    Rig rig{{open_step(1, true)}};
    rig.stun_answers = false;
    rig.run(150ms);
    const auto asked = rig.sent.front();
    stun::MessageBuilder answer{stun::MessageClass::success, stun::kBinding, asked.id};
    answer.address(stun::AttributeType::xor_mapped_address, kPeer);
    EXPECT_FALSE(
        rig.puncher.handle_datagram({.local = asked.path.local, .remote = kStranger}, answer.finish(), rig.now));
    rig.run(3s);
    EXPECT_TRUE(rig.samples.empty());
}

TEST(Open, TakesNoSamplesWithoutAServer) {
    Rig rig{{open_step(4, true)}, std::nullopt};
    rig.run(1s);
    EXPECT_EQ(rig.sent.size(), 4U);
    EXPECT_TRUE(rig.samples.empty());
}

TEST(Open, WaitsForASocketSoThatNothingOvertakesIt) {
    Rig rig{{open_step(2, true)}};
    rig.sockets_come = false;
    rig.run(200ms);
    EXPECT_EQ(rig.waiting.size(), 4U);
    EXPECT_TRUE(rig.sent.empty());
    rig.give_socket();
    rig.run(50ms);
    EXPECT_EQ(rig.sent.size(), 1U);
    rig.puncher.handle_socket_failed(rig.waiting.front(), rig.now);
    rig.waiting.erase(rig.waiting.begin());
    rig.give_socket();
    rig.give_socket();
    rig.run(50ms);
    EXPECT_EQ(rig.sent.size(), 3U) << "without the socket that there is not";
}

TEST(Open, AimsWhereItIsToldToWhenThePlanNamedNoPort) {
    auto step = open_step(8, true);
    step.target.port = 0;
    Rig rig{{step}};
    rig.run(150ms);
    ASSERT_EQ(rig.samples.size(), 1U);
    EXPECT_TRUE(rig.samples[0].after.empty());
    EXPECT_TRUE(rig.probes().empty());
    rig.puncher.handle_candidate(kPeer);
    rig.puncher.handle_scan(0, {{.first = 777, .last = 777}}, rig.now);
    rig.run(100ms);
    ASSERT_EQ(rig.probes().size(), 8U);
    EXPECT_THAT(rig.ports(), testing::Each(777));
}

TEST(Open, ACandidateIsNewerThanThePlansPort) {
    Rig rig{{open_step(1)}};
    rig.puncher.handle_candidate({.address = kPeer.address, .port = 42000});
    rig.puncher.handle_candidate(kStranger);
    rig.run(200ms);
    EXPECT_THAT(rig.ports(), testing::ElementsAre(42000));
}

TEST(Open, PromotesWhatComesFromTheOtherSidesAddressOncePerPath) {
    Rig rig{{open_step(3)}};
    rig.run(200ms);
    const auto local = *rig.sockets.begin();
    EXPECT_FALSE(rig.receive(local, kStranger));
    EXPECT_TRUE(rig.promoted.empty());
    const net::Endpoint moved{.address = kPeer.address, .port = 1234};
    EXPECT_FALSE(rig.receive(local, moved)) << "ICE is to see it";
    EXPECT_FALSE(rig.receive(local, moved));
    ASSERT_EQ(rig.promoted.size(), 1U);
    EXPECT_EQ(rig.promoted[0].path, (net::PathAddresses{.local = local, .remote = moved}));
    EXPECT_EQ(rig.promoted[0].strategy, Strategy::predict);
    EXPECT_EQ(rig.puncher.found(rig.promoted[0].path), Strategy::predict);
    for (std::uint16_t port = 1; port < 100; ++port) {
        rig.receive(local, {.address = kPeer.address, .port = port});
    }
    EXPECT_EQ(rig.promoted.size(), 2U) << "a flood at one socket leaves the others theirs";
    rig.run(10s);
    EXPECT_THAT(rig.sockets, testing::ElementsAre(local)) << "the others heard nothing";
}

TEST(Scan, ProbesRangesInOrderOneAMillisecondAndTwice) {
    Rig rig{{scan_step({{.first = 100, .last = 102}, {.first = 7, .last = 8}}, 100)}};
    rig.run(1s);
    EXPECT_THAT(rig.ports(), testing::ElementsAre(100, 101, 102, 7, 8, 100, 101, 102, 7, 8));
    const auto probes = rig.probes();
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(probes[i].at, TimePoint{} + 50ms + net::kScanInterval * i);
        EXPECT_EQ(probes[i].path.local, kMain);
        EXPECT_EQ(probes[i].path.remote.address, kPeer.address);
    }
    EXPECT_GE(probes[5].at - probes[4].at, 100ms);
    EXPECT_EQ(rig.opened, 0U);
}

TEST(Scan, ShuffledPortsAreDistinctAndNoMoreThanPlanned) {
    Rig rig{{scan_step({{.first = 1024, .last = 65535}}, 1024, true)}};
    rig.run(5s);
    const auto ports = rig.ports();
    EXPECT_EQ(ports.size(), 1024U);
    EXPECT_EQ(std::set(ports.begin(), ports.end()).size(), 1024U);
    EXPECT_FALSE(std::ranges::is_sorted(ports));
    const net::PathAddresses probed{.local = kMain, .remote = {.address = kPeer.address, .port = ports[5]}};
    EXPECT_EQ(rig.puncher.found(probed), Strategy::birthday);
    EXPECT_EQ(rig.puncher.found({.local = kMain, .remote = kStranger}), std::nullopt);
}

TEST(Scan, WaitsForItsRangesAndTakesLaterOnes) {
    Rig rig{{scan_step({}, 10)}};
    rig.run(500ms);
    EXPECT_TRUE(rig.sent.empty());
    rig.puncher.handle_scan(3, {{.first = 1, .last = 2}}, rig.now);
    rig.puncher.handle_scan(0, {{.first = 500, .last = 501}}, rig.now);
    rig.run(500ms);
    EXPECT_THAT(rig.ports(), testing::ElementsAre(500, 501, 500, 501));
    rig.puncher.handle_scan(0, {{.first = 600, .last = 600}}, rig.now);
    rig.run(500ms);
    EXPECT_THAT(rig.ports(), testing::ElementsAre(500, 501, 500, 501, 600, 600));
    rig.run(5s);
    rig.puncher.handle_scan(0, {{.first = 700, .last = 700}}, rig.now);
    rig.run(5s);
    EXPECT_EQ(rig.ports().size(), 6U) << "its budget is over";
}

TEST(Scan, LeavesFromASocketThatAnOpenStepHasIfItIsToldSo) {
    auto scan = scan_step({{.first = 100, .last = 109}}, 10, true);
    scan.sockets = 1;
    Rig rig{{open_step(1), scan}};
    rig.sockets_come = false;
    rig.run(150ms);
    EXPECT_TRUE(rig.sent.empty()) << "there is no such socket yet";
    rig.give_socket();
    rig.run(100ms);
    ASSERT_EQ(rig.probes().size(), 11U);
    for (const auto& probe : rig.probes()) {
        EXPECT_TRUE(rig.sockets.contains(probe.path.local));
    }
    Rig without{{scan}};
    without.run(1s);
    EXPECT_TRUE(without.sent.empty()) << "no open step, no socket";
}

TEST(Scan, ALateTimerMakesNoBurst) {
    Rig rig{{scan_step({{.first = 1000, .last = 2000}}, 1000)}};
    rig.now = TimePoint{} + 1s;
    rig.puncher.handle_timeout(rig.now);
    rig.drain();
    EXPECT_LE(rig.sent.size(), 8U);
}

TEST(Bounds, NoPlanMakesAPeerSendMoreThanItsShare) {
    std::vector<PunchStep> steps;
    for (int i = 0; i < 40; ++i) {
        auto scan = scan_step({{.first = 0, .last = 65535}}, 65535, i % 2 == 0);
        scan.budget = 1h;
        steps.push_back(scan);
        auto open = open_step(65535, true);
        open.budget = 1h;
        steps.push_back(open);
    }
    Rig rig{steps};
    rig.run(2h);
    EXPECT_LE(rig.probes().size(), net::kMaxScanProbes);
    EXPECT_EQ(rig.puncher.probes(), rig.probes().size());
    EXPECT_LE(rig.most_sockets, net::kMaxPunchSockets + 2U);
    EXPECT_LE(rig.sent.back().at, TimePoint{} + net::kMaxPunchStart + net::kMaxPunchBudget);
    EXPECT_TRUE(rig.sockets.empty());
}

TEST(Bounds, HoldOverAllCallsTogetherWhateverAServerBegins) {
    ProbeBudget budget;
    SeededRng rng{1};
    std::size_t probes = 0;
    TimePoint now{};
    while (now < TimePoint{60s}) {
        Puncher puncher{{.stun = kStun, .main = kMain, .budget = &budget}, rng};
        auto scan = scan_step({{.first = 1, .last = 65535}}, net::kMaxScanProbes, true);
        scan.start = {};
        puncher.start({.topology = {}, .steps = {scan}}, now);
        while (const auto next = puncher.next_timeout()) {
            now = std::max(now, *next);
            puncher.handle_timeout(now);
            while (puncher.poll_action()) {
                ++probes;
            }
        }
        now += 500ms;
    }
    EXPECT_EQ(probes, 2U * net::kMaxScanProbes);
}

TEST(Bounds, AMinuteIsAnyMinute) {
    ProbeBudget budget{100};
    SeededRng rng{7};
    std::deque<TimePoint> taken;
    TimePoint now{};
    std::size_t all = 0;
    for (int i = 0; i < 20'000; ++i) {
        now += std::chrono::milliseconds{rng.below(50)};
        if (budget.take(now)) {
            ++all;
            taken.push_back(now);
        }
        while (!taken.empty() && now - taken.front() >= 60s) {
            taken.pop_front();
        }
        ASSERT_LE(taken.size(), 100U);
    }
    EXPECT_GE(all, 700U) << "500 s";
}

TEST(Bounds, NothingIsSentToWhomNoPeerCanBe) {
    for (const auto* target :
         {"127.0.0.1:80", "224.0.0.1:80", "0.0.0.0:80", "169.254.1.1:80", "255.255.255.255:80", "192.168.1.1:80",
          "10.0.0.1:80", "100.64.0.1:80", "[::1]:80", "[ff02::1]:80", "[fe80::1]:80", "[fd00::1]:80",
          "[::ffff:192.168.1.1]:80", "[::192.168.1.1]:80", "[2002:c0a8:101::1]:80", "[64:ff9b::c0a8:101]:80"}) {
        auto open = open_step(4);
        open.target = at(target);
        auto scan = scan_step({{.first = 1, .last = 9}}, 9);
        scan.target = {.address = at(target).address, .port = 0};
        Rig rig{{open, scan}};
        rig.run(10s);
        EXPECT_TRUE(rig.sent.empty()) << target;
        EXPECT_EQ(rig.opened, 0U) << target;
    }
}

TEST(Success, StopsAtOnceAndKeepsOnlyTheSocketOfThePath) {
    Rig rig{{open_step(4), scan_step({{.first = 1000, .last = 3000}}, 2000)}};
    rig.run(150ms);
    const auto local = *std::next(rig.sockets.begin());
    const auto sent = rig.sent.size();
    rig.puncher.handle_success({.local = local, .remote = kPeer}, rig.now);
    rig.run(1900ms);
    EXPECT_EQ(rig.sent.size(), sent);
    EXPECT_EQ(rig.sockets.size(), 4U) << "the other side may have found another one";
    rig.run(10s);
    EXPECT_EQ(rig.sent.size(), sent);
    EXPECT_THAT(rig.sockets, testing::ElementsAre(local));
    rig.puncher.close();
    rig.drain();
    EXPECT_TRUE(rig.sockets.empty());
    EXPECT_EQ(rig.puncher.next_timeout(), std::nullopt);
}

TEST(Success, ASocketThatComesTooLateIsClosed) {
    Rig rig{{open_step(2)}};
    rig.sockets_come = false;
    rig.run(200ms);
    rig.puncher.close();
    rig.drain();
    rig.give_socket();
    rig.give_socket();
    rig.drain();
    EXPECT_TRUE(rig.sockets.empty());
    EXPECT_TRUE(rig.sent.empty());
}

}  // namespace
}  // namespace pinhole::punch
