#include "tests/lab/natbox/network_engine.hpp"

#include "tests/lab/natbox/packet_codec.hpp"
#include "tests/lab/natbox/packet_test_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace pinhole::natbox {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::size_t kAlice = 0;
constexpr std::size_t kBob = 1;
constexpr std::size_t kServer = 2;

lab::NatNode nat(std::string name, std::string behind = lab::kInternet) {
    lab::NatNode node;
    node.nat.name = std::move(name);
    node.nat.filtering = lab::Dependence::endpoint_independent;
    node.behind = std::move(behind);
    return node;
}

lab::HostNode host(std::string name, std::string behind = lab::kInternet) {
    lab::HostNode node;
    node.name = std::move(name);
    node.behind = std::move(behind);
    return node;
}

/// alice behind "home", bob behind "office", a server on the internet.
lab::Topology two_homes() {
    lab::Topology topology;
    topology.nats = {nat("home"), nat("office")};
    topology.hosts = {host("alice", "home"), host("bob", "office"), host("server")};
    return topology;
}

class NetworkEngineTest : public testing::Test {
  protected:
    void start(lab::Topology topology) {
        ASSERT_TRUE(lab::resolve(topology));
        engine_ =
            std::make_unique<NetworkEngine>(std::move(topology), std::vector<std::string>{"alice", "bob", "server"});
    }

    std::string address(std::size_t device) { return engine_->addresses(device).front().address.text(); }

    std::string at(std::size_t device, int port) { return address(device) + ":" + std::to_string(port); }

    /// What arrives somewhere, in order, until nothing is under way; time goes on as it must.
    std::vector<Outgoing> arrivals() {
        std::vector<Outgoing> all;
        for (;;) {
            while (auto out = engine_->poll_packet(now_)) {
                all.push_back(std::move(*out));
            }
            const auto next = engine_->next_timeout();
            if (!next) {
                return all;
            }
            now_ = std::max(now_, *next);
        }
    }

    /// Sends, and expects exactly one packet to arrive somewhere.
    Outgoing exchange(std::size_t from, const Bytes& raw) {
        engine_->handle_packet(from, raw, now_);
        auto all = arrivals();
        EXPECT_EQ(all.size(), 1U);
        return all.empty() ? Outgoing{99, {}} : all.front();
    }

    std::string command(std::string_view line) { return engine_->handle_command(line, now_); }

    std::unique_ptr<NetworkEngine> engine_;
    TimePoint now_{1h};
};

TEST_F(NetworkEngineTest, PacketsCrossTheNatsBothWaysAndArriveWhole) {
    start(two_homes());
    const auto there = exchange(kAlice, udp(at(kAlice, 4000), at(kServer, 3478), "question"));
    ASSERT_EQ(there.device, kServer);
    EXPECT_TRUE(checksums_right(there.packet));
    const auto seen = *parse(there.packet);
    EXPECT_EQ(seen.flow.source.address.text(), engine_->public_address(kAlice));
    EXPECT_EQ(seen.ttl, 62);  // the NAT and the core router
    EXPECT_EQ(as_text(ByteView{there.packet}.subspan(28)), "question");

    const auto back = exchange(kServer, udp(at(kServer, 3478), seen.flow.source.text(), "answer"));
    ASSERT_EQ(back.device, kAlice);
    EXPECT_TRUE(checksums_right(back.packet));
    EXPECT_EQ(parse(back.packet)->flow.destination.text(), at(kAlice, 4000));
}

TEST_F(NetworkEngineTest, AHopThatEndsAPacketsLifeSaysSoAboutThePacketAsItWasSent) {
    start(two_homes());
    for (const auto ttl : {std::uint8_t{1}, std::uint8_t{2}}) {
        auto raw = udp(at(kAlice, 4000), at(kServer, 3478));
        raw[8] = ttl;
        const auto answer = exchange(kAlice, raw);
        ASSERT_EQ(answer.device, kAlice);
        EXPECT_TRUE(checksums_right(answer.packet));
        const auto error = parse(answer.packet);
        ASSERT_TRUE(error && error->report);
        EXPECT_EQ(error->report->error, lab::IcmpError::time_exceeded);
        EXPECT_EQ(error->report->about.source.text(), at(kAlice, 4000));
        EXPECT_EQ(error->report->about.destination.text(), at(kServer, 3478));
    }
}

TEST_F(NetworkEngineTest, ThePortUnreachableOfAHostReachesWhoeverAsked) {
    start(two_homes());
    (void)exchange(kBob, udp(at(kBob, 5000), at(kServer, 3478)));  // opens office:5000
    const auto office = engine_->public_address(kBob) + ":5000";
    const auto asked = exchange(kAlice, udp(at(kAlice, 4000), office));
    ASSERT_EQ(asked.device, kBob);
    const auto from = parse(asked.packet)->flow.source.address.text();
    const auto answer = exchange(kBob, icmp_error(address(kBob), from, 3, 3, asked.packet));
    ASSERT_EQ(answer.device, kAlice);
    EXPECT_TRUE(checksums_right(answer.packet));
    const auto error = parse(answer.packet);
    ASSERT_TRUE(error && error->report);
    EXPECT_EQ(error->report->error, lab::IcmpError::port_unreachable);
    EXPECT_EQ(error->report->about.source.text(), at(kAlice, 4000));
    EXPECT_EQ(error->report->about.destination.text(), office);
}

TEST_F(NetworkEngineTest, ANarrowLineSaysWhatFits) {
    auto topology = two_homes();
    topology.nats[0].link.up.mtu = 1280;
    start(topology);
    const auto answer = exchange(kAlice, udp(at(kAlice, 4000), at(kServer, 3478), std::string(1300, 'x')));
    ASSERT_EQ(answer.device, kAlice);
    const auto error = parse(answer.packet);
    ASSERT_TRUE(error && error->report);
    EXPECT_EQ(error->report->error, lab::IcmpError::too_big);
    EXPECT_EQ(error->report->mtu, 1280U);
    EXPECT_EQ(command("link home up mtu_icmp=false"), "ok");
    engine_->handle_packet(kAlice, udp(at(kAlice, 4000), at(kServer, 3478), std::string(1300, 'x')), now_);
    EXPECT_TRUE(arrivals().empty());
}

TEST_F(NetworkEngineTest, ANatThatRejectsAnswersTcpWithAReset) {
    auto topology = two_homes();
    topology.nats[1].nat.unsolicited = lab::Unsolicited::reject;
    start(topology);
    const auto answer = exchange(kServer, tcp(at(kServer, 4000), engine_->public_address(kBob) + ":80", kSyn));
    ASSERT_EQ(answer.device, kServer);
    EXPECT_TRUE(checksums_right(answer.packet));
    EXPECT_TRUE(parse(answer.packet)->tcp.rst);
    EXPECT_EQ(parse(answer.packet)->flow.destination.text(), at(kServer, 4000));
}

TEST_F(NetworkEngineTest, AHostWithoutADeviceIsNotThere) {
    auto topology = two_homes();
    topology.hosts.push_back(host("carol"));
    ASSERT_TRUE(lab::resolve(topology));
    const auto carol = topology.hosts.back().addresses.front().text();
    start(topology);
    engine_->handle_packet(kAlice, udp(at(kAlice, 4000), carol + ":1"), now_);
    EXPECT_TRUE(arrivals().empty());
}

TEST_F(NetworkEngineTest, WhatCannotBeTranslatedIsCountedAndDropped) {
    start(two_homes());
    engine_->handle_packet(kAlice, ip(address(kAlice), "224.0.0.22", 2, Bytes(8)), now_);
    EXPECT_TRUE(arrivals().empty());
    const auto stats = nlohmann::json::parse(command("stats"));
    EXPECT_EQ(stats["hosts"]["alice"]["untranslatable"], 1);
    EXPECT_EQ(stats["hosts"]["alice"]["sent"], 1);
}

TEST_F(NetworkEngineTest, RebindGivesTheFlowAnotherPort) {
    start(two_homes());
    const auto raw = udp(at(kAlice, 4000), at(kServer, 3478));
    const auto before = parse(exchange(kAlice, raw).packet)->flow.source;
    EXPECT_EQ(command("rebind home"), "ok");
    const auto after = parse(exchange(kAlice, raw).packet)->flow.source;
    EXPECT_NE(before, after);
    EXPECT_EQ(before.address, after.address);
}

TEST_F(NetworkEngineTest, BlockedUdpDoesNotPassUntilItIsUnblocked) {
    start(two_homes());
    const auto raw = udp(at(kAlice, 4000), at(kServer, 3478));
    EXPECT_EQ(command("block home udp"), "ok");
    engine_->handle_packet(kAlice, raw, now_);
    EXPECT_TRUE(arrivals().empty());
    EXPECT_EQ(exchange(kAlice, tcp(at(kAlice, 4000), at(kServer, 3478), kSyn)).device, kServer);
    EXPECT_EQ(command("unblock home udp"), "ok");
    EXPECT_EQ(exchange(kAlice, raw).device, kServer);
}

TEST_F(NetworkEngineTest, TwoThatAreCutOffFromEachOtherStillReachEverybodyElse) {
    start(two_homes());
    (void)exchange(kBob, udp(at(kBob, 5000), at(kServer, 3478)));  // opens office:5000
    const auto to_bob = udp(at(kAlice, 4000), engine_->public_address(kBob) + ":5000");
    EXPECT_EQ(exchange(kAlice, to_bob).device, kBob);
    EXPECT_EQ(command("cut home office"), "ok");
    engine_->handle_packet(kAlice, to_bob, now_);
    EXPECT_TRUE(arrivals().empty());
    EXPECT_EQ(exchange(kAlice, udp(at(kAlice, 4000), at(kServer, 3478))).device, kServer);
    EXPECT_EQ(command("restore office home"), "ok");
    EXPECT_EQ(exchange(kAlice, to_bob).device, kBob);
}

TEST_F(NetworkEngineTest, ALinkCanBeChangedWhileItRuns) {
    start(two_homes());
    EXPECT_EQ(command("link alice both delay=20ms"), "ok");
    const auto began = now_;
    (void)exchange(kAlice, udp(at(kAlice, 4000), at(kServer, 3478)));
    EXPECT_EQ(now_ - began, 20ms);
    EXPECT_EQ(command("link home down up=false"), "ok");
    const auto home = engine_->public_address(kAlice) + ":4000";
    engine_->handle_packet(kServer, udp(at(kServer, 3478), home), now_);
    EXPECT_TRUE(arrivals().empty());
}

TEST_F(NetworkEngineTest, MoveGivesTheHostAnAddressOfTheOtherLan) {
    start(two_homes());
    EXPECT_EQ(command("move alice office"), "ok");
    const auto change = engine_->poll_change();
    ASSERT_TRUE(change);
    EXPECT_EQ(change->device, kAlice);
    ASSERT_EQ(change->addresses.size(), 1U);
    EXPECT_EQ(change->addresses, engine_->addresses(kAlice));
    EXPECT_EQ(change->addresses[0].prefix, 24);
    EXPECT_FALSE(engine_->poll_change());
    const auto seen = parse(exchange(kAlice, udp(at(kAlice, 4000), at(kServer, 3478))).packet)->flow;
    EXPECT_EQ(seen.source.address.text(), engine_->public_address(kBob));
    EXPECT_EQ(command("move alice internet"), "ok");
    EXPECT_EQ(engine_->addresses(kAlice)[0].prefix, 32);
    EXPECT_EQ(engine_->public_address(kAlice), address(kAlice));
}

TEST_F(NetworkEngineTest, StatsCountMappingsAndTellWhyPacketsWereDropped) {
    start(two_homes());
    (void)exchange(kAlice, udp(at(kAlice, 4000), at(kServer, 3478)));
    engine_->handle_packet(kServer, udp(at(kServer, 3478), engine_->public_address(kBob) + ":4000"), now_);
    EXPECT_TRUE(arrivals().empty());
    const auto stats = nlohmann::json::parse(command("stats"));
    EXPECT_EQ(stats["nats"]["home"]["mappings"], 1);
    EXPECT_EQ(stats["nats"]["office"]["dropped"], 1);
    EXPECT_EQ(stats["hosts"]["server"]["received"], 1);
    EXPECT_EQ(stats["drops"].size(), 1U);
    EXPECT_THAT(stats["drops"].begin().key(), StartsWith("office: "));
}

TEST_F(NetworkEngineTest, AWrongCommandIsAnswered) {
    start(two_homes());
    for (const auto* line : {"",
                             "   ",
                             "explode",
                             "rebind",
                             "rebind nowhere",
                             "rebind alice",
                             "expire home now",
                             "block home icmp",
                             "stats all",
                             "link home sideways delay=1ms",
                             "link home up",
                             "link nowhere up delay=1ms",
                             "link home up delay",
                             "link home both delay=20",
                             "cut home",
                             "cut home home",
                             "cut home nowhere",
                             "restore nowhere home",
                             "background home",
                             "background home -1",
                             "background home many",
                             "background home 1e9",
                             "move alice",
                             "move alice bob",
                             "move nobody home"}) {
        EXPECT_THAT(command(line), StartsWith("error: ")) << line;
    }
    EXPECT_THAT(command("rebind nowhere"), HasSubstr("there is no NAT 'nowhere'"));
    EXPECT_EQ(command("background home 50"), "ok");
    EXPECT_EQ(command("expire home"), "ok");
}

}  // namespace
}  // namespace pinhole::natbox
