// The verdicts as pure functions of evidence.
#include "peer/netcheck/filtering.hpp"
#include "peer/netcheck/mapping.hpp"

#include <array>

#include <gtest/gtest.h>

namespace pinhole::netcheck {
namespace {

using net::NatBehavior;

net::Endpoint outside(std::uint16_t port) {
    return {.address = *net::Address::parse("203.0.113.7"), .port = port};
}

const net::Endpoint kLocal{.address = *net::Address::parse("192.168.1.2"), .port = 5000};
const std::array kOwn{kLocal.address};

struct MappingCase {
    const char* what;
    std::optional<net::Endpoint> primary, port, address, both;
    NatBehavior expected;
};

TEST(MappingVerdict, FollowsFromTheEndpointsSeen) {
    const auto a = outside(1);
    const auto b = outside(2);
    const auto c = outside(3);
    const auto d = outside(4);
    const std::optional<net::Endpoint> none;
    const std::array cases{
        MappingCase{"nothing heard", none, none, none, none, NatBehavior::unknown},
        MappingCase{"own endpoint", kLocal, none, none, none, NatBehavior::none},
        MappingCase{"own endpoint everywhere", kLocal, kLocal, kLocal, kLocal, NatBehavior::none},
        MappingCase{"own endpoint for one destination", kLocal, a, b, c, NatBehavior::address_and_port_dependent},
        MappingCase{"one sample", a, none, none, none, NatBehavior::unknown},
        MappingCase{"same everywhere", a, a, a, a, NatBehavior::endpoint_independent},
        MappingCase{"same, one answer lost", a, none, none, a, NatBehavior::endpoint_independent},
        MappingCase{"same, other two", a, a, a, none, NatBehavior::endpoint_independent},
        MappingCase{"same by address, port unknown", a, none, a, none, NatBehavior::unknown},
        MappingCase{"by address", a, a, b, b, NatBehavior::address_dependent},
        MappingCase{"by address, no other port", a, none, b, b, NatBehavior::address_dependent},
        MappingCase{"by address, one lost", a, a, b, none, NatBehavior::address_dependent},
        MappingCase{"by endpoint", a, b, c, d, NatBehavior::address_and_port_dependent},
        MappingCase{"by endpoint, no other port", a, none, c, d, NatBehavior::address_and_port_dependent},
        MappingCase{"one address, by port", a, b, none, none, NatBehavior::address_and_port_dependent},
        MappingCase{"one address, same", a, a, none, none, NatBehavior::unknown},
        MappingCase{"differs, but by what", a, none, none, b, NatBehavior::unknown},
    };
    for (const auto& [what, primary, port, address, both, expected] : cases) {
        EXPECT_EQ(judge_mapping({kLocal, primary, port, address, both}, kOwn), expected) << what;
    }
}

TEST(MappingVerdict, KnowsItsOwnAddressAlsoWhenTheSocketDoesNot) {
    const net::Endpoint unbound{.address = net::Address::any(net::Family::v4), .port = kLocal.port};
    EXPECT_EQ(judge_mapping({.local = unbound, .primary = kLocal}, kOwn), NatBehavior::none);
    EXPECT_EQ(judge_mapping({.local = unbound, .primary = outside(kLocal.port)}, kOwn), NatBehavior::unknown);
}

TEST(MappingVerdict, OfSeveralSocketsIsWhatMostSay) {
    using enum NatBehavior;
    EXPECT_EQ(most_plausible({}), unknown);
    EXPECT_EQ(most_plausible(std::array{address_dependent, endpoint_independent, address_dependent}),
              address_dependent);
    EXPECT_EQ(most_plausible(std::array{address_and_port_dependent, endpoint_independent}), endpoint_independent);
}

struct FilteringCase {
    Heard both, port;
    std::optional<NatBehavior> expected;
};

TEST(FilteringVerdict, FollowsFromWhatGotIn) {
    using enum Heard;
    const std::array cases{
        FilteringCase{yes, pending, NatBehavior::endpoint_independent},
        FilteringCase{pending, yes, std::nullopt},
        FilteringCase{no, pending, std::nullopt},
        FilteringCase{no, yes, NatBehavior::address_dependent},
        FilteringCase{no, no, NatBehavior::address_and_port_dependent},
        FilteringCase{no, unclear, NatBehavior::unknown},
        FilteringCase{unclear, yes, NatBehavior::unknown},
        FilteringCase{unclear, no, NatBehavior::unknown},
    };
    for (const auto& [both, port, expected] : cases) {
        EXPECT_EQ(judge_filtering({.both = both, .port = port}, true), expected);
    }
}

TEST(FilteringVerdict, WithoutANatAnOpenFilterIsNone) {
    EXPECT_EQ(judge_filtering({.both = Heard::yes}, false), NatBehavior::none);
    EXPECT_EQ(judge_filtering({.both = Heard::no, .port = Heard::yes}, false), NatBehavior::address_dependent);
}

}  // namespace
}  // namespace pinhole::netcheck
