// What the server reserves for a plan covers what a puncher sends that carries it out, for every plan that there is.
#include "common/stun/builder.hpp"
#include "common/stun/message.hpp"
#include "peer/punch/puncher.hpp"
#include "rendezvous/core/punches.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::punch {
namespace {

using net::NatBehavior;
using net::PortAllocation;
using rendezvous::Punches;

const net::Address kAlice = *net::Address::parse("198.51.100.1");
const net::Address kBob = *net::Address::parse("203.0.113.1");
const auto kStun = *net::Endpoint::parse("192.0.2.10:3478");

/// Carries out a plan with sockets that come at once and a server that answers every sample: as many probes as can be.
class Eager {
  public:
    explicit Eager(const net::PunchPlan& plan)
        : plan_(plan),
          puncher_({.stun = kStun, .main = {.address = net::Address::v4({192, 168, 1, 2}), .port = 5000}}, rng_) {}

    std::uint64_t run() {
        puncher_.start(plan_, now_);
        while (true) {
            drain();
            const auto next = puncher_.next_timeout();
            if (!next) {
                return sent_;
            }
            now_ = std::max(now_, *next);
            puncher_.handle_timeout(now_);
        }
    }

  private:
    void drain() {
        while (const auto action = puncher_.poll_action()) {
            if (const auto* open = std::get_if<OpenSocket>(&*action)) {
                puncher_.handle_socket(open->token,
                                       {.address = net::Address::v4({192, 168, 1, 2}), .port = next_port_++}, now_);
            } else if (const auto* probe = std::get_if<SendProbe>(&*action)) {
                note(*probe);
            } else if (const auto* samples = std::get_if<Samples>(&*action)) {
                // An aimed step goes on with a port.
                puncher_.handle_scan(samples->step, {{.first = 777, .last = 777}}, now_);
            }
        }
        // A scan that waits gets the widest answer, sockets that wait a port, and another one in the worst moment.
        for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
            const auto& step = plan_.steps[i];
            if (step.act == net::PunchAct::scan && step.ranges.empty() && now_ >= TimePoint{} + step.start &&
                !answered_.at(i)) {
                answered_.at(i) = true;
                puncher_.handle_scan(i, {{.first = 1024, .last = 65535}}, now_);
            }
            const bool waits = step.act == net::PunchAct::open && step.target.port == 0 && !step.sample;
            if (waits && !answered_.at(i) && now_ >= TimePoint{} + step.start) {
                answered_.at(i) = true;
                puncher_.handle_scan(i, {{.first = 777, .last = 777}}, now_);
            }
            if (waits && !moved_.at(i) && now_ >= TimePoint{} + step.start + net::kOpenRepeat) {
                moved_.at(i) = true;
                puncher_.handle_scan(i, {{.first = 778, .last = 778}}, now_ + 300ms);
            }
        }
    }

    void note(const SendProbe& probe) {
        const auto message = stun::MessageView::parse(probe.payload);
        ASSERT_TRUE(message);
        if (message->message_class() == stun::MessageClass::indication) {
            ++sent_;
            return;
        }
        stun::MessageBuilder answer{stun::MessageClass::success, stun::kBinding, message->transaction_id()};
        answer.address(stun::AttributeType::xor_mapped_address, {.address = kAlice, .port = 30'000});
        puncher_.handle_datagram(probe.path, answer.finish(), now_);
    }

    net::PunchPlan plan_;
    SeededRng rng_{1};
    Puncher puncher_;
    TimePoint now_{};
    std::uint16_t next_port_ = 20'000;
    std::uint64_t sent_ = 0;
    std::array<bool, net::kMaxPunchSteps> answered_{};
    std::array<bool, net::kMaxPunchSteps> moved_{};
};

std::vector<net::NetReport> reports(const net::Address& address) {
    std::vector<net::NetReport> all;
    for (const auto mapping : {NatBehavior::unknown, NatBehavior::endpoint_independent, NatBehavior::address_dependent,
                               NatBehavior::address_and_port_dependent}) {
        for (const auto filtering :
             {NatBehavior::unknown, NatBehavior::address_dependent, NatBehavior::address_and_port_dependent}) {
            for (const auto allocation : {PortAllocation::preserving, PortAllocation::sequential, PortAllocation::block,
                                          PortAllocation::random}) {
                for (const auto size : std::array<std::uint16_t, 3>{16, 500, 2000}) {
                    net::NetReport report;
                    report.udp.open = true;
                    report.udp.mapping = mapping;
                    report.udp.filtering = filtering;
                    report.udp.allocation = allocation;
                    report.udp.delta = 1;
                    // Of sequential ones the rate, of blocks the width.
                    report.udp.rate = size;
                    report.udp.block =
                        net::PortRange{.first = 20'000, .last = static_cast<std::uint16_t>(19'999 + size)};
                    report.udp.reflexive = net::Endpoint{.address = address, .port = 40'000};
                    if (allocation == PortAllocation::sequential || allocation == PortAllocation::block || size == 16) {
                        all.push_back(report);
                    }
                }
            }
        }
    }
    return all;
}

TEST(Reserved, CoversWhatAnyPlannedPuncherSends) {
    std::vector<net::PunchPlan> seen;
    std::uint64_t most = 0;
    for (const auto& alice : reports(kAlice)) {
        for (const auto& bob : reports(kBob)) {
            Punches punches{{}};
            const auto plans = punches.begin(
                {.side = {.connection = {1}, .call = {1}}, .id = {}, .plan = {.report = &alice, .observed = kAlice}},
                {.side = {.connection = {2}, .call = {2}}, .id = {}, .plan = {.report = &bob, .observed = kBob}},
                TimePoint{1h});
            const std::array targets{kBob, kAlice};
            for (const std::size_t who : {0U, 1U}) {
                const auto& plan = plans.at(who);
                if (std::ranges::find(seen, plan) != seen.end()) {
                    continue;
                }
                seen.push_back(plan);
                const auto reserved = net::kMaxScanProbes - punches.guard().left(targets.at(who), TimePoint{1h});
                const auto sent = Eager{plan}.run();
                most = std::max(most, sent);
                ASSERT_LE(sent, static_cast<std::uint64_t>(reserved)) << "plan " << seen.size() << ", side " << who;
                ASSERT_EQ(sent > 0, reserved > 0);
            }
        }
    }
    EXPECT_GE(seen.size(), 40U);
    EXPECT_GE(most, net::kMaxScanProbes / 2U);
}

TEST(Reserved, AnotherPortInTheWorstMomentIsCounted) {
    const net::PunchStep open{.strategy = net::Strategy::birthday,
                              .act = net::PunchAct::open,
                              .budget = 6s,
                              .sockets = 10,
                              .target = {.address = kBob, .port = 0}};
    EXPECT_EQ(net::max_probes(open), 20U);
    EXPECT_EQ(net::probes_by(open, 1ms), 20U) << "two ports may have been told";
    EXPECT_EQ(Eager({.topology = {}, .steps = {open}}).run(), 20U);
}

TEST(Reserved, NoMoreHasLeftAtAnyTimeThanTheServerThinks) {
    for (const auto repeat : {false, true}) {
        const net::PunchStep open{.strategy = net::Strategy::predict,
                                  .act = net::PunchAct::open,
                                  .start = 200ms,
                                  .budget = 6s,
                                  .sockets = 10,
                                  .sample = repeat,
                                  .target = {.address = kBob, .port = static_cast<std::uint16_t>(repeat ? 0 : 41'000)}};
        EXPECT_EQ(net::probes_by(open, 199ms), 0U);
        EXPECT_EQ(net::probes_by(open, 200ms), 10U);
        EXPECT_EQ(net::probes_by(open, 499ms), 10U);
        EXPECT_EQ(net::probes_by(open, 500ms), repeat ? 20U : 10U);
        EXPECT_EQ(net::probes_by(open, 5200ms), repeat ? 170U : 20U);
        EXPECT_EQ(net::probes_by(open, 1h), repeat ? 200U : 20U);
        EXPECT_EQ(net::max_probes(open), repeat ? 200U : 20U);
    }
    net::PunchStep scan{.strategy = net::Strategy::birthday,
                        .act = net::PunchAct::scan,
                        .start = 100ms,
                        .budget = 2s,
                        .target = {.address = kBob, .port = 0},
                        .probes = 1500,
                        .shuffled = true};
    EXPECT_EQ(net::probes_by(scan, 100ms), 1U);
    EXPECT_EQ(net::probes_by(scan, 200ms), 101U);
    EXPECT_EQ(net::max_probes(scan), 1500U);
    scan.shuffled = false;
    EXPECT_EQ(net::max_probes(scan), 2000U) << "its budget ends before its second pass";
    EXPECT_EQ(net::max_probes(net::PunchPlan{.topology = {}, .steps = {scan, scan}}), net::kMaxScanProbes);
    EXPECT_EQ(net::max_probes(net::PunchStep{}), 0U);
}

}  // namespace
}  // namespace pinhole::punch
