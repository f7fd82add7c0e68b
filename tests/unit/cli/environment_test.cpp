#include "peer/cli/environment.hpp"

#include "common/base/encoding.hpp"

#include <gtest/gtest.h>

namespace pinhole::cli {
namespace {

TEST(ServerOption, TakesHostPortAndKey) {
    crypto::Key32 key{};
    key.fill(9);
    const auto text = to_base32(key);
    const auto full = parse_server("rendezvous.example.org:4000/" + text);
    ASSERT_TRUE(full);
    EXPECT_EQ(full->text(), "rendezvous.example.org:4000");
    EXPECT_EQ(full->key, key);

    const auto short_form = parse_server("192.0.2.1");
    ASSERT_TRUE(short_form);
    EXPECT_EQ(short_form->host.port, 3478);
    EXPECT_FALSE(short_form->key);

    const auto v6 = parse_server("[2001:db8::1]:99");
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->host.host, "2001:db8::1");
    EXPECT_EQ(v6->host.port, 99);
}

TEST(ServerOption, RefusesWhatIsNone) {
    for (const auto* text : {"", ":3478", "host:", "host:0", "host:99999", "host/abc", "host/", "[::1", "host:1/zz"}) {
        EXPECT_FALSE(parse_server(text)) << text;
    }
}

}  // namespace
}  // namespace pinhole::cli
