// No minute in which more goes to an address than the cap, whatever is begun, told, ended or left open, and by whom.
#include "rendezvous/core/scan_guard.hpp"

#include "common/base/rng.hpp"
#include "rendezvous/core/punches.hpp"
#include "tests/unit/rendezvous/reports.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

using net::NatBehavior;
using net::PortAllocation;
using net::PunchAct;
using net::Strategy;
using std::chrono::milliseconds;

constexpr std::uint32_t kCap = ScanGuard::Config{}.probes_per_minute;

crypto::PeerId peer(std::uint8_t number) {
    crypto::PeerId id;
    id.bytes[0] = number;
    return id;
}

net::Address v4(std::uint8_t number) {
    return net::Address::v4({203, 0, 113, number});
}

net::Address v6(std::uint8_t site, std::uint8_t last) {
    return net::Address::v6({0x20, 1, 0xd, 0xb8, 0, 0, site, 0, 0, 0, 0, 0, 0, 0, 0, last});
}

class ScanGuardTest : public testing::Test {
  protected:
    ScanGuard::Claim claim(const net::Address& target, std::uint8_t prober, std::uint32_t probes, Duration length) {
        return {.target = target,
                .prober = peer(prober),
                .probes = probes,
                .over = now_ + length,
                .scans = true,
                .from = now_,
                .until = now_ + length};
    }

    std::optional<Duration> reserve(ScanGuard::Claim& claim, Duration patience = 5s) {
        return guard_.reserve({&claim, 1}, patience, now_);
    }

    ScanGuard guard_{{}};
    TimePoint now_{1h};
};

TEST_F(ScanGuardTest, KeepsATableOfItsSizeAndNoMore) {
    ScanGuard guard{{.probes_per_minute = 2048, .max_targets = 4}};
    const auto take = [&](std::uint8_t number) {
        auto wanted = claim(v4(number), number, 10, 1s);
        return guard.reserve({&wanted, 1}, 1s, now_);
    };
    for (std::uint8_t i = 0; i < 4; ++i) {
        EXPECT_TRUE(take(i));
    }
    EXPECT_FALSE(take(9)) << "when in doubt, no probes";
    EXPECT_TRUE(take(1)) << "who is in it loses nothing";
    now_ += 63s;
    EXPECT_TRUE(take(9));
    EXPECT_EQ(guard.targets(), 1U);
}

TEST_F(ScanGuardTest, AFloodOfFreshAddressesOfOneSiteIsOneTarget) {
    for (int i = 0; i < 256; ++i) {
        auto wanted = claim(v6(1, static_cast<std::uint8_t>(i)), static_cast<std::uint8_t>(i), 100, 1ms);
        reserve(wanted);
    }
    EXPECT_EQ(guard_.targets(), 1U);
    EXPECT_LT(guard_.left(v6(1, 7), now_), 100U);
    EXPECT_EQ(guard_.left(v6(2, 7), now_), kCap) << "another site";
}

TEST_F(ScanGuardTest, KeepsFewClaimsOfATarget) {
    std::size_t taken = 0;
    for (int i = 0; i < 1000; ++i) {
        auto wanted = claim(v4(1), static_cast<std::uint8_t>(i), 1, 1s);
        wanted.scans = false;
        taken += reserve(wanted) ? 1U : 0U;
    }
    EXPECT_EQ(taken, ScanGuard::kMaxClaims);
    now_ += 62s;
    auto wanted = claim(v4(1), 1, 1, 1s);
    EXPECT_TRUE(reserve(wanted));
}

TEST_F(ScanGuardTest, HandsOutTurnsAndNoMoreThanFitsTheirWaiting) {
    auto first = claim(v4(1), 1, 100, 4s);
    auto second = claim(v4(1), 2, 100, 4s);
    auto third = claim(v4(1), 3, 100, 4s);
    EXPECT_EQ(reserve(first), Duration{0s});
    EXPECT_EQ(reserve(second), Duration{4s});
    EXPECT_EQ(second.until, now_ + 8s);
    EXPECT_EQ(reserve(third), std::nullopt) << "8 s";
    EXPECT_EQ(guard_.left(v4(1), now_), kCap - 200);
    guard_.release(second, 0, now_);
    now_ += 1s;
    third = claim(v4(1), 3, 100, 4s);
    EXPECT_EQ(reserve(third), Duration{3s}) << "the first one's turn lasts, though the second one's is over";
    guard_.release(third, 0, now_);
    guard_.release(first, 0, now_);
    auto fourth = claim(v4(1), 4, 100, 4s);
    EXPECT_EQ(reserve(fourth), Duration{0s});
}

TEST_F(ScanGuardTest, APeerHasOneTurnAtATimeWhomeverItScans) {
    auto first = claim(v4(1), 1, 100, 4s);
    auto second = claim(v4(2), 1, 100, 4s);
    auto third = claim(v4(3), 1, 100, 4s);
    EXPECT_EQ(reserve(first), Duration{0s});
    EXPECT_EQ(reserve(second), Duration{4s});
    guard_.release(second, 0, now_);
    EXPECT_EQ(reserve(third), Duration{4s}) << "the first one's turn lasts";
    auto opens = claim(v4(4), 1, 100, 4s);
    opens.scans = false;
    EXPECT_EQ(reserve(opens), Duration{0s}) << "opening takes none";
}

TEST_F(ScanGuardTest, AClaimCountsUntilAMinuteAfterItsLastProbe) {
    auto wanted = claim(v4(1), 1, kCap, 6s);
    ASSERT_TRUE(reserve(wanted));
    now_ += 65'999ms;
    EXPECT_EQ(guard_.left(v4(1), now_), 0U);
    now_ += 1ms;
    EXPECT_EQ(guard_.left(v4(1), now_), kCap);
}

TEST_F(ScanGuardTest, WhatIsGivenBackIsGivenBackOnce) {
    auto wanted = claim(v4(1), 1, 1000, 6s);
    auto other = claim(v4(1), 2, 1000, 6s);
    ASSERT_TRUE(reserve(wanted));
    ASSERT_TRUE(reserve(other, 10s));
    for (int i = 0; i < 5; ++i) {
        guard_.release(wanted, 400, now_ + 1s);
    }
    EXPECT_EQ(guard_.left(v4(1), now_), kCap - 1400);
    guard_.release(wanted, 9999, now_ + 1s);
    EXPECT_EQ(guard_.left(v4(1), now_), kCap - 1400) << "nor is more of it charged";
}

/// Many peers at few addresses call each other. Those at the address that is looked at lie and disappear as they like;
/// the others do what they are told to, as late as they may, and tell the truth about it.
class Town {
  public:
    explicit Town(std::uint64_t seed) : rng_(seed) {}

    void run(int steps) {
        for (int i = 0; i < steps; ++i) {
            switch (rng_.below(6)) {
                case 0:
                case 1:
                    begin();
                    break;
                case 2:
                    lie();
                    break;
                case 3:
                    tell_truth();
                    break;
                case 4:
                    disappear();
                    break;
                default:
                    now_ += milliseconds{rng_.below(8000)};
                    punches_.handle_timeout(now_);
            }
        }
        for (auto& call : calls_) {
            settle(call, call.go + 1h);
        }
    }

    /// Probes that came to the address in its worst minute.
    std::uint32_t worst_minute() {
        std::ranges::sort(log_);
        std::uint32_t worst = 0;
        std::uint32_t sum = 0;
        auto oldest = log_.begin();
        for (const auto& [at, probes] : log_) {
            sum += probes;
            while (at - oldest->first >= 60s) {
                sum -= (oldest++)->second;
            }
            worst = std::max(worst, sum);
        }
        return worst;
    }

    std::size_t planned = 0;

  private:
    struct Call {
        Side villain;
        Side honest;
        net::PunchPlan plan;  ///< of the honest one
        TimePoint go;
        bool settled = false;
    };

    net::NetReport some_report(const net::Address& address) {
        constexpr std::array kAllocations{PortAllocation::sequential, PortAllocation::random, PortAllocation::block};
        const auto mapping =
            rng_.below(3) == 0 ? NatBehavior::endpoint_independent : NatBehavior::address_and_port_dependent;
        auto result = report(address, mapping, kAllocations.at(rng_.below(kAllocations.size())));
        result.udp.rate = 50;
        result.udp.block = net::PortRange{.first = 20'000, .last = 20'511};
        return result;
    }

    void begin() {
        const auto victim = v4(1);
        const auto elsewhere = v4(static_cast<std::uint8_t>(2 + rng_.below(40)));
        const auto villain_report = some_report(victim);
        const auto honest_report = some_report(elsewhere);
        const auto number = static_cast<std::uint8_t>(rng_.below(200));
        Call call{.villain = {.connection = {1 + rng_.below(10)}, .call = {++last_call_}},
                  .honest = {.connection = {100U + number}, .call = {++last_call_}},
                  .plan = {},
                  .go = now_ + milliseconds{rng_.below(10'000)}};
        const Punches::Party villain{.side = call.villain,
                                     .id = peer(static_cast<std::uint8_t>(200 + rng_.below(50))),
                                     .plan = {.report = &villain_report, .observed = victim}};
        const Punches::Party honest{
            .side = call.honest, .id = peer(number), .plan = {.report = &honest_report, .observed = elsewhere}};
        const bool calls = rng_.below(2) == 0;
        auto plans = calls ? punches_.begin(villain, honest, now_) : punches_.begin(honest, villain, now_);
        call.plan = std::move(plans[calls ? 1 : 0]);
        planned += net::max_probes(call.plan) > 0 ? 1U : 0U;
        calls_.push_back(std::move(call));
    }

    Call* some_call() { return calls_.empty() ? nullptr : &calls_[rng_.below(calls_.size())]; }

    void lie() {
        if (const auto* call = some_call()) {
            const auto strategy = rng_.below(2) == 0 ? std::nullopt : std::optional{Strategy::host};
            const auto elapsed = static_cast<std::uint32_t>(rng_.u64());
            punches_.handle_outcome(call->villain.connection,
                                    {.call = call->villain.call, .strategy = strategy, .elapsed_ms = elapsed}, now_);
            // Nor may it speak for the other one.
            punches_.handle_outcome(call->villain.connection,
                                    {.call = call->honest.call, .strategy = strategy, .elapsed_ms = 0}, now_);
        }
    }

    void tell_truth() {
        auto* call = some_call();
        if (call == nullptr || call->settled || now_ < call->go) {
            return;
        }
        settle(*call, now_);
        const auto elapsed = std::chrono::duration_cast<milliseconds>(now_ - call->go);
        punches_.handle_outcome(call->honest.connection,
                                {.call = call->honest.call,
                                 .strategy = Strategy::udp,
                                 .elapsed_ms = static_cast<std::uint32_t>(elapsed.count())},
                                now_);
    }

    void disappear() {
        if (const auto* call = some_call()) {
            if (rng_.below(2) == 0) {
                punches_.handle_end(call->villain);
            } else {
                punches_.handle_lost(call->villain.connection);
            }
        }
    }

    /// Notes what the honest side has sent by then.
    void settle(Call& call, TimePoint until) {
        if (std::exchange(call.settled, true)) {
            return;
        }
        for (const auto& step : call.plan.steps) {
            std::uint32_t noted = 0;
            for (Duration at = step.start; at <= step.start + step.budget && call.go + at <= until; at += 50ms) {
                const auto sent = net::probes_by(step, at);
                if (sent > noted) {
                    log_.emplace_back(call.go + at, sent - noted);
                    noted = sent;
                }
            }
        }
    }

    SeededRng rng_;
    Punches punches_{{}};
    TimePoint now_{1h};
    std::uint64_t last_call_ = 0;
    std::vector<Call> calls_;
    std::vector<std::pair<TimePoint, std::uint32_t>> log_;
};

TEST(ScanGuardAttack, NoLieAndNoDisappearanceRaisesTheCap) {
    std::uint32_t worst = 0;
    std::size_t planned = 0;
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        SCOPED_TRACE(seed);
        Town town{seed};
        town.run(1500);
        worst = std::max(worst, town.worst_minute());
        EXPECT_LE(town.worst_minute(), kCap);
        planned += town.planned;
    }
    EXPECT_GE(worst, kCap / 2) << "the cap was tried";
    EXPECT_GE(planned, 100U);
}

}  // namespace
}  // namespace pinhole::rendezvous
