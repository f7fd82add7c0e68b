#include "rendezvous/shell/listen_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

using testing::HasSubstr;

net::Endpoint at(std::string_view text) {
    return *net::Endpoint::parse(text);
}

net::Address address(std::string_view text) {
    return *net::Address::parse(text);
}

const std::vector<net::Address> kLocal{address("127.0.0.1"), address("192.0.2.1"), address("192.0.2.2"),
                                       address("2001:db8::1")};
const std::vector<net::Endpoint> kEverywhere{at("[::]:3478"), at("0.0.0.0:3478")};

std::string refusal(const std::vector<net::Endpoint>& listen, const std::vector<net::Address>& alternates,
                    const std::vector<net::Address>& local = kLocal) {
    const auto places = plan_places(listen, alternates, local);
    return places ? "accepted" : places.error().message();
}

TEST(ListenPlan, WithoutAnAlternateEveryPlaceStandsForItself) {
    const auto places = plan_places(kEverywhere, {}, kLocal).value();
    ASSERT_EQ(places.size(), 2U);
    EXPECT_EQ(places[1].at, at("0.0.0.0:3478"));
    EXPECT_FALSE(places[0].alternate || places[1].alternate);
}

TEST(ListenPlan, AnAlternateBelongsToTheListenOfItsFamily) {
    const auto places = plan_places({at("192.0.2.1:99"), at("[2001:db8::1]:99")},
                                    {address("2001:db8::2"), address("192.0.2.2")}, kLocal)
                            .value();
    EXPECT_EQ(places[0].alternate->primary, address("192.0.2.1"));
    EXPECT_EQ(places[0].alternate->address, address("192.0.2.2"));
    EXPECT_EQ(places[1].alternate->address, address("2001:db8::2"));
}

TEST(ListenPlan, OnAllAddressesTheOnlyOtherOneIsPrimary) {
    const auto places = plan_places(kEverywhere, {address("192.0.2.2")}, kLocal).value();
    EXPECT_FALSE(places[0].alternate);
    EXPECT_EQ(places[1].at, at("0.0.0.0:3478")) << "it still listens on all";
    EXPECT_EQ(places[1].alternate->primary, address("192.0.2.1"));
}

TEST(ListenPlan, RefusesWhatCannotBeMeantInOneSentence) {
    auto three = kLocal;
    three.push_back(address("192.0.2.3"));
    EXPECT_THAT(refusal(kEverywhere, {address("192.0.2.2")}, three), HasSubstr("several IPv4 addresses"));
    EXPECT_THAT(refusal(kEverywhere, {address("192.0.2.2")}, {address("127.0.0.1"), address("192.0.2.2")}),
                HasSubstr("no IPv4 address besides the alternate 192.0.2.2"));
    EXPECT_THAT(refusal({at("192.0.2.1:1")}, {address("192.0.2.1")}), HasSubstr("another one"));
    EXPECT_THAT(refusal({at("192.0.2.1:1")}, {address("2001:db8::2")}), HasSubstr("needs a --listen of its family"));
    EXPECT_THAT(refusal({at("192.0.2.1:1"), at("192.0.2.1:5")}, {address("192.0.2.2")}), HasSubstr("not several"));
    EXPECT_THAT(refusal({at("192.0.2.1:1")}, {address("192.0.2.2"), address("192.0.2.3")}),
                HasSubstr("one --alternate of IPv4"));
}

}  // namespace
}  // namespace pinhole::rendezvous
