#include "rendezvous/options.hpp"

#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

std::string listen_text(std::string_view text) {
    const auto endpoint = parse_listen(text);
    return endpoint ? endpoint->text() : "refused";
}

TEST(ListenOption, TakesAddressesWithAndWithoutAPort) {
    EXPECT_EQ(listen_text("192.0.2.1"), "192.0.2.1:3478");
    EXPECT_EQ(listen_text("192.0.2.1:99"), "192.0.2.1:99");
    EXPECT_EQ(listen_text("127.0.0.1:0"), "127.0.0.1:0");
    EXPECT_EQ(listen_text("::"), "[::]:3478");
    EXPECT_EQ(listen_text("[2001:db8::1]"), "[2001:db8::1]:3478");
    EXPECT_EQ(listen_text("[2001:db8::1]:5"), "[2001:db8::1]:5");
}

TEST(ListenOption, RefusesEverythingElse) {
    for (const auto* text : {"", ":", ":80", "host", "host:80", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:5x",
                             "1.2.3.4:80:80", "[::1", "[::1]x", "[::1]:", "[::1]80", "[1.2.3.4]:80", "[]:80", "]:1"}) {
        EXPECT_EQ(listen_text(text), "refused") << text;
    }
}

std::variant<Options, int> parse(std::vector<std::string> words) {
    words.insert(words.begin(), "pinhole-rendezvous");
    std::vector<char*> arguments;
    arguments.reserve(words.size());
    for (auto& word : words) {
        arguments.push_back(word.data());
    }
    return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Options, TheRelayIsOnByDefault) {
    const auto options = std::get<Options>(parse({}));
    EXPECT_TRUE(options.relay.enabled);
    EXPECT_EQ(options.relay.ports.first, 49152);
    EXPECT_EQ(options.relay.ports.last, 65535);
    EXPECT_FALSE(options.tls);
    EXPECT_FALSE(std::get<Options>(parse({"--no-relay"})).relay.enabled);
}

TEST(Options, TheRelayCanBeToldWhereAndForWhom) {
    const auto options = std::get<Options>(
        parse({"--relay-ports", "50000-50010", "--external", "192.0.2.1", "--external", "2001:db8::1", "--allow-peer",
               "10.0.0.0/8", "--allow-peer", "fd00::/8", "--turn-user", "alice:pass:word", "--turn-user", "bob:b"}));
    EXPECT_EQ(options.relay.ports.first, 50000);
    EXPECT_EQ(options.relay.ports.last, 50010);
    EXPECT_EQ(options.relay.external.size(), 2U);
    EXPECT_EQ(options.relay.allow.size(), 2U);
    ASSERT_EQ(options.relay.users.size(), 2U);
    EXPECT_EQ(options.relay.users[0].name, "alice");
    EXPECT_EQ(options.relay.users[0].password, "pass:word");
}

TEST(Options, LifetimesAreThoseOfTheRfcUnlessShortened) {
    EXPECT_EQ(std::get<Options>(parse({})).relay.nonce_lifetime, std::chrono::minutes{10});
    const auto usual = std::get<Options>(parse({})).relay.lifetimes;
    EXPECT_EQ(usual.allocation, std::chrono::seconds{600});
    EXPECT_EQ(usual.max_allocation, std::chrono::seconds{3600});
    EXPECT_EQ(usual.permission, std::chrono::seconds{300});
    EXPECT_EQ(usual.channel, std::chrono::seconds{600});
    const auto shortened = std::get<Options>(parse({"--allocation-lifetime", "40", "--permission-lifetime", "20",
                                                    "--channel-lifetime", "30"}))
                               .relay.lifetimes;
    EXPECT_EQ(shortened.allocation, std::chrono::seconds{40});
    EXPECT_EQ(shortened.max_allocation, std::chrono::seconds{40});
    EXPECT_EQ(shortened.permission, std::chrono::seconds{20});
    EXPECT_EQ(shortened.channel, std::chrono::seconds{30});
    EXPECT_EQ(std::get<Options>(parse({"--nonce-lifetime", "10"})).relay.nonce_lifetime, std::chrono::seconds{10});
}

TEST(Options, WhoAsksForNoLifetimeGetsTenMinutesEvenWhereMoreIsGranted) {
    const auto lifetimes = std::get<Options>(parse({"--allocation-lifetime", "86400"})).relay.lifetimes;
    EXPECT_EQ(lifetimes.allocation, std::chrono::seconds{600});
    EXPECT_EQ(lifetimes.max_allocation, std::chrono::seconds{86400});
}

TEST(Options, OtherRelaysShareTheSecret) {
    const auto options =
        std::get<Options>(parse({"--turn", "turn:a.example", "--turn", "turns:b.example", "--turn-secret", "s"}));
    ASSERT_EQ(options.other_relays.size(), 2U);
    EXPECT_EQ(options.other_relays[1].host, "b.example");
    EXPECT_EQ(options.other_relays[1].secret, "s");
}

TEST(Options, WhatTheRelayCannotUseIsAUsageError) {
    const std::vector<std::vector<std::string>> wrong{
        {"--relay-ports", "1000-2000"}, {"--relay-ports", "2000"},
        {"--relay-ports", "2001-2000"}, {"--relay-ports", "2000-65536"},
        {"--relay-ports", "2000-"},     {"--external", "host"},
        {"--external", "0.0.0.0"},      {"--external", "192.0.2.1", "--external", "192.0.2.2"},
        {"--allow-peer", "10.0.0.1/8"}, {"--allow-peer", "all"},
        {"--turn-user", "alice"},       {"--turn-user", ":x"},
        {"--turn-user", "alice:"},      {"--turn", "turn:a.example"},
        {"--turn-secret", "s"},         {"--turn", "http://a", "--turn-secret", "s"},
        {"--tls-cert", "c.pem"},        {"--tls-key", "k.pem"},
        {"--allocation-lifetime", "0"}, {"--allocation-lifetime", "86401"},
        {"--permission-lifetime", "0"}, {"--permission-lifetime", "301"},
        {"--channel-lifetime", "601"},  {"--channel-lifetime", "-1"},
        {"--nonce-lifetime", "0"},      {"--nonce-lifetime", "3601"},
        {"--channel-lifetime", "5s"},   {"--channel-lifetime", ""}};
    for (const auto& words : wrong) {
        testing::internal::CaptureStderr();
        const auto parsed = parse(words);
        const auto said = testing::internal::GetCapturedStderr();
        ASSERT_TRUE(std::holds_alternative<int>(parsed)) << words[0] << ' ' << words[1];
        EXPECT_EQ(std::get<int>(parsed), 2);
        EXPECT_EQ(std::ranges::count(said, '\n'), 1) << said;
    }
}

TEST(Options, NothingIsRequired) {
    const auto options = std::get<Options>(parse({}));
    EXPECT_TRUE(options.listen.empty());
    EXPECT_FALSE(options.json);
}

TEST(Options, ListenMayBeRepeated) {
    const auto options = std::get<Options>(parse({"--listen", "127.0.0.1:1", "--listen", "[::1]:2", "--json"}));
    ASSERT_EQ(options.listen.size(), 2U);
    EXPECT_EQ(options.listen[1].text(), "[::1]:2");
    EXPECT_TRUE(options.json);
}

TEST(Options, AlternateTakesOneAddressOfEachFamily) {
    const auto options = std::get<Options>(parse({"--alternate", "192.0.2.2", "--alternate", "2001:db8::2"}));
    ASSERT_EQ(options.alternate.size(), 2U);
    EXPECT_EQ(options.alternate[1].text(), "2001:db8::2");
    EXPECT_EQ(std::get<int>(parse({"--alternate", "192.0.2.2", "--alternate", "192.0.2.3"})), 2);
    for (const auto* text : {"192.0.2.2:3478", "host", "", "0.0.0.0", "::", "224.0.0.1"}) {
        EXPECT_EQ(std::get<int>(parse({"--alternate", text})), 2) << text;
    }
}

TEST(Options, UsageErrorsEndWithTwoAndHelpWithZero) {
    EXPECT_EQ(std::get<int>(parse({"--listen", "nowhere"})), 2);
    EXPECT_EQ(std::get<int>(parse({"--unknown"})), 2);
    EXPECT_EQ(std::get<int>(parse({"stray"})), 2);
    EXPECT_EQ(std::get<int>(parse({"--help"})), 0);
    EXPECT_EQ(std::get<int>(parse({"--version"})), 0);
}

}  // namespace
}  // namespace pinhole::rendezvous
