#include "tests/lab/natbox/link_engine.hpp"

#include "tests/lab/natbox/ip_header.hpp"
#include "tests/lab/natbox/link_settings.hpp"
#include "tests/lab/natbox/packet_test_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace pinhole::natbox {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::StartsWith;

constexpr TimePoint kBegin{1h};

TEST(LinkEngine, WhatGoesInAtOneEndComesOutAtTheOtherAfterTheDelay) {
    lab::LinkPair config;
    config.up.delay = 10ms;
    LinkEngine engine{config, 1};
    const auto raw = udp("10.0.0.1:1", "10.0.0.2:2");
    engine.handle_packet(0, raw, kBegin);
    EXPECT_EQ(engine.next_timeout(), kBegin + 10ms);
    EXPECT_FALSE(engine.poll_packet(kBegin + 9ms));
    const auto there = engine.poll_packet(kBegin + 10ms);
    ASSERT_TRUE(there);
    EXPECT_EQ(there->device, 1U);
    EXPECT_EQ(there->packet, raw);
    engine.handle_packet(1, Bytes{1, 2, 3}, kBegin);  // no IP at all
    const auto back = engine.poll_packet(kBegin);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->device, 0U);
    EXPECT_FALSE(engine.next_timeout());
}

TEST(LinkEngine, ACongestedRouterMarksInThePacketItself) {
    LinkEngine engine{{}, 1};
    EXPECT_EQ(engine.handle_command("link both mark=true", kBegin), "ok");
    for (auto raw : {udp("10.0.0.1:1", "10.0.0.2:2"), udp("[fd00::1]:1", "[fd00::2]:2")}) {
        set_ecn(raw, net::Ecn::ect0);
        engine.handle_packet(0, raw, kBegin);
        const auto out = engine.poll_packet(kBegin);
        ASSERT_TRUE(out);
        EXPECT_EQ(ecn_of(out->packet), net::Ecn::ce);
        EXPECT_TRUE(checksums_right(out->packet));
    }
}

TEST(LinkEngine, TheKernelAnswersForANarrowLineUnlessItIsSilent) {
    LinkEngine engine{{}, 1};
    EXPECT_EQ(engine.device_mtu(0), 1500U);
    EXPECT_EQ(engine.handle_command("link up mtu=1280", kBegin), "ok");
    const auto change = engine.poll_change();
    ASSERT_TRUE(change);
    EXPECT_EQ(change->device, 0U);
    EXPECT_EQ(change->mtu, 1280U);
    EXPECT_FALSE(engine.poll_change());
    EXPECT_EQ(engine.handle_command("link up mtu_icmp=false", kBegin), "ok");
    EXPECT_EQ(engine.poll_change()->mtu, 1500U);
}

TEST(LinkEngine, StatsCountEachDirection) {
    LinkEngine engine{{}, 1};
    EXPECT_EQ(engine.handle_command("link up loss=1", kBegin), "ok");
    engine.handle_packet(0, Bytes(20), kBegin);
    engine.handle_packet(1, Bytes(20), kBegin);
    const auto stats = nlohmann::json::parse(engine.handle_command("stats", kBegin));
    EXPECT_EQ(stats["up"], (nlohmann::json{{"packets", 1}, {"dropped", 1}}));
    EXPECT_EQ(stats["down"], (nlohmann::json{{"packets", 1}, {"dropped", 0}}));
    for (const auto* line : {"", "link", "link up", "link home up loss=1", "link up loss=2", "rebind home"}) {
        EXPECT_THAT(engine.handle_command(line, kBegin), StartsWith("error: ")) << line;
    }
}

TEST(LinkSettings, EveryKeyTakesItsKindOfValue) {
    lab::LinkConfig config;
    EXPECT_TRUE(
        set_link(config, {"delay=20ms", "jitter=1.5s", "loss=0.25", "burst_loss=0.01", "burst_length=4", "rate=20mbit",
                          "queue=64kB", "reorder=1", "reorder_delay=2min", "duplicate=0.5", "corrupt=0.125", "mtu=1280",
                          "mtu_icmp=false", "strip_ecn=true", "mark=true", "up=false"}));
    EXPECT_EQ(config.delay, 20ms);
    EXPECT_EQ(config.jitter, 1500ms);
    EXPECT_EQ(config.loss, 0.25);
    EXPECT_EQ(config.burst_loss, 0.01);
    EXPECT_EQ(config.burst_length, 4U);
    EXPECT_EQ(config.bytes_per_second, 2.5e6);
    EXPECT_EQ(config.queue_bytes, 64'000U);
    EXPECT_EQ(config.reorder, 1);
    EXPECT_EQ(config.reorder_delay, 2min);
    EXPECT_EQ(config.duplicate, 0.5);
    EXPECT_EQ(config.corrupt, 0.125);
    EXPECT_EQ(config.mtu, 1280U);
    EXPECT_TRUE(config.strip_ecn && config.mark && !config.mtu_icmp && !config.up);
}

TEST(LinkSettings, AWrongOneChangesNothingAndSaysWhatIsWanted) {
    lab::LinkConfig config;
    for (const auto* wrong : {"delay=20", "delay=-1ms", "delay=", "delay=nan", "loss=1.5", "loss=x", "rate=20",
                              "queue=15", "burst_length=1.5", "mtu=1e30", "up=yes", "colour=blue", "delay", "=1ms"}) {
        EXPECT_FALSE(set_link(config, {"loss=0.5", wrong})) << wrong;
        EXPECT_EQ(config.loss, 0);
    }
    EXPECT_THAT(set_link(config, {"loss=2"}).error().detail, HasSubstr("a chance from 0 to 1, not '2'"));
}

}  // namespace
}  // namespace pinhole::natbox
