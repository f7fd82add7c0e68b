// ICMP and RST: who complains about what, and that the complaint finds the host through every layer.
#include "tests/unit/lab/net_bench.hpp"

namespace pinhole::lab {
namespace {

using testing::at;
using testing::layers;
using testing::NetBench;

Packet only_report(NetBench& bench, std::string_view host, IcmpError error) {
    auto arrived = bench.only(host);
    EXPECT_TRUE(arrived.report);
    if (arrived.report) {
        EXPECT_EQ(arrived.report->error, error);
        EXPECT_EQ(arrived.flow.destination.address, bench.endpoint(host, 1).address);
    }
    return arrived;
}

TEST(NetworkErrors, TimeExceededComesFromEveryHop) {
    NetBench bench{layers()};
    const auto server = bench.endpoint("server", 3478);
    const std::vector<std::string> hops{"10.2.0.1", "10.1.0.1", "198.18.0.1"};
    for (std::size_t i = 0; i < hops.size(); ++i) {
        bench.send("alice", 5000, server, static_cast<std::uint8_t>(i + 1));
        const auto report = only_report(bench, "alice", IcmpError::time_exceeded);
        EXPECT_EQ(report.flow.source.address.text(), hops[i]);
        EXPECT_EQ(report.report->about, (Flow{.source = bench.endpoint("alice", 5000), .destination = server}));
        EXPECT_EQ(report.payload, (Bytes{1, 2, 3})) << "of the packet that it is about";
    }
    // The first hop is before the translation.
    EXPECT_EQ(bench.net.nat("home").mappings(bench.now), 1U);
}

TEST(NetworkErrors, TimeExceededOnTheWayInIsTranslatedOutward) {
    NetBench bench{layers()};
    bench.send("alice", 5000, bench.endpoint("server", 3478));
    const auto alice = bench.only("server").flow.source;
    const std::vector<std::string> hops{"198.18.0.1", "198.18.1.2", "198.18.1.2"};
    for (std::size_t i = 0; i < hops.size(); ++i) {
        bench.send("server", 3478, alice, static_cast<std::uint8_t>(i + 1));
        const auto report = only_report(bench, "server", IcmpError::time_exceeded);
        EXPECT_EQ(report.flow.source.address.text(), hops[i]);
        EXPECT_EQ(report.report->about, (Flow{.source = bench.endpoint("server", 3478), .destination = alice}));
    }
}

TEST(NetworkErrors, AHostsPortUnreachableFindsItsWayThroughAllNats) {
    NetBench bench{layers()};
    const auto alice = at("198.18.1.2:5000");
    const auto bob = at("198.18.2.2:6000");
    bench.send("alice", 5000, bob);
    (void)bench.run();
    bench.send("bob", 6000, alice);
    const auto arrived = bench.only("alice");
    // alice has closed the port meanwhile.
    Packet complaint;
    complaint.flow = {.protocol = Protocol::icmp,
                      .source = {.address = bench.endpoint("alice", 0).address, .port = 0},
                      .destination = {.address = arrived.flow.source.address, .port = 0}};
    complaint.report = IcmpReport{.error = IcmpError::port_unreachable, .about = arrived.flow, .mtu = 0};
    bench.net.send(bench.net.host("alice"), complaint, bench.now);
    const auto report = only_report(bench, "bob", IcmpError::port_unreachable);
    EXPECT_EQ(report.flow.source.address, alice.address);
    EXPECT_EQ(report.report->about, (Flow{.source = bench.endpoint("bob", 6000), .destination = alice}));
}

TEST(NetworkErrors, NoRouteIsSaidByTheCore) {
    NetBench bench{layers()};
    bench.send("alice", 5000, at("203.0.113.7:9"));
    const auto report = only_report(bench, "alice", IcmpError::unreachable);
    EXPECT_EQ(report.report->about.destination, at("203.0.113.7:9"));
}

TEST(NetworkErrors, RejectSaysPortUnreachableForUdp) {
    NetBench bench{layers({.unsolicited = Unsolicited::reject})};
    bench.send("alice", 5000, at("198.18.2.2:6000"));
    const auto report = only_report(bench, "alice", IcmpError::port_unreachable);
    EXPECT_EQ(report.flow.source.address, at("198.18.2.2:1").address);
}

TEST(NetworkErrors, RejectSaysRstForTcp) {
    NetBench bench{layers({.unsolicited = Unsolicited::reject})};
    auto syn = testing::packet(Protocol::tcp, bench.endpoint("alice", 5000), at("198.18.2.2:6000"), {.syn = true});
    syn.payload = {9};
    bench.net.send(bench.net.host("alice"), syn, bench.now);
    const auto reset = bench.only("alice");
    EXPECT_TRUE(reset.reset);
    EXPECT_TRUE(reset.tcp.rst);
    EXPECT_EQ(reset.flow.source, syn.flow.destination);
    EXPECT_EQ(reset.flow.destination, syn.flow.source);
    EXPECT_EQ(reset.size, 40U);
    EXPECT_EQ(reset.payload, Bytes{9});
}

TEST(NetworkErrors, NobodyComplainsAboutAComplaint) {
    NetBench bench{layers({.unsolicited = Unsolicited::reject})};
    auto rst = testing::packet(Protocol::tcp, bench.endpoint("server", 80), at("198.18.2.2:6000"), {.rst = true});
    bench.net.send(bench.net.host("server"), rst, bench.now);
    Packet complaint;
    complaint.flow = {.protocol = Protocol::icmp,
                      .source = {.address = bench.endpoint("server", 0).address, .port = 0},
                      .destination = {.address = at("203.0.113.7:1").address, .port = 0}};
    complaint.report = IcmpReport{};
    bench.net.send(bench.net.host("server"), complaint, bench.now);
    complaint.ttl = 1;
    bench.net.send(bench.net.host("server"), complaint, bench.now);
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops.size(), 3U);
}

TEST(NetworkErrors, AForgedErrorIsDropped) {
    NetBench bench{layers()};
    bench.send("alice", 5000, bench.endpoint("server", 3478));
    (void)bench.run();
    Packet forged;
    forged.flow = {.protocol = Protocol::icmp,
                   .source = {.address = bench.endpoint("bob", 0).address, .port = 0},
                   .destination = {.address = at("198.18.1.2:1").address, .port = 0}};
    forged.report = IcmpReport{.error = IcmpError::port_unreachable,
                               .about = {.source = at("198.18.1.2:5000"), .destination = at("198.18.9.9:3478")},
                               .mtu = 0};
    bench.net.send(bench.net.host("server"), forged, bench.now);
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops.back(), "home: error about nothing known");
}

struct Narrow {
    const char* node;
    bool up;
    /// Who learns of it when alice and the server exchange a packet.
    const char* learns;
};

TEST(NetworkErrors, TooBigIsToldToTheSenderWhereverTheLinkIs) {
    for (const auto& narrow :
         {Narrow{"alice", true, "alice"}, Narrow{"inner", true, "alice"}, Narrow{"home", true, "alice"},
          Narrow{"server", false, "alice"}, Narrow{"server", true, "server"}, Narrow{"home", false, "server"},
          Narrow{"inner", false, "server"}, Narrow{"alice", false, "server"}}) {
        SCOPED_TRACE(std::string{narrow.node} + (narrow.up ? " up" : " down"));
        NetBench bench{layers()};
        const auto server = bench.endpoint("server", 3478);
        bench.send("alice", 5000, server);
        const auto alice = bench.only("server").flow.source;
        auto& link = narrow.up ? bench.net.uplink(narrow.node) : bench.net.downlink(narrow.node);
        link.config().mtu = 1280;
        const bool from_alice = std::string_view{narrow.learns} == "alice";
        auto big = from_alice ? testing::packet(Protocol::udp, bench.endpoint("alice", 5000), server)
                              : testing::packet(Protocol::udp, server, alice);
        big.size = 1400;
        const auto flow = big.flow;
        bench.net.send(bench.net.host(narrow.learns), big, bench.now);
        const auto report = only_report(bench, narrow.learns, IcmpError::too_big);
        EXPECT_EQ(report.report->mtu, 1280U);
        EXPECT_EQ(report.report->about, flow);
        link.config().mtu_icmp = false;
        bench.net.send(bench.net.host(narrow.learns), big, bench.now);
        EXPECT_TRUE(bench.run().empty()) << "a black hole";
        big.size = 1280;
        bench.net.send(bench.net.host(narrow.learns), big, bench.now);
        EXPECT_EQ(bench.run().size(), 1U);
    }
}

TEST(NetworkErrors, RoutersAnswerEcho) {
    NetBench bench{layers()};
    for (const auto* router : {"10.2.0.1", "10.1.0.1", "198.18.0.1"}) {
        const net::Endpoint pinged{.address = testing::address(router), .port = 0};
        bench.net.send(bench.net.host("alice"), testing::packet(Protocol::icmp, bench.endpoint("alice", 77), pinged),
                       bench.now);
        const auto answer = bench.only("alice");
        EXPECT_EQ(answer.flow,
                  (Flow{.protocol = Protocol::icmp, .source = pinged, .destination = bench.endpoint("alice", 77)}));
    }
    bench.send("alice", 5000, {.address = testing::address("10.2.0.1"), .port = 53});
    EXPECT_TRUE(bench.run().empty());
    EXPECT_EQ(bench.drops, std::vector<std::string>{"inner: for the router"});
}

TEST(NetworkErrors, ErrorsFindTheirWayThroughAHairpin) {
    NetBench bench{layers({.filtering = Dependence::endpoint_independent, .hairpin = true})};
    const auto server = bench.endpoint("server", 3478);
    bench.send("anna", 6000, server);
    const auto anna = bench.only("server").flow.source;
    bench.send("alice", 5000, anna);
    const auto arrived = bench.only("anna");
    Packet complaint;
    complaint.flow = {.protocol = Protocol::icmp,
                      .source = {.address = bench.endpoint("anna", 0).address, .port = 0},
                      .destination = {.address = arrived.flow.source.address, .port = 0}};
    complaint.report = IcmpReport{.error = IcmpError::port_unreachable, .about = arrived.flow, .mtu = 0};
    bench.net.send(bench.net.host("anna"), complaint, bench.now);
    const auto report = only_report(bench, "alice", IcmpError::port_unreachable);
    EXPECT_EQ(report.report->about, (Flow{.source = bench.endpoint("alice", 5000), .destination = anna}));
}

}  // namespace
}  // namespace pinhole::lab
