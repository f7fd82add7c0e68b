#include "peer/cli/net_report_text.hpp"

#include "peer/cli/netcheck_command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kColumns = 80;
const Measured kMeasured{.server = "rendezvous.example.org:3478", .complete = true, .elapsed_ms = 1234};

net::Endpoint endpoint(const char* text) {
    return *net::Endpoint::parse(text);
}

net::NetReport home_router() {
    net::NetReport report;
    report.udp.open = true;
    report.udp.mapping = net::NatBehavior::endpoint_independent;
    report.udp.filtering = net::NatBehavior::address_and_port_dependent;
    report.udp.allocation = net::PortAllocation::preserving;
    report.udp.hairpin = false;
    report.udp.reflexive = endpoint("203.0.113.9:40000");
    report.udp.opening_ttl = 2;
    report.udp.samples = {40000, 40007};
    report.tcp.open = true;
    report.tcp.reflexive = endpoint("203.0.113.9:50000");
    report.local = {*net::Address::parse("10.0.0.2")};
    report.rtt = 20500us;
    return report;
}

net::NetReport carrier_nat() {
    auto report = home_router();
    report.udp.mapping = net::NatBehavior::address_and_port_dependent;
    report.udp.allocation = net::PortAllocation::sequential;
    report.udp.delta = -2;
    report.udp.rate = 12.4;
    report.udp.lifetime = 95s;
    report.udp.opening_ttl.reset();
    report.ipv6 = true;
    report.reflexive_v6 = endpoint("[2001:db8::7]:4000");
    report.notes = {"Something was not measured for a reason that takes more than one line of a screen to say."};
    return report;
}

TEST(NetReportText, RelaysHaveTheirRoundTripOrNone) {
    auto measured = kMeasured;
    measured.relays = {{.url = "turn:198.51.100.1:3478?transport=udp", .rtt = 20500us},
                       {.url = "turns:relay.example:443?transport=tcp", .rtt = {}, .refused = "a stranger"}};
    const auto relays = to_json(home_router(), measured)["relays"];
    EXPECT_EQ(relays[0]["url"], "turn:198.51.100.1:3478?transport=udp");
    EXPECT_EQ(relays[0]["rtt_ms"], 20.5);
    EXPECT_TRUE(relays[0]["refused"].is_null());
    EXPECT_TRUE(relays[1]["rtt_ms"].is_null());
    EXPECT_EQ(relays[1]["refused"], "a stranger");
    std::string text;
    for (const auto& line : screen(home_router(), measured, kColumns)) {
        text += line + '\n';
    }
    EXPECT_THAT(text, HasSubstr("transport=udp, round trip 20 ms"));
    EXPECT_THAT(text, HasSubstr("transport=tcp does not answer"));
    EXPECT_THAT(text, HasSubstr("refused: a stranger"));
}

std::string joined(const net::NetReport& report, const Measured& measured = kMeasured) {
    std::string text;
    for (const auto& line : screen(report, measured, kColumns)) {
        text += line + '\n';
    }
    return text;
}

TEST(NetcheckEvent, HasEveryFieldOfTheContractEvenIfNothingWasMeasured) {
    const auto event = to_json({}, {.server = "s"});
    for (const auto* field : {"udp", "tcp", "local", "ipv6", "gateway", "relays", "class", "summary"}) {
        EXPECT_TRUE(event.contains(field)) << field;
    }
    for (const auto* protocol : {"udp", "tcp"}) {
        for (const auto* field : {"open", "delta", "block", "rate", "hairpin", "lifetime_s", "reflexive"}) {
            ASSERT_TRUE(event[protocol].contains(field)) << field;
            EXPECT_TRUE(event[protocol][field].is_null()) << field;
        }
        for (const auto* field : {"mapping", "filtering", "allocation"}) {
            EXPECT_EQ(event[protocol][field], "unknown") << field;
        }
    }
    EXPECT_TRUE(event["ipv6"].is_null());
    EXPECT_TRUE(event["gateway"].is_null());
    EXPECT_TRUE(event["rtt_ms"].is_null());
    EXPECT_EQ(event["relays"], Json::array());
    EXPECT_EQ(event["local"], Json::array());
    EXPECT_EQ(event["complete"], false);
}

TEST(NetcheckEvent, SaysWhatWasMeasured) {
    auto report = carrier_nat();
    report.udp.block = net::PortRange{.first = 2000, .last = 2255};
    const auto event = to_json(report, kMeasured);
    const auto& udp = event["udp"];
    EXPECT_EQ(udp["open"], true);
    EXPECT_EQ(udp["mapping"], "address-and-port-dependent");
    EXPECT_EQ(udp["filtering"], "address-and-port-dependent");
    EXPECT_EQ(udp["allocation"], "sequential");
    EXPECT_EQ(udp["delta"], -2);
    EXPECT_EQ(udp["block"], Json({2000, 2255}));
    EXPECT_EQ(udp["rate"], 12.4);
    EXPECT_EQ(udp["hairpin"], false);
    EXPECT_EQ(udp["lifetime_s"], 95.0);
    EXPECT_EQ(udp["reflexive"], "203.0.113.9:40000");
    EXPECT_EQ(udp["samples"], Json({40000, 40007}));
    EXPECT_EQ(event["local"], Json({"10.0.0.2"}));
    EXPECT_EQ(event["ipv6"], true);
    EXPECT_EQ(event["reflexive_v6"], "[2001:db8::7]:4000");
    EXPECT_EQ(event["class"], "S");
    EXPECT_EQ(event["rtt_ms"], 20.5);
    EXPECT_EQ(event["server"], "rendezvous.example.org:3478");
    EXPECT_EQ(event["complete"], true);
    EXPECT_EQ(event["elapsed_ms"], 1234);
    EXPECT_EQ(event["notes"].size(), 1U);
}

TEST(NetcheckScreen, ShowsAHomeRouter) {
    const auto text = joined(home_router());
    for (const auto* line : {"Class          E\n", "This machine   10.0.0.2\n",
                             "Public         203.0.113.9:40000 (UDP), 203.0.113.9:50000 (TCP)\n",
                             "IPv6           not measured: the server has no IPv6 address\n",
                             "Server         rendezvous.example.org:3478, round trip 20 ms\n", "NAT opens at   TTL 2\n",
                             "TCP            works\n", "Relays         none offered by the server\n"}) {
        EXPECT_THAT(text, HasSubstr(line));
    }
    EXPECT_THAT(text, HasSubstr("mapping endpoint-independent, filter\n               address-and-port-dependent"));
    EXPECT_THAT(text, HasSubstr("ports kept, no hairpin\n"));
    for (const auto* absent : {"Notes", "Mappings live", "Other traffic"}) {
        EXPECT_THAT(text, Not(HasSubstr(absent)));
    }
}

TEST(NetcheckScreen, ShowsWhatElseWasMeasuredAndWhatCouldNotBe) {
    const auto text = joined(carrier_nat());
    for (const auto* part :
         {"ports in sequence (-2 each time)", "Other traffic  12 new mappings a second\n",
          "Mappings live  1:35 without traffic, or longer\n", "IPv6           works, seen as [2001:db8::7]:4000\n",
          "Notes          Something was not measured for a reason that takes more than one\n"
          "               line of a screen to say.\n"}) {
        EXPECT_THAT(text, HasSubstr(part));
    }
}

TEST(NetcheckScreen, NamesTheWaysOfPorts) {
    struct Case {
        net::PortAllocation allocation;
        const char* words;
    };

    for (const auto& [allocation, words] : {Case{net::PortAllocation::preserving, "ports kept"},
                                            Case{net::PortAllocation::sequential, "ports in sequence"},
                                            Case{net::PortAllocation::block, "ports from a block"},
                                            Case{net::PortAllocation::random, "ports at random"}}) {
        net::NetReport report;
        report.udp.open = true;
        report.udp.mapping = net::NatBehavior::address_dependent;
        report.udp.allocation = allocation;
        EXPECT_THAT(joined(report), HasSubstr(words));
    }
}

TEST(NetcheckScreen, SaysThatUdpIsBlocked) {
    net::NetReport report;
    report.udp.open = false;
    report.tcp.open = true;
    report.ipv6 = false;
    const auto text = joined(report);
    EXPECT_THAT(text, HasSubstr("UDP            blocked: no answer\n"));
    EXPECT_THAT(text, HasSubstr("TCP            works\n"));
    EXPECT_THAT(text, HasSubstr("IPv6           does not reach the server\n"));
    EXPECT_THAT(text, HasSubstr("Public         not known\n"));
}

TEST(NetcheckScreen, HasNoRelaysWithoutARendezvousServer) {
    auto measured = kMeasured;
    measured.rendezvous = false;
    EXPECT_THAT(joined(home_router(), measured), Not(HasSubstr("Relays")));
}

TEST(NetcheckScreen, KeepsToItsWidth) {
    for (const std::size_t columns : {0U, 40U, 80U, 200U}) {
        for (const auto& line : screen(carrier_nat(), kMeasured, columns)) {
            EXPECT_LE(line.size(), std::max<std::size_t>(columns, 44)) << line;
        }
    }
}

TEST(NetcheckFirstAnswer, SaysWhatIsKnownAtOnce) {
    EXPECT_EQ(first_answer(home_router(), kMeasured), "UDP works; the internet sees this machine as 203.0.113.9.");
    EXPECT_EQ(first_answer({}, kMeasured), "No answer from rendezvous.example.org:3478 yet.");
    net::NetReport blocked;
    blocked.tcp.open = true;
    EXPECT_THAT(first_answer(blocked, kMeasured), HasSubstr("TCP works"));
}

TEST(LifetimeOption, TakesSecondsAndMinutes) {
    using std::chrono::seconds;
    EXPECT_EQ(parse_lifetime("90"), seconds{90});
    EXPECT_EQ(parse_lifetime("90s"), seconds{90});
    EXPECT_EQ(parse_lifetime("2min"), seconds{120});
    EXPECT_EQ(parse_lifetime("10s"), seconds{10});
    EXPECT_EQ(parse_lifetime("5min"), seconds{300});
    for (const auto* text : {"", "s", "0", "-1", "9", "6min", "301", "2h", "90 s", "1e3"}) {
        EXPECT_FALSE(parse_lifetime(text)) << text;
    }
}

}  // namespace
}  // namespace pinhole::cli
