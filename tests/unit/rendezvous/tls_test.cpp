#include "rendezvous/shell/tls.hpp"

#include <fstream>

#include <gtest/gtest.h>

namespace pinhole::rendezvous {
namespace {

TEST(Tls, MakesACertificateOfItsOwnEachTime) {
    const auto one = make_tls(std::nullopt);
    const auto other = make_tls(std::nullopt);
    ASSERT_TRUE(one) << one.error().message();
    ASSERT_TRUE(other);
    EXPECT_NE(one->digest, other->digest);
}

TEST(Tls, SaysWhichFileItCannotUse) {
    const auto missing = make_tls(TlsFiles{.certificate = "/nonexistent/cert.pem", .key = "/nonexistent/key.pem"});
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message().find("cannot use the certificate /nonexistent/cert.pem"), std::string::npos)
        << missing.error().message();
}

}  // namespace
}  // namespace pinhole::rendezvous
