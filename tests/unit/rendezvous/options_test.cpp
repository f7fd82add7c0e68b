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
