// The messages of punching on the wire: they come through whole, and nothing asks more of a peer than the bounds.
#include "common/signaling/codec.hpp"

#include <functional>

#include <gtest/gtest.h>

namespace pinhole::signaling {
namespace {

using net::PunchAct;
using net::PunchStep;
using net::Strategy;

template <class T, class Variant>
Result<T> through(const T& message) {
    const auto bytes = serialize(Variant{message});
    const auto parsed = [&] {
        if constexpr (std::is_same_v<Variant, ToPeer>) {
            return parse_to_peer(bytes);
        } else {
            return parse_to_server(bytes);
        }
    }();
    if (!parsed) {
        return std::unexpected(parsed.error());
    }
    return std::get<T>(*parsed);
}

template <class T, class Variant>
std::error_code refusal(const T& message) {
    const auto result = through<T, Variant>(message);
    return result ? std::error_code{} : result.error().code;
}

PunchStep open_step() {
    return {.strategy = Strategy::predict,
            .act = PunchAct::open,
            .start = 300ms,
            .budget = 2500ms,
            .sockets = 16,
            .sample = true,
            .first_ttl = 3,
            .target = *net::Endpoint::parse("192.0.2.7:40000")};
}

PunchStep scan_step() {
    return {.strategy = Strategy::birthday,
            .act = PunchAct::scan,
            .start = 1s,
            .budget = 6s,
            .target = {.address = *net::Address::parse("2001:db8::7"), .port = 0},
            .ranges = {{.first = 1024, .last = 65535}, {.first = 7, .last = 7}},
            .probes = 2048,
            .shuffled = true};
}

Go go_message() {
    return {.call = {7},
            .delay_us = 20'000,
            .plan = {.topology = "two NATs",
                     .steps = {{.strategy = Strategy::udp}, open_step(), scan_step()},
                     .ours = net::NatClass::easy,
                     .theirs = net::NatClass::blocked}};
}

std::error_code refusal_of_step(PunchStep step, const std::function<void(PunchStep&)>& change) {
    change(step);
    return refusal<Go, ToPeer>(Go{.call = {1}, .delay_us = 0, .plan = {.topology = {}, .steps = {step}}});
}

TEST(PunchCodec, APlanComesThrough) {
    const auto go = through<Go, ToPeer>(go_message());
    ASSERT_TRUE(go) << go.error().message();
    EXPECT_EQ(go->call, CallId{7});
    EXPECT_EQ(go->delay_us, 20'000U);
    EXPECT_EQ(go->plan, go_message().plan);
}

TEST(PunchCodec, SamplesScansAndOutcomesComeThrough) {
    const PunchSamples samples{.call = {~0ULL},
                               .step = 15,
                               .external = *net::Address::parse("198.51.100.9"),
                               .before = {65535, 1},
                               .after = std::vector<std::uint16_t>(16, 9)};
    const auto got = through<PunchSamples, ToServer>(samples);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->call, samples.call);
    EXPECT_EQ(got->step, 15U);
    EXPECT_EQ(got->external, samples.external);
    EXPECT_EQ(got->before, samples.before);
    EXPECT_EQ(got->after, samples.after);

    const auto scan = through<PunchScan, ToPeer>({.call = {5}, .step = 2, .ranges = {{.first = 1, .last = 65535}}});
    ASSERT_TRUE(scan);
    EXPECT_EQ(scan->call, CallId{5});
    EXPECT_EQ(scan->step, 2U);
    EXPECT_EQ(scan->ranges, (std::vector<net::PortRange>{{.first = 1, .last = 65535}}));

    const std::vector<std::optional<Strategy>> outcomes{std::nullopt,  Strategy::host,    Strategy::reverse,
                                                        Strategy::udp, Strategy::predict, Strategy::birthday};
    for (const auto& strategy : outcomes) {
        const auto outcome =
            through<PunchOutcome, ToServer>({.call = {5}, .strategy = strategy, .elapsed_ms = 4'000'000'000});
        ASSERT_TRUE(outcome);
        EXPECT_EQ(outcome->strategy, strategy);
        EXPECT_EQ(outcome->elapsed_ms, 4'000'000'000U);
    }
}

TEST(PunchCodec, BoundsGo) {
    auto go = go_message();
    go.delay_us = 10'000'001;
    EXPECT_EQ((refusal<Go, ToPeer>(go)), Errc::too_large);
    go = go_message();
    go.plan.steps.assign(net::kMaxPunchSteps + 1, {});
    EXPECT_EQ((refusal<Go, ToPeer>(go)), Errc::too_large);
    go = go_message();
    go.plan.topology = "\x1b[2J";
    EXPECT_EQ((refusal<Go, ToPeer>(go)), Errc::malformed) << "it would be printed";
    go.plan.topology = std::string(65, 'x');
    EXPECT_EQ((refusal<Go, ToPeer>(go)), Errc::malformed);
    go.plan = {.topology = std::string(64, 'x'), .steps = std::vector<PunchStep>(net::kMaxPunchSteps, scan_step())};
    go.delay_us = 10'000'000;
    EXPECT_FALSE((refusal<Go, ToPeer>(go)));
}

TEST(PunchCodec, NoStepAsksMoreThanTheBounds) {
    const auto open = [](const std::function<void(PunchStep&)>& change) {
        return refusal_of_step(open_step(), change);
    };
    const auto scan = [](const std::function<void(PunchStep&)>& change) {
        return refusal_of_step(scan_step(), change);
    };
    EXPECT_EQ(open([](auto& step) { step.sockets = 257; }), Errc::too_large);
    EXPECT_EQ(open([](auto& step) { step.start = 10'001ms; }), Errc::too_large);
    EXPECT_EQ(open([](auto& step) { step.budget = 15'001ms; }), Errc::too_large);
    EXPECT_EQ(scan([](auto& step) { step.probes = 2049; }), Errc::too_large);
    EXPECT_FALSE(open([](auto& step) {
        step.sockets = 256;
        step.start = 10s;
        step.budget = 15s;
    }));
}

TEST(PunchCodec, EveryActHasWhatItNeeds) {
    const auto open = [](const std::function<void(PunchStep&)>& change) {
        return refusal_of_step(open_step(), change);
    };
    const auto scan = [](const std::function<void(PunchStep&)>& change) {
        return refusal_of_step(scan_step(), change);
    };
    EXPECT_EQ(open([](auto& step) { step.sockets = 0; }), Errc::malformed);
    EXPECT_EQ(scan([](auto& step) { step.probes = 0; }), Errc::malformed);
    EXPECT_EQ(scan([](auto& step) { step.target.port = 1; }), Errc::malformed);
    EXPECT_EQ(scan([](auto& step) { step.ranges = {{.first = 0, .last = 9}}; }), Errc::malformed);
    EXPECT_EQ(scan([](auto& step) { step.ranges = {{.first = 9, .last = 8}}; }), Errc::malformed);
    EXPECT_EQ(open([](auto& step) { step.strategy = static_cast<Strategy>(7); }), Errc::malformed);
    EXPECT_EQ(open([](auto& step) { step.act = static_cast<PunchAct>(0); }), Errc::malformed);
    EXPECT_FALSE(open([](auto& step) { step.target.port = 0; })) << "the port comes with a PunchScan";
    EXPECT_FALSE(scan([](auto& step) { step.ranges.clear(); })) << "they come with a PunchScan";
}

TEST(PunchCodec, ProbesGoToNoCrowd) {
    for (const auto* target : {"0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1", "::"}) {
        const auto refused =
            refusal_of_step(scan_step(), [&](auto& step) { step.target.address = *net::Address::parse(target); });
        EXPECT_EQ(refused, Errc::malformed) << target;
    }
}

TEST(PunchCodec, RefusesSamplesAndScansOutOfBounds) {
    const PunchSamples samples{
        .call = {1}, .step = 0, .external = *net::Address::parse("198.51.100.9"), .before = {1}, .after = {}};
    auto changed = samples;
    changed.step = net::kMaxPunchSteps;
    EXPECT_EQ((refusal<PunchSamples, ToServer>(changed)), Errc::malformed);
    changed = samples;
    changed.before = {0};
    EXPECT_EQ((refusal<PunchSamples, ToServer>(changed)), Errc::malformed);
    changed = samples;
    changed.external = net::Address::any(net::Family::v4);
    EXPECT_EQ((refusal<PunchSamples, ToServer>(changed)), Errc::malformed);
    EXPECT_EQ((refusal<PunchScan, ToPeer>({.call = {1}, .step = 0, .ranges = {}})), Errc::malformed);
    EXPECT_EQ((refusal<PunchScan, ToPeer>({.call = {1}, .step = 16, .ranges = {{.first = 1, .last = 2}}})),
              Errc::malformed);
    EXPECT_EQ((refusal<PunchOutcome, ToServer>({.call = {1}, .strategy = static_cast<Strategy>(7)})), Errc::malformed);
}

TEST(PunchCodec, ASenderCutsItsListsDown) {
    const auto samples = through<PunchSamples, ToServer>({.call = {1},
                                                          .step = 0,
                                                          .external = *net::Address::parse("198.51.100.9"),
                                                          .before = std::vector<std::uint16_t>(17, 5),
                                                          .after = {}});
    ASSERT_TRUE(samples);
    EXPECT_EQ(samples->before.size(), net::kMaxPunchSamples);
    const auto scan = through<PunchScan, ToPeer>(
        {.call = {1}, .step = 0, .ranges = std::vector<net::PortRange>(9, {.first = 1, .last = 2})});
    ASSERT_TRUE(scan);
    EXPECT_EQ(scan->ranges.size(), net::kMaxScanRanges);
}

}  // namespace
}  // namespace pinhole::signaling
