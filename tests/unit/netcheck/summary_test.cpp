#include "peer/netcheck/summary.hpp"

#include <array>

#include <gtest/gtest.h>

namespace pinhole::netcheck {
namespace {

using net::NatBehavior;
using net::NatClass;
using net::NetReport;
using net::PortAllocation;

NetReport report_of(NatBehavior mapping, NatBehavior filtering, PortAllocation allocation) {
    NetReport report;
    report.udp.open = true;
    report.udp.mapping = mapping;
    report.udp.filtering = filtering;
    report.udp.allocation = allocation;
    return report;
}

TEST(Summary, SaysWhatKindOfNetworkThisIsAndWhomItReaches) {
    using enum NatBehavior;

    struct Case {
        NetReport report;
        const char* expected;
    };

    const std::array cases{
        Case{report_of(none, none, PortAllocation::preserving),
             "There is no NAT and no firewall: anybody can reach this machine. Direct connections work with everybody "
             "whose network does not block UDP."},
        Case{report_of(none, address_and_port_dependent, PortAllocation::preserving),
             "There is no NAT, but a firewall that lets in only the endpoints that were spoken to. Direct connections "
             "work with everybody whose network does not block UDP."},
        Case{report_of(endpoint_independent, endpoint_independent, PortAllocation::random),
             "This network is behind a NAT that uses one port for all destinations and lets everybody in. Direct "
             "connections work with everybody whose network does not block UDP."},
        Case{report_of(endpoint_independent, address_dependent, PortAllocation::preserving),
             "This network is behind a NAT that keeps our ports and lets in every port of an address that was spoken "
             "to. Direct connections work with everybody whose network does not block UDP."},
        Case{report_of(endpoint_independent, address_and_port_dependent, PortAllocation::preserving),
             "This network is behind a NAT that keeps our ports and lets in only the endpoints that were spoken to. "
             "Direct connections work with everybody whose network does not block UDP."},
        Case{report_of(address_and_port_dependent, address_and_port_dependent, PortAllocation::sequential),
             "This network is behind a NAT that uses another port for each destination, one after the other, and lets "
             "in only the endpoints that were spoken to. Direct connections work with everybody except networks that "
             "use another port of a block for each destination and networks that use a random port for each "
             "destination."},
        Case{report_of(address_and_port_dependent, address_and_port_dependent, PortAllocation::random),
             "This network is behind a NAT that uses another port for each destination, chosen at random, and lets in "
             "only the endpoints that were spoken to. Direct connections work with everybody except networks that "
             "use another port for each destination."},
        Case{report_of(unknown, unknown, PortAllocation::preserving),
             "This network is behind a NAT of a kind that could not be measured. Direct connections work with those "
             "whom anybody can reach; with others it depends."},
    };
    for (const auto& [report, expected] : cases) {
        EXPECT_EQ(summarize(report), expected);
    }
}

TEST(Summary, SaysThatUdpIsBlocked) {
    NetReport report;
    report.udp.open = false;
    report.tcp.open = true;
    EXPECT_EQ(summarize(report),
              "This network blocks UDP; TCP works. Direct connections go over TCP, where the other side's network lets "
              "them in.");
    report.tcp.open = false;
    EXPECT_EQ(summarize(report),
              "The server cannot be reached, neither over UDP nor over TCP. Direct connections work only within the "
              "local network.");
}

TEST(Summary, MentionsIPv6OnlyWhereItWorks) {
    auto report = report_of(NatBehavior::none, NatBehavior::none, PortAllocation::preserving);
    report.ipv6 = false;
    EXPECT_EQ(summarize(report).find("IPv6"), std::string::npos);
    report.ipv6 = true;
    EXPECT_NE(summarize(report).find("IPv6 works"), std::string::npos);
}

TEST(Summary, OfNothingIsAlsoASentence) {
    EXPECT_EQ(summarize({}), "This network was not measured.");
}

TEST(Prospects, AreTheSameFromBothSides) {
    constexpr std::array kAll{
        NatClass::unknown,         NatClass::open,       NatClass::easy_address, NatClass::easy,
        NatClass::hard_sequential, NatClass::hard_block, NatClass::hard_random,  NatClass::blocked};
    for (const auto a : kAll) {
        for (const auto b : kAll) {
            EXPECT_EQ(connects(a, b), connects(b, a)) << name(a) << " " << name(b);
        }
    }
}

TEST(Prospects, AreWhatPunchingAloneCanDo) {
    EXPECT_EQ(connects(NatClass::easy, NatClass::easy), true);
    EXPECT_EQ(connects(NatClass::easy_address, NatClass::hard_random), true);
    EXPECT_EQ(connects(NatClass::easy, NatClass::hard_random), true);
    EXPECT_EQ(connects(NatClass::hard_sequential, NatClass::hard_sequential), true);
    EXPECT_EQ(connects(NatClass::hard_sequential, NatClass::hard_random), false);
    EXPECT_EQ(connects(NatClass::hard_block, NatClass::hard_block), false);
    EXPECT_EQ(connects(NatClass::hard_random, NatClass::hard_random), false);
    EXPECT_EQ(connects(NatClass::open, NatClass::hard_random), true);
    EXPECT_EQ(connects(NatClass::open, NatClass::blocked), false);
    EXPECT_EQ(connects(NatClass::unknown, NatClass::easy), std::nullopt);
}

}  // namespace
}  // namespace pinhole::netcheck
