#include "peer/cli/strategy_list.hpp"

#include <gtest/gtest.h>

namespace pinhole::cli {
namespace {

using enum net::Strategy;
using Strategies = std::vector<net::Strategy>;

TEST(StrategyList, WithoutExcludesWhatItNames) {
    EXPECT_EQ(excluded_by("birthday,host").value(), (Strategies{birthday, host}));
    EXPECT_TRUE(excluded_by("").value().empty());
}

TEST(StrategyList, OnlyExcludesEverythingElse) {
    EXPECT_EQ(excluded_by_only("udp,predict").value(), (Strategies{host, reverse, birthday, tcp, relay}));
    EXPECT_EQ(excluded_by_only("relay").value(), (Strategies{host, reverse, udp, predict, birthday, tcp}));
}

TEST(StrategyList, WhatIsNotBuiltMayBeLeftOutButNotAskedFor) {
    EXPECT_TRUE(excluded_by("portmap").value().empty());
    EXPECT_EQ(excluded_by_only("udp,portmap").error(), "this version cannot connect by 'portmap' yet");
}

TEST(StrategyList, AnUnknownNameIsAnErrorThatListsTheNames) {
    EXPECT_NE(excluded_by("ice").error().find("'ice' is none of host, reverse"), std::string::npos);
    EXPECT_FALSE(excluded_by_only("").has_value());
}

}  // namespace
}  // namespace pinhole::cli
