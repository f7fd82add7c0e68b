#include "common/crypto/hash.hpp"

#include "tests/unit/crypto/support.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace pinhole::crypto {
namespace {

TEST(Blake2b, MatchesKnownAnswers) {
    EXPECT_EQ(to_hex(blake2b({})), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    EXPECT_EQ(to_hex(blake2b(as_bytes("abc"))), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

TEST(Blake2b, DoesNotCareHowItIsFed) {
    Bytes bytes(1000);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    for (const std::size_t step : {1U, 7U, 127U, 128U, 129U, 1000U}) {
        Blake2b hash;
        for (ByteView rest{bytes}; !rest.empty(); rest = rest.subspan(std::min(step, rest.size()))) {
            hash.update(rest.first(std::min(step, rest.size())));
        }
        EXPECT_EQ(hash.finish(), blake2b(bytes)) << step;
    }
}

TEST(DeriveKey, IsKeyedBlake2bOfTheLabel) {
    Key32 bytes{};
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    EXPECT_EQ(to_hex(derive_key(SecretKey{bytes}, "label").view()),
              "7f8088eb65cc4626d4a3ca026af9f97dbd1b8a39b7ac12a63a07745f1fa09847");
}

TEST(DeriveKey, SeparatesLabelsAndSecrets) {
    const SecretKey secret{Key32{1}};
    EXPECT_NE(to_hex(derive_key(secret, "a").view()), to_hex(derive_key(secret, "b").view()));
    EXPECT_NE(to_hex(derive_key(secret, "a").view()), to_hex(derive_key(SecretKey{Key32{2}}, "a").view()));
}

}  // namespace
}  // namespace pinhole::crypto
